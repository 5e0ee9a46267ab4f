"""The record in Home Assistant: true to the plant, kept, explained, and shown to administrators."""

import csv
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
import io
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import CLIENT_ID
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from custom_components.export_monitor import const
from custom_components.export_monitor.ledger import Day
from custom_components.export_monitor.ledger.book import Marks
from custom_components.export_monitor.ledger.meters import Mark
from custom_components.export_monitor.ledger.pack import pack
from custom_components.export_monitor.ledger_file import FILES, LedgerFile
from custom_components.export_monitor.models import ErrorState
from tests.documents import ROOT
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, FORECAST, House

METER_STEP_KWH = 0.01
FEED_IN_TOTAL = "sensor.alphaess_total_energy_feed_to_grid_meter"
TRANSLATIONS = ROOT / "custom_components" / "export_monitor" / "translations" / "en.json"
KEY = "export_monitor.{}.days"


def _file(house: House) -> LedgerFile:
    return house.hass.data[FILES][house.entry.entry_id]


async def _summary(house: House) -> dict[str, Any]:
    found: dict[str, Any] = (await house.call("get_report"))["summary"]
    return found


# What is written


async def test_a_discharge_is_recorded_as_it_really_was(ready: House) -> None:
    before = ready.plant.truth().exported_kwh
    await ready.discharge(seconds=600)
    await ready.call("stop_discharge")
    await ready.advance(120)
    true = ready.plant.truth().exported_kwh - before
    whole = await _summary(ready)
    assert true > 0.3
    assert whole["exported_kwh"] == pytest.approx(true, abs=METER_STEP_KWH)
    assert whole["deliberate_kwh"] == pytest.approx(true, abs=2 * METER_STEP_KWH)
    assert whole["sessions_by_reason"] == {"user": 1}
    assert whole["peak_export_w"] == pytest.approx(2500, abs=600)
    assert float(ready.entity("deliberate_export_today")) == whole["deliberate_kwh"]


async def test_refusals_are_recorded_with_their_reason(ready: House) -> None:
    ready.options(target_export=0)
    await ready.settle()
    for _ in range(2):
        with pytest.raises(ServiceValidationError):
            await ready.call("start_discharge")
    (day,) = (await ready.call("get_report", format="days"))["days"]
    (line,) = day["refusals"]
    assert (line["reason"], line["count"]) == ("target_zero", 2)


async def test_a_failed_start_is_recorded_too(ready: House) -> None:
    ready.fail("input_boolean", "turn_on")
    with pytest.raises(Exception, match="could not be switched on"):
        await ready.call("start_discharge")
    whole = await _summary(ready)
    assert whole["refusals_by_reason"] == {"discharge_start_failed": 1}


async def test_a_late_step_after_midnight_corrects_yesterday(build: Build) -> None:
    house = build(start=House.LATE, load_w=0.0, pv_w=3600.0, soc=100.0)
    await house.set_up()
    await house.advance(60)
    true = house.plant.truth().exported_kwh
    await house.advance(200)
    days = (await house.call("get_report", format="days"))["days"]
    assert [day["date"] for day in days] == ["2026-06-21", "2026-06-22"]
    assert days[0]["corrected_exported_kwh"] > 0
    assert days[0]["corrections"][0]["why"] == "late_meter"
    assert days[0]["exported_kwh"] <= true + 0.02
    assert house.entity("compliance_yesterday") == "Inside"
    assert house.attributes("compliance_yesterday")["corrected"] == ["late_meter"]


# What survives


async def test_the_record_survives_a_restart_and_counts_nothing_twice(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    await ready.discharge(seconds=300)
    await ready.call("stop_discharge")
    await ready.advance(70)
    before = await _summary(ready)
    assert hass_storage[KEY.format(ready.entry.entry_id)]["data"]["days"]
    await ready.hass.async_stop(force=True)
    async with ready.restarted():
        await ready.advance(130)
        after = await _summary(ready)
    assert after["sessions_by_reason"] == before["sessions_by_reason"]
    assert after["exported_kwh"] == pytest.approx(before["exported_kwh"], abs=METER_STEP_KWH)


async def test_a_kill_loses_nothing_that_the_meter_shows(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    await ready.discharge(seconds=300)
    await ready.call("stop_discharge")
    key = KEY.format(ready.entry.entry_id)
    await ready.advance(1)
    old = json.loads(json.dumps(hass_storage[key]))
    ready.plant.pv_w = 6000.0
    await ready.advance(300)
    before = await _summary(ready)
    hass_storage[key] = old
    async with ready.restarted():
        await ready.advance(130)
        after = await _summary(ready)
        more = ready.plant.truth().exported_kwh
    assert before["exported_kwh"] < after["exported_kwh"] <= more + METER_STEP_KWH


async def test_an_unreadable_record_is_put_aside(
    house: House, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    key = KEY.format(house.entry.entry_id)
    data = {"marks": "?", "days": ["?"]}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": data}
    await house.set_up()
    await house.advance(70)
    assert "begun anew" in caplog.text
    assert hass_storage[f"{key}.unreadable"]["data"] == data
    assert (await _summary(house))["days"] == 1
    assert house.entity("system_health") == "Healthy"


async def test_a_failing_disk_disturbs_nothing(
    ready: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(_file(ready)._store, "async_save", refuse)
    for _ in range(2):
        await ready.discharge(seconds=60)
        await ready.call("stop_discharge")
    await ready.advance(70)
    assert caplog.text.count("The record of past days could not be written") == 1
    assert (await _summary(ready))["sessions_by_reason"] == {"user": 2}
    assert ready.entity("error_state") == "none"
    monkeypatch.undo()
    await ready.discharge(seconds=10)
    await ready.call("stop_discharge")
    assert not _file(ready)._failed


async def test_a_fault_of_the_record_never_reaches_the_guard(
    ready: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("custom_components.export_monitor.compliance.take", fail)
    await ready.discharge(seconds=30)
    ready.runtime.coordinator.set_error_state(ErrorState.OVER_EXPORT, "5 > 4 kWh")
    assert "5 > 4 kWh" in (ready.notification("over_export") or "")
    await ready.call("stop_discharge")
    assert not ready.discharging
    assert caplog.text.count("could not be written into the record") == 1


async def test_a_disk_that_refuses_to_put_aside_disturbs_nothing(
    house: House, hass_storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = KEY.format(house.entry.entry_id)
    data = {"marks": "?", "days": []}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": data}

    async def refuse(*_: object) -> None:
        raise OSError("disk full")

    file = LedgerFile.of(house.hass, house.entry.entry_id)
    monkeypatch.setattr(file._aside, "async_save", refuse)
    await house.set_up()
    await house.advance(70)
    assert house.entity("system_health") == "Healthy"


async def test_a_record_of_a_newer_version_is_begun_anew(
    house: House, hass_storage: dict[str, Any]
) -> None:
    key = KEY.format(house.entry.entry_id)
    hass_storage[key] = {"version": 99, "minor_version": 1, "key": key, "data": {}}
    await house.set_up()
    await house.advance(70)
    assert (await _summary(house))["days"] == 1


async def test_a_record_of_a_newer_version_waits_for_that_version(
    house: House, hass_storage: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who goes back to an older version has to find the years before in a file beside."""
    house.hass.config.config_dir = str(tmp_path)
    key = KEY.format(house.entry.entry_id)
    document = {"version": 99, "minor_version": 1, "key": key, "data": {"years": "of it"}}
    hass_storage[key] = document
    path = tmp_path / ".storage" / key
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    await LedgerFile(house.hass, house.entry.entry_id).load()
    assert "put aside" in caplog.text
    assert not path.exists()
    assert json.loads(path.with_name(f"{key}.unreadable").read_text()) == document


async def test_one_damaged_day_costs_no_other(
    house: House, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    key = KEY.format(house.entry.entry_id)
    midnight = House.EVENING.replace(hour=0)
    past = [
        Day((midnight - timedelta(days=n)).date().isoformat(), midnight - timedelta(days=n), 24)
        for n in range(9, 0, -1)
    ]
    texts = [pack(replace(day, exported=2.0, money=0.5)) for day in past]
    texts[-2] = texts[-2][:20]
    data = {"marks": pack(Marks(money=4.5)), "days": texts}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": data}
    await house.set_up(export_price=0.2)
    await house.advance(70)
    assert "with 8 days that can be read" in caplog.text
    whole = await _summary(house)
    assert whole["exported_kwh"] == 16.0
    assert whole["days_without_record"] == ["2026-06-19"]
    assert float(house.entity("export_earnings")) == 4.0
    assert hass_storage[f"{key}.unreadable"]["data"] == data


@pytest.mark.parametrize("lifetime", [False, True])
async def test_a_backup_of_a_week_ago_counts_nothing_twice(
    build: Build, hass_storage: dict[str, Any], lifetime: bool
) -> None:
    """Both files are a week old; the meters are not."""
    house = build()
    start = House.EVENING - timedelta(days=7)
    shown = float(house.home.states()[FEED_IN_TOTAL if lifetime else FEED_IN_TODAY].value)
    before = shown - 14.0 if lifetime else 3.0
    mark = Mark(50.0, before, start)
    midnight = start.replace(hour=0)
    day = Day(midnight.date().isoformat(), midnight, 24, exported=3.0)
    key = KEY.format(house.entry.entry_id)
    data = {"marks": pack(Marks(looked=start, export=mark)), "days": [pack(day)]}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": data}
    wiring = {const.CONF_EXPORT_ENERGY: FEED_IN_TOTAL} if lifetime else {}
    await house.set_up(wiring=wiring)
    await house.advance(70)
    found = {row["date"]: row for row in (await house.call("get_report", format="days"))["days"]}
    whole = await _summary(house)
    assert whole["days"] + len(whole["days_without_record"]) == 8
    if not lifetime:
        assert whole["exported_kwh"] == 3.0
        assert len(whole["days_without_record"]) == 6
        return
    assert whole["exported_kwh"] == pytest.approx(17.0, abs=METER_STEP_KWH)
    assert whole["corrected_exported_kwh"] == pytest.approx(14.0, abs=METER_STEP_KWH)
    assert found["2026-06-17"]["exported_kwh"] == pytest.approx(2.0, abs=METER_STEP_KWH)
    assert found["2026-06-17"]["corrections"][0]["why"] == "unwatched"


async def test_a_reload_goes_on_and_removing_forgets(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    await ready.discharge(seconds=60)
    await ready.call("stop_discharge")
    assert await ready.hass.config_entries.async_reload(ready.entry.entry_id)
    await ready.advance(70)
    assert (await _summary(ready))["sessions"] == 1
    key = KEY.format(ready.entry.entry_id)
    assert key in hass_storage
    await ready.hass.config_entries.async_remove(ready.entry.entry_id)
    await ready.settle()
    assert key not in hass_storage
    _file(ready).save_now()
    _file(ready).save_soon()
    await ready.settle()
    assert key not in hass_storage


# What a breach says


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "The sun alone brought too much"), ("de", "Die Sonne allein brachte zu viel")],
)
async def test_a_breach_explains_itself_and_says_what_helps(
    build: Build, language: str, words: str
) -> None:
    house = build(soc=100.0, load_w=0.0, pv_w=4000.0)
    house.hass.config.language = language
    await house.set_up(fixed_limit=0.1)
    await house.advance(300, until=lambda: house.entity("error_state") == "over_export")
    assert words in (house.notification("over_export") or "")
    (day,) = (await house.call("get_report", format="days"))["days"]
    assert [each["cause"] for each in day["breaches"]] == ["sun_alone"]
    assert day["status"] == "over"
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.settle()
    assert words in (house.notification("over_export") or "")  # told again, recorded once
    (day,) = (await house.call("get_report", format="days"))["days"]
    assert len(day["breaches"]) == 1


async def test_a_limit_that_is_lowered_in_a_discharge_is_named(running: House) -> None:
    await running.advance(150)
    exported = float(running.hass.states.get(FEED_IN_TODAY).state)  # type: ignore[union-attr]
    running.options(fixed_limit=exported - 0.05, safety_margin=0)
    await running.advance(90, until=lambda: running.entity("error_state") == "over_export")
    (day,) = (await running.call("get_report", format="days"))["days"]
    assert [each["cause"] for each in day["breaches"]] == ["limit_lowered"]


# What each cause looks like


async def _cause(house: House, seconds: float = 120) -> str:
    """Wait for the breach, see that it is told with its advice, and return its cause."""
    await house.advance(seconds, until=lambda: house.entity("error_state") == "over_export")
    (day,) = (await house.call("get_report", format="days"))["days"]
    (breach,) = day["breaches"]
    cause: str = breach["cause"]
    texts = json.loads(TRANSLATIONS.read_text("utf-8"))["selector"]
    told = house.notification("over_export") or ""
    assert texts["breach_cause"]["options"][cause] in told
    assert texts["breach_advice"]["options"][cause] in told
    return cause


async def test_a_battery_that_does_not_stop_is_named(build: Build) -> None:
    house = build()
    await house.set_up(fixed_limit=0.15, safety_margin=0.05)
    await house.advance(70)
    await house.discharge()
    house.lie("input_boolean", "turn_off")
    house.lie("input_button", "press")
    house.lie("input_number", "set_value")
    assert await _cause(house, 400) == "not_stopped"


async def test_without_a_margin_a_little_less_of_the_contract_is_too_much(build: Build) -> None:
    house = build()
    await house.set_up(target_export=1200, fixed_limit=0.1, safety_margin=0)
    await house.advance(70)
    await house.discharge()
    await house.advance(400, until=lambda: float(house.entity("exported_today")) >= 0.07)
    assert house.discharging
    house.options(fixed_limit=0.055)
    assert await _cause(house) == "margin_too_small"


async def test_sun_after_a_discharge_is_a_load_that_changed(build: Build) -> None:
    house = build(soc=100.0)
    await house.set_up(fixed_limit=0.25, safety_margin=0.1)
    await house.advance(70)
    await house.discharge()
    await house.advance(300, until=lambda: house.entity("discharge_status") == "Complete")
    house.plant.pv_w = 9000.0
    assert await _cause(house, 300) == "load_changed"


async def test_a_meter_that_jumps_is_late(build: Build) -> None:
    house = build()
    await house.set_up(fixed_limit=0.05)
    await house.advance(130)
    house.silence(FEED_IN_TODAY)
    meter = house.hass.states.get(FEED_IN_TODAY)
    assert meter is not None
    house.hass.states.async_set(FEED_IN_TODAY, "0.07", meter.attributes)
    assert await _cause(house) == "meter_late"


async def test_a_forecast_that_fell_is_named(build: Build) -> None:
    house = build()

    def forecast(kwh: float) -> None:
        facts = {"unit_of_measurement": "kWh", "estimate10": kwh, "estimate90": kwh}
        house.hass.states.async_set(FORECAST[const.CONF_FORECAST_TODAY], str(kwh), facts)

    forecast(8.0)
    await house.set_up(wiring=FORECAST, basis="forecast")
    await house.advance(70)
    await house.discharge(300)
    forecast(0.05)
    assert await _cause(house) == "forecast_fell"


# What is shown


async def test_the_service_answers_in_three_forms(ready: House) -> None:
    assert (await _summary(ready))["days"] == 1
    text = (await ready.call("get_report", format="csv"))["csv"]
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert row["date"] == "2026-06-21"
    assert row["status"] == "inside"
    none = await ready.call("get_report", start="2030-01-01", end="2030-02-01", format="days")
    assert none["days"] == []
    assert "page" not in none  # nobody at a browser asked
    with pytest.raises(ServiceValidationError, match="2030"):
        await ready.call("get_report", start="2030-01-01", end="2029-01-01")


@pytest.fixture
async def served(hass: HomeAssistant, build: Build) -> House:
    """A house behind a web server."""
    assert await async_setup_component(hass, "http", {})
    house = build()
    await house.set_up()
    await house.advance(70)
    return house


def _path(house: House, kind: str, query: str = "") -> str:
    return f"/api/export_monitor/{house.entry.entry_id}/report/{kind}{query}"


async def test_an_administrator_opens_page_and_download(
    served: House, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    page = await client.get(_path(served, "page"))
    assert page.status == 200
    assert page.content_type == "text/html"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    text = await page.text()
    assert "Record of exported energy" in text
    assert "2026-06-21" in text
    answer = await client.get(_path(served, "csv", "?start=2026-06-01&end=2026-06-30"))
    assert answer.content_type == "text/csv"
    assert "export-monitor-2026-06-01-2026-06-30.csv" in answer.headers["Content-Disposition"]
    assert (await answer.read()).startswith(b"\xef\xbb\xbfdate,")


async def test_the_download_is_written_as_its_reader_writes(
    served: House, hass_client: ClientSessionGenerator
) -> None:
    served.hass.config.language = "de"
    served.plant.pv_w = 6000.0
    await served.advance(130)
    text = await (await (await hass_client()).get(_path(served, "csv"))).text(encoding="utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text), delimiter=";")
    assert float(row["generated_kwh"].replace(",", ".")) > 0.05
    assert "," in row["generated_kwh"]
    assert date.fromisoformat(row["date"])
    answer = (await served.call("get_report", format="csv"))["csv"]
    (row,) = csv.DictReader(io.StringIO(answer.removeprefix("\ufeff")))
    assert float(row["generated_kwh"]) > 0.05


async def test_others_do_not(
    served: House,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
    hass_read_only_access_token: str,
) -> None:
    nobody = await hass_client_no_auth()
    reader = await hass_client(hass_read_only_access_token)
    for kind in ("page", "csv"):
        assert (await nobody.get(_path(served, kind))).status == 401
        assert (await reader.get(_path(served, kind))).status == 401


@pytest.mark.parametrize(
    ("kind", "query", "status"),
    [
        ("page", "?start=yesterday", 400),
        ("csv", "?end=2026-13-01", 400),
        ("secrets", "", 404),
        ("page", "?end=0001-01-01", 200),
    ],
)
async def test_what_cannot_be_shown_is_refused(
    served: House, hass_client: ClientSessionGenerator, kind: str, query: str, status: int
) -> None:
    client = await hass_client()
    assert (await client.get(_path(served, kind, query))).status == status
    strange = f"/api/export_monitor/other/report/{kind}"
    assert (await client.get(strange)).status == 404


async def _token_of_somebody(hass: HomeAssistant) -> str:
    """Return the access of a user who may control everything and is no administrator."""
    user = await hass.auth.async_create_user("Somebody", group_ids=[GROUP_ID_USER])
    refresh_token = await hass.auth.async_create_refresh_token(user, CLIENT_ID)
    return hass.auth.async_create_access_token(refresh_token)


async def test_the_service_gives_an_administrator_links_that_open_in_a_browser(
    served: House,
    hass_ws_client: WebSocketGenerator,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    ask = {
        "type": "call_service",
        "domain": const.DOMAIN,
        "service": "get_report",
        "service_data": {"start": "2026-06-01"},
        "return_response": True,
    }
    admin = await hass_ws_client(served.hass)
    await admin.send_json_auto_id(ask)
    links = (await admin.receive_json())["result"]["response"]
    browser = await hass_client_no_auth()
    for name in ("page", "download"):
        assert (await browser.get(links[name])).status == 200
    assert (await browser.get(links["page"].replace("06-01", "05-01"))).status == 401
    token = await _token_of_somebody(served.hass)
    somebody = await hass_ws_client(served.hass, token)
    await somebody.send_json_auto_id(ask)
    answer = (await somebody.receive_json())["result"]["response"]
    assert set(answer) == {"summary"}
    assert (await (await hass_client(token)).get(_path(served, "page"))).status == 401


async def test_a_page_leads_on_to_its_table_and_to_days_before_for_no_longer_than_it_holds(
    served: House,
    hass_ws_client: WebSocketGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    book = served.runtime.compliance.book
    midnight = House.EVENING.replace(hour=0)
    past = [
        Day((midnight - timedelta(days=n)).date().isoformat(), midnight - timedelta(days=n), 24)
        for n in range(40, 0, -1)
    ]
    served.runtime.compliance._file.book = replace(book, archive=tuple(map(pack, past)))
    admin = await hass_ws_client(served.hass)
    ask = {"type": "call_service", "domain": const.DOMAIN, "service": "get_report"}
    begin = (date(2026, 6, 21) - timedelta(days=30)).isoformat()
    await admin.send_json_auto_id(
        {**ask, "service_data": {"start": begin}, "return_response": True}
    )
    address = (await admin.receive_json())["result"]["response"]["page"]
    browser = await hass_client_no_auth()
    text = await (await browser.get(address)).text()
    onwards = {
        label: unescape(link) for link, label in re.findall(r'<a href="([^"]+)">([^<]+)<', text)
    }
    assert set(onwards) == {"Earlier days", "All days", "Download as a table (CSV)"}
    answers = {name: await browser.get(link) for name, link in onwards.items()}
    assert {answer.status for answer in answers.values()} == {200}
    assert (await answers["Earlier days"].text()).count("<section") == 10
    assert (await answers["All days"].text()).count("<section") == 41
    assert "Earlier days" not in await answers["All days"].text()
    assert answers["Download as a table (CSV)"].content_type == "text/csv"
    served.freezer.tick(timedelta(seconds=890))
    text = await (await browser.get(address)).text()
    renewed = unescape(re.findall(r'<a href="([^"]+)"', text)[0])
    served.freezer.tick(timedelta(seconds=20))
    assert (await browser.get(renewed)).status == 401


async def test_a_name_is_no_markup(served: House, hass_client: ClientSessionGenerator) -> None:
    served.hass.config_entries.async_update_entry(served.entry, title="<img src=x>{{ 1 }}")
    client = await hass_client()
    text = await (await client.get(_path(served, "page"))).text()
    assert "<img" not in text
    assert "&lt;img src=x&gt;" in text


async def test_statistics_get_what_they_need(ready: House) -> None:
    for name, state_class in (
        ("generated_today", "total_increasing"),
        ("deliberate_export_today", "total_increasing"),
        ("peak_export_today", "measurement"),
    ):
        shown = ready.attributes(name)
        assert shown["state_class"] == state_class
        assert shown["device_class"] in ("energy", "power")
    assert ready.entity("compliance_yesterday") == "No Record"
    assert ready.entity("suggested_margin") == "unavailable"


async def test_the_margin_is_suggested_the_next_day(build: Build) -> None:
    house = build(start=House.LATE - timedelta(minutes=20))
    await house.set_up()
    await house.advance(70)
    await house.discharge(seconds=300)
    await house.call("stop_discharge")
    await house.advance(1000)
    assert float(house.entity("suggested_margin")) == 0.5
    shown = house.attributes("suggested_margin")
    assert shown["days_judged"] == 1
    assert shown["in_force_kwh"] == 0.5
    assert shown["would_cost_kwh"] == 0.0


async def test_earnings_and_carbon_are_there_where_rates_are(build: Build) -> None:
    house = build()
    await house.set_up(export_price=0.2, wiring={const.CONF_CARBON: ["sensor.carbon"]})
    await house.advance(70)
    await house.discharge(seconds=300)
    await house.call("stop_discharge")
    await house.advance(70)
    sold = float(house.entity("deliberate_export_today"))
    assert sold > 0.1
    assert float(house.entity("export_earnings")) == pytest.approx(0.2 * sold, abs=2e-3)
    assert house.attributes("export_earnings")["unit_of_measurement"] == "EUR"
    assert float(house.entity("carbon_saved")) == 0.0
