"""The printable page and the table, out of a real Home Assistant and in a real browser.

With `PICTURES` set to a folder, the page is kept there as it looks on a screen, on a phone and on
paper.
"""

from collections.abc import AsyncIterator
import csv
from dataclasses import replace
from datetime import date, datetime, timedelta
import json
import os
from pathlib import Path
import re

import aiohttp
import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="the floor has no browser")

from playwright.async_api import Page

from custom_components.export_monitor.ledger import Breach, Correction, Day, Why
from custom_components.export_monitor.ledger.book import Marks
from custom_components.export_monitor.ledger.pack import pack
from simulation.ahead import Choices
from simulation.year import Job, live
from tests.e2e.browser import DESKTOP, PHONE, Surfer, surfing
from tests.e2e.world import DOMAIN, World

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

DAYS = 5
NAME = '<script>document.title = "taken over"</script> & co.'
PICTURES = os.environ.get("PICTURES")
TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"
FORMULA = re.compile(r"[=+@\t\r]|-\D")


def _past(midnight: datetime) -> list[str]:
    """Return some days of the real engine that end before a midnight, the last but one over."""
    life, _ = live(Job(date(2025, 6, 3), DAYS, 1, Choices(margin_kwh=0.3)))
    days = life.recorded[:DAYS]
    found = [_moved(day, midnight - timedelta(days=DAYS - n)) for n, day in enumerate(days)]
    spoilt, contract = found[-2], found[-2].exported - 0.4
    found[-2] = replace(
        spoilt,
        contract=contract,
        allowance=contract - 0.3,
        least_allowance=contract - 0.3,
        headroom=0.0,
        slack=0.0,
        allowance_by_hour=(*spoilt.allowance_by_hour[:18], *(contract - 0.3,) * 6),
        breaches=(
            Breach(spoilt.sessions[-1].ended, spoilt.exported, contract, "forecast_fell", 2),
        ),
        corrections=(Correction(Why.LATE_METER, midnight - timedelta(days=1), 0.03),),
    )
    return [pack(day) for day in found]


def _moved(day: Day, start: datetime) -> Day:
    by = start - day.start
    return replace(
        day,
        date=start.date().isoformat(),
        start=start,
        sessions=tuple(
            replace(each, started=each.started + by, ended=each.ended + by) for each in day.sessions
        ),
        refusals=tuple(
            replace(each, first=each.first + by, last=each.last + by) for each in day.refusals
        ),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(running: World) -> World:
    """Return the world, restored with a record of the days before."""
    zone = datetime.fromisoformat(await _now(running)).tzinfo
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    await running.hass.stop()
    key = f"{DOMAIN}.{running.entry_id}.days"
    data = {"marks": pack(Marks()), "days": _past(midnight)}
    document = {"version": 1, "minor_version": 1, "key": key, "data": data}
    (running.hass.folder / ".storage" / key).write_text(json.dumps(document))
    await running.hass.start()
    return running


async def _now(world: World) -> str:
    text: str = await world.client.request(
        "POST", "/template", {"template": "{{ now().isoformat() }}"}
    )
    return text


@pytest_asyncio.fixture(loop_scope="module")
async def surfer(recorded: World) -> AsyncIterator[Surfer]:
    async with surfing(recorded.hass.url) as found:
        yield found
        assert await found.close() == []


async def _keep(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


# In this order: the last one lets a second person in, after which nobody is let in unasked.


@pytest.mark.parametrize(("kind", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_an_administrator_opens_the_page(
    recorded: World, surfer: Surfer, kind: str, size: tuple[int, int]
) -> None:
    links = await recorded.act("get_report")
    page = await surfer.open(links["page"].removeprefix("/"), size=size)
    assert await page.title() == "Record of exported energy: Export Monitor"
    sections = page.locator("section.day")
    assert await sections.count() == DAYS + 1
    over = page.locator("section.over")
    assert await over.count() == 1
    text = await over.inner_text()
    assert "The forecast fell" in text
    assert "the meter reported its last step after midnight" in text
    assert "A larger safety margin" in text
    assert await page.locator("section.day svg polyline.export").count() >= DAYS
    assert not await page.evaluate(TOO_WIDE), "a page that has to be pushed about"
    await _keep(page, f"report-{kind}")


@pytest.mark.skipif(not PICTURES, reason="nobody wants a picture")
async def test_it_is_printed(recorded: World, surfer: Surfer) -> None:
    yesterday = date.fromisoformat((await _now(recorded))[:10]) - timedelta(days=1)
    links = await recorded.act("get_report", end=yesterday.isoformat())
    page = await surfer.open(links["page"].removeprefix("/"), size=(820, 1570))
    folder = Path(str(PICTURES))
    await page.screenshot(path=folder / "report.png")
    await page.pdf(path=folder / "report.pdf", format="A4")


async def test_the_table_comes_as_a_file_whose_columns_have_their_types(
    recorded: World, surfer: Surfer, tmp_path: Path
) -> None:
    links = await recorded.act("get_report")
    page = await surfer.open(links["page"].removeprefix("/"))
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Download as a table (CSV)").click()
    download = await coming.value
    assert re.fullmatch(r"export-monitor-[\d-]{21}\.csv", download.suggested_filename)
    path = tmp_path / "table.csv"
    await download.save_as(path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfdate,")
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    assert len(rows) == DAYS + 1
    for row in rows:
        assert date.fromisoformat(row["date"])
        for name, cell in row.items():
            assert not FORMULA.match(cell)
            if name.endswith(("_kwh", "_kg", "_w", "_earned")):
                assert cell == "" or float(cell) > -1e6
    assert [row["status"] for row in rows].count("over") == 1


async def test_a_name_runs_nothing_in_the_browser(recorded: World, surfer: Surfer) -> None:
    await recorded.client.command("config_entries/update", entry_id=recorded.entry_id, title=NAME)
    page = await surfer.open((await recorded.act("get_report"))["page"].removeprefix("/"))
    assert await page.title() == f"Record of exported energy: {NAME}"
    assert await page.locator("script").count() == 0
    assert NAME in await page.locator("body").inner_text()


async def test_who_may_only_look_gets_neither_page_nor_table(recorded: World) -> None:
    links = await recorded.act("get_report")
    paths = [links[name].partition("?")[0] for name in ("page", "download")]
    token = await _guest(recorded)
    async with aiohttp.ClientSession(recorded.hass.url) as session:
        for path in paths:
            for headers in ({}, {"Authorization": f"Bearer {token}"}):
                async with session.get(path, headers=headers) as answer:
                    assert answer.status == 401
        async with session.post(
            f"/api/services/{DOMAIN}/get_report?return_response",
            json={},
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:
            assert answer.status == 401


async def _guest(world: World) -> str:
    """Return the access of a new user who may only look."""
    made = await world.client.command(
        "config/auth/create", name="Guest", group_ids=["system-read-only"]
    )
    here = f"{world.hass.url}/"
    flow = {"client_id": here, "handler": ["trusted_networks", None], "redirect_uri": here}
    async with aiohttp.ClientSession(here) as session:
        async with session.post("/auth/login_flow", json=flow) as answer:
            step = await answer.json()
        chosen = {"client_id": here, "user": made["user"]["id"]}
        async with session.post(f"/auth/login_flow/{step['flow_id']}", json=chosen) as answer:
            code = (await answer.json())["result"]
        grant = {"client_id": here, "grant_type": "authorization_code", "code": code}
        async with session.post("/auth/token", data=grant) as answer:
            token: str = (await answer.json())["access_token"]
            return token
