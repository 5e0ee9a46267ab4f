"""Settings say what is wrong with them; every failure has a category with one policy."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path

import aiohttp
import pytest

from activity_ingestor import settings as settings_module
from activity_ingestor.__main__ import EX_CONFIG, main
from activity_ingestor.errors import POLICIES, Category, IngestorError, Policy, categorise, policy
from activity_ingestor.settings import load
from activity_ingestor.sink.influx import refusal_of

GOOD = {"home_assistant_url": "http://ha:8123", "sink_url": "http://db:8086"}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    for name in [n for n in os.environ if n.startswith("INGESTOR_")]:
        monkeypatch.delenv(name)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGESTOR_HOME_ASSISTANT_URL", "https://ha.example/")
    monkeypatch.setenv("INGESTOR_SINK_URL", "http://db:8086")
    monkeypatch.setenv("INGESTOR_ENTITIES", "sensor.*, switch.a")
    found = load()
    assert found.entities == ("sensor.*", "switch.a")
    assert found.websocket_url == "wss://ha.example/api/websocket"


def test_a_secret_comes_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("INGESTOR_HOME_ASSISTANT_TOKEN_FILE", str(tmp_path / "token"))
    found = load(**GOOD)
    assert found.home_assistant_token.get_secret_value() == "secret"
    assert "secret" not in repr(found)


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGESTOR_HOME_ASSISTANT_TOKEN_FILE", "/nowhere")
    with pytest.raises(IngestorError, match="TOKEN_FILE: No such file") as caught:
        load(**GOOD)
    assert caught.value.category is Category.CONFIGURATION


def test_the_options_of_a_home_assistant_app_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "options.json"
    path.write_text(json.dumps({"sink": "files", "sink_url": "", "entities": ["sensor.*"]}))
    monkeypatch.setattr(settings_module, "APP_OPTIONS", path)
    monkeypatch.setenv("SUPERVISOR_TOKEN", "given")
    found = load()
    assert found.websocket_url == "ws://supervisor/core/websocket"
    assert found.entities == ("sensor.*",)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "set INGESTOR_HOME_ASSISTANT_URL or INGESTOR_MQTT_HOST"),
        ({**GOOD, "sink_url": "db:8086"}, "INGESTOR_SINK_URL .* is not http"),
        ({**GOOD, "alarm_mqtt_topic": "a"}, "INGESTOR_MQTT_HOST is not"),
        ({**GOOD, "mqtt_host": "b", "stop_topic": "a/#"}, "has no \\+ or #"),
        ({**GOOD, "batch_size": 0}, "INGESTOR_BATCH_SIZE"),
        ({**GOOD, "entities": "[sensor.*"}, "INGESTOR_ENTITIES: write a list as"),
        ({**GOOD, "sign_of_life_s": 60}, "INGESTOR_SIGN_OF_LIFE_S"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(IngestorError, match=words):
        load(**values)


def test_a_configuration_that_cannot_work_ends_with_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == EX_CONFIG
    assert "set INGESTOR_HOME_ASSISTANT_URL or INGESTOR_MQTT_HOST" in capsys.readouterr().err


def test_every_category_has_one_policy() -> None:
    assert set(POLICIES) == set(Category)


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (ConnectionRefusedError(), Category.NETWORK),
        (TimeoutError(), Category.NETWORK),
        (aiohttp.ClientPayloadError(), Category.NETWORK),
        (aiohttp.InvalidURL("x"), Category.CONFIGURATION),
        (OSError(errno.ENOSPC, "full"), Category.STORAGE),
        (ValueError("bad"), Category.DATA),
        (ZeroDivisionError(), Category.INTERNAL),
        (refusal_of(401, ""), Category.AUTHENTICATION),
        (refusal_of(400, "unable to parse"), Category.DATA),
        (refusal_of(400, "database is required"), Category.CONFIGURATION),
        (refusal_of(404, "database not found"), Category.CONFIGURATION),
        (refusal_of(429, ""), Category.NETWORK),
        (refusal_of(500, ""), Category.NETWORK),
        (refusal_of(200, "<html>"), Category.PROTOCOL),
    ],
)
def test_failures_are_categorised(error: Exception, category: Category) -> None:
    assert categorise(error) is category


def test_a_wrong_token_is_retried_slowly_and_nothing_crash_loops() -> None:
    assert policy(refusal_of(401, "")) is Policy.RETRY_SLOWLY
    assert policy(asyncio.IncompleteReadError(b"", 1)) is Policy.RETRY
