"""All settings, from the environment (`INGESTOR_…`), `…_FILE` secrets, or a Home Assistant app."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from enum import StrEnum
import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import orjson
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from activity_ingestor.errors import Category, IngestorError
from activity_ingestor.shapes import ACTIVITY_EVENT, HEARTBEAT_EVENT

PREFIX = "INGESTOR_"
# Where Home Assistant's supervisor puts what the user entered.
APP_OPTIONS = Path("/data/options.json")
_SUPERVISOR_URL = "http://supervisor/core"
_BETWEEN = "\n"  # between problems, on their way through pydantic


class SinkKind(StrEnum):
    """Which database."""

    INFLUXDB_1 = "influxdb1"
    INFLUXDB_2 = "influxdb2"
    FILES = "files"


def _split(value: object) -> object:
    """Return a list from `a, b`; JSON lists and real ones pass."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise ValueError("write a list as: a, b") from error
        return [part.strip() for part in text.split(",") if part.strip()]
    return value


Words: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads `INGESTOR_X_FILE` for a secret `X`, as Docker and systemd hand secrets over."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a secret from its file; raises IngestorError where that cannot be read."""
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if field.annotation is not SecretStr or not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            text = f"{PREFIX}{field_name.upper()}_FILE: {error.strerror}: {path}"
            raise IngestorError(Category.CONFIGURATION, text) from error

    def __call__(self) -> dict[str, Any]:
        """Return every secret that has a file."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


class _AppOptions(PydanticBaseSettingsSource):
    """Reads the options of a Home Assistant app; empty ones count as not given."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: the file is read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the options, and the supervisor's own address and token for Home Assistant."""
        if not APP_OPTIONS.is_file():
            return {}
        options = orjson.loads(APP_OPTIONS.read_bytes())
        found = {key: value for key, value in options.items() if value not in ("", None, [])}
        token = os.environ.get("SUPERVISOR_TOKEN")
        if token:
            found.setdefault("home_assistant_url", _SUPERVISOR_URL)
            found.setdefault("home_assistant_token", token)
        return found


class Settings(BaseSettings):
    """Every setting with its default. Names end in their unit: `_s` seconds, `_bytes` bytes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    home_assistant_url: str = ""
    """`http://…:8123`; empty: Home Assistant is not read, and pings are not watched."""
    home_assistant_token: SecretStr = SecretStr("")
    entities: Words = ("*",)
    entities_excluded: Words = ()
    attributes_of: Words = ("*.export_monitor_*",)
    safety_entities: Words = (
        "sensor.export_monitor_error_state",
        "sensor.export_monitor_system_health",
        "sensor.export_monitor_discharge_status",
    )
    event_types: Words = (ACTIVITY_EVENT, HEARTBEAT_EVENT)
    ping_interval_s: Seconds = 2.0
    ping_deadline_s: Seconds = 5.0
    backfill_limit_s: Seconds = 86_400.0

    mqtt_host: str = ""
    """Empty: MQTT is not used."""
    mqtt_port: int = Field(1883, ge=1, le=65_535)
    mqtt_username: str = ""
    mqtt_password: SecretStr = SecretStr("")
    mqtt_tls: bool = False
    mqtt_client_id: str = Field("activity-ingestor", min_length=1)
    mqtt_topics: Words = ()
    """Filters of what is recorded; none: MQTT serves alarms only."""
    mqtt_heartbeat_topic: str = ""
    mqtt_activity_topic: str = ""
    mqtt_safety_topics: Words = ()
    mqtt_command_topics: Words = ("*/set", "*/command")
    mqtt_receive_maximum: int = Field(1000, ge=1, le=65_535)

    sink: SinkKind = SinkKind.INFLUXDB_1
    sink_url: str = ""
    sink_database: str = "export_monitor"
    sink_retention_policy: str = ""
    sink_username: str = ""
    sink_password: SecretStr = SecretStr("")
    sink_org: str = ""
    sink_bucket: str = "export_monitor"
    sink_token: SecretStr = SecretStr("")
    sink_folder: Path = Path("data/lines")
    sink_timeout_s: Seconds = 10.0
    batch_size: int = Field(5000, ge=1, le=100_000)
    batch_s: Seconds = 10.0
    vital_batch_s: Seconds = 1.0
    """Commands and safety events do not wait for company as long."""
    gzip_level: int = Field(1, ge=1, le=9)
    breaker_failures: int = Field(3, ge=1, le=20)
    breaker_reset_s: Seconds = 30.0

    data_folder: Path = Path("data")
    """Spool, dead letters and what is remembered over a restart."""
    spool_bytes: int = Field(2 << 30, ge=16 << 20)
    spool_free_bytes: int = Field(64 << 20, ge=0)

    sign_of_life_s: Annotated[float, Field(ge=4, le=10)] = 8.0
    away_s: Seconds = 180.0
    remind_s: Seconds = 600.0
    critical_errors: Words = (
        "discharge_stop_failed",
        "charge_stop_failed",
        "over_export",
        "battery_not_responding",
    )
    alarm_mqtt_topic: str = ""
    alarm_webhook_url: SecretStr = SecretStr("")
    stop_topic: str = ""
    """Where a stop command is published when a session is unguarded; empty for none."""
    stop_payload: str = "stop"

    http_host: str = "127.0.0.1"
    http_port: int = Field(8098, ge=0, le=65_535)
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_file: Path | None = None
    """Besides standard output."""
    log_file_bytes: int = Field(10 << 20, ge=1 << 16)
    log_files: int = Field(5, ge=1, le=100)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names them
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources: arguments, environment, secret files, app options."""
        return (init_settings, env_settings, _SecretFiles(settings_cls), _AppOptions(settings_cls))

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        """Refuse what could not work, in words that name the settings."""
        problems = list(self._problems())
        if problems:
            raise ValueError(_BETWEEN.join(problems))
        return self

    def _problems(self) -> list[str]:
        checks = (
            (
                not (self.home_assistant_url or self.mqtt_host),
                "set INGESTOR_HOME_ASSISTANT_URL or INGESTOR_MQTT_HOST",
            ),
            (
                bool(self.home_assistant_url) and not _is_http(self.home_assistant_url),
                "INGESTOR_HOME_ASSISTANT_URL is not http://… or https://…",
            ),
            (
                self.sink is not SinkKind.FILES and not _is_http(self.sink_url),
                "INGESTOR_SINK_URL (the database) is not http://… or https://…",
            ),
            (
                bool(self.alarm_mqtt_topic or self.stop_topic or self.mqtt_topics)
                and not self.mqtt_host,
                "topics are set, but INGESTOR_MQTT_HOST is not",
            ),
            (
                any(c in self.alarm_mqtt_topic + self.stop_topic for c in "+#"),
                "a topic to publish to (alarms, stop command) has no + or #",
            ),
            (
                bool(self.alarm_webhook_url.get_secret_value())
                and not _is_http(self.alarm_webhook_url.get_secret_value()),
                "INGESTOR_ALARM_WEBHOOK_URL is not http://… or https://…",
            ),
        )
        return [text for wrong, text in checks if wrong]

    @property
    def websocket_url(self) -> str:
        """Return the address of Home Assistant's WebSocket API."""
        base = self.home_assistant_url.rstrip("/")
        scheme, rest = base.split("://", 1)
        # The supervisor's proxy has it in another place.
        path = "/websocket" if base == _SUPERVISOR_URL else "/api/websocket"
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{path}"


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


class SettingsError(IngestorError):
    """Settings that cannot work."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep each problem in words that name the settings."""
        super().__init__(Category.CONFIGURATION, "; ".join(problems))
        self.problems = problems


def load(**overrides: object) -> Settings:
    """Return the settings; raises SettingsError that names each problem."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(tuple(_problems_of(error))) from None


def _problems_of(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_input=False, include_url=False):
        said = each["msg"].removeprefix("Value error, ")
        if each["loc"]:
            yield f"{PREFIX}{'_'.join(map(str, each['loc'])).upper()}: {said}"
        else:
            yield from said.split(_BETWEEN)


def unknown_variables() -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none."""
    secrets = [n for n, f in Settings.model_fields.items() if f.annotation is SecretStr]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in secrets}
    said = []
    for name in sorted(set(os.environ) - known):
        if name.startswith(PREFIX):
            near = get_close_matches(name, known, 1)
            said.append(f"{name} is no setting" + (f"; is {near[0]} meant?" if near else ""))
    return said
