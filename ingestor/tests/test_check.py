"""`check` says what is wrong in words that help, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from activity_ingestor.__main__ import main
from activity_ingestor.check import Result, check
from activity_ingestor.settings import load
from tests.support.home_assistant import TOKEN, FakeHomeAssistant
from tests.support.servers import HOST, free_port
from tests.support.webhook import Webhook


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    for name in [n for n in os.environ if n.startswith("INGESTOR_")]:
        monkeypatch.delenv(name)


async def said(folder: Path, name: str, *, send_alarm: bool = False, **values: object) -> Result:
    settings = load(
        **{
            "home_assistant_url": f"http://{HOST}:{free_port()}",
            "home_assistant_token": TOKEN,
            "sink": "files",
            "sink_folder": folder / "lines",
            "data_folder": folder / "data",
            **values,
        }
    )
    results = await check(settings, send_alarm=send_alarm)
    return next(result for result in results if result.name == name)


async def test_what_works_is_said_to_work(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        result = await said(tmp_path, "Home Assistant", home_assistant_url=home.url)
    assert result.ok, result
    assert "2026.10.4" in result.said
    assert (await said(tmp_path, "data folder")).ok
    assert (await said(tmp_path, "database")).ok


async def test_nobody_at_the_address(tmp_path: Path) -> None:
    port = free_port()
    result = await said(tmp_path, "Home Assistant", home_assistant_url=f"http://{HOST}:{port}")
    assert not result.ok
    assert result.said == f"nothing listens at {HOST}:{port}"
    assert "INGESTOR_HOME_ASSISTANT_URL is the address that your browser shows" in result.advice


async def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    url = "http://no-such-host.invalid:8123"
    result = await said(tmp_path, "Home Assistant", home_assistant_url=url)
    assert "no-such-host.invalid is not known" in result.said


async def test_an_address_with_a_path_or_of_something_else(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        url = f"{home.url}/lovelace/0"
        result = await said(tmp_path, "Home Assistant", home_assistant_url=url)
    assert "it answers 404" in result.said
    assert "without a path" in result.advice


async def test_https_where_http_is_meant(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        url = home.url.replace("http", "https")
        result = await said(tmp_path, "Home Assistant", home_assistant_url=url)
    assert "is http:// meant" in result.said


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_a_wrong_token_or_none(tmp_path: Path, token: str) -> None:
    async with FakeHomeAssistant() as home:
        result = await said(
            tmp_path, "Home Assistant", home_assistant_url=home.url, home_assistant_token=token
        )
    assert not result.ok
    assert ("refuses the token" if token else "no token") in result.said
    assert "make a long-lived access token" in result.advice


async def test_a_token_of_somebody_who_may_not_listen(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        home.is_loaded, home.refusal = False, "unauthorized"
        result = await said(tmp_path, "Home Assistant", home_assistant_url=home.url)
    assert not result.ok, "connected, and deaf"
    assert "not an administrator's" in result.said


async def test_a_home_assistant_without_the_integration(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        home.is_loaded = False
        result = await said(tmp_path, "Home Assistant", home_assistant_url=home.url)
    assert not result.ok
    assert "no Export Monitor running" in result.said
    assert "cannot be noticed" in result.advice


async def test_no_broker(tmp_path: Path) -> None:
    result = await said(tmp_path, "MQTT broker", mqtt_host=HOST, mqtt_port=free_port())
    assert not result.ok
    assert result.said == "nothing listens there"
    assert "INGESTOR_MQTT_HOST" in result.advice


async def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in its place")
    result = await said(tmp_path, "data folder")
    assert not result.ok
    assert str(tmp_path / "data") in result.said
    assert "INGESTOR_DATA_FOLDER" in result.advice
    result = await said(tmp_path, "database", sink_folder=tmp_path / "data" / "lines")
    assert not result.ok
    assert "INGESTOR_SINK_FOLDER" in result.advice


async def test_no_database(tmp_path: Path) -> None:
    port = free_port()
    result = await said(tmp_path, "database", sink="influxdb1", sink_url=f"http://{HOST}:{port}")
    assert result.said == f"nothing listens at {HOST}:{port}"
    assert "events wait on disk" in result.advice


async def test_a_web_page_in_the_place_of_the_database(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        result = await said(tmp_path, "database", sink="influxdb1", sink_url=home.url)
    assert not result.ok
    assert "404" in result.said


async def test_no_channel_for_alarms(tmp_path: Path) -> None:
    result = await said(tmp_path, "alarms")
    assert not result.ok
    assert "Nobody would be told" in result.advice


async def test_a_webhook_is_reached_and_not_set_off(tmp_path: Path) -> None:
    with Webhook() as webhook:
        result = await said(tmp_path, "alarms", alarm_webhook_url=webhook.url)
        assert result.ok, result
        assert webhook.received == []
    result = await said(tmp_path, "alarms", alarm_webhook_url=webhook.url)
    assert not result.ok
    assert "webhook" in result.said
    assert "does not need Home Assistant" in result.advice


async def test_a_test_alarm_is_sent_where_asked_for(tmp_path: Path) -> None:
    with Webhook() as webhook:
        result = await said(tmp_path, "alarms", send_alarm=True, alarm_webhook_url=webhook.url)
        assert result.ok, result
        ((_, message),) = webhook.received
    assert message["state"] == "test"
    assert "Nothing is wrong" in str(message["text"])


async def test_a_slip_of_the_pen_in_a_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGESTOR_HOMEASSISTANT_TOKEN", "secret")
    result = await said(tmp_path, "settings")
    assert not result.ok
    assert result.said == (
        "INGESTOR_HOMEASSISTANT_TOKEN is no setting; is INGESTOR_HOME_ASSISTANT_TOKEN meant?"
    )


def test_the_command_ends_with_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "HOME_ASSISTANT_URL": f"http://{HOST}:{free_port()}",
        "SINK": "files",
        "SINK_FOLDER": tmp_path / "lines",
        "DATA_FOLDER": tmp_path / "data",
    }.items():
        monkeypatch.setenv(f"INGESTOR_{name}", str(value))
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "FAIL Home Assistant: no token for Home Assistant" in out
    assert out.endswith("2 of 5 are wrong\n")
