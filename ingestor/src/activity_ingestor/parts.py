"""Builds the parts that the settings ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp
from prometheus_client import CollectorRegistry

from activity_ingestor.circuit import CircuitBreaker, CircuitRules
from activity_ingestor.clock import Clock
from activity_ingestor.errors import Category, IngestorError
from activity_ingestor.health import Dependency, of_alarms, of_database, of_link, of_spool
from activity_ingestor.house import House
from activity_ingestor.intake import Intake
from activity_ingestor.links import Link
from activity_ingestor.metrics import Histograms, Measured, register
from activity_ingestor.pool import PoolReport
from activity_ingestor.recording import Globs, Selection
from activity_ingestor.settings import Settings, SinkKind
from activity_ingestor.shapes import Json
from activity_ingestor.sink import DeadLetters, FileSink, InfluxSink, Sink, Writer
from activity_ingestor.sink.influx import Destination, version_1, version_2
from activity_ingestor.sources import (
    Broker,
    HomeAssistantRules,
    HomeAssistantSource,
    MqttLink,
    MqttSource,
)
from activity_ingestor.sources.home_assistant import GapReport
from activity_ingestor.sources.mqtt import topics_from
from activity_ingestor.spool import Limits, Spool
from activity_ingestor.spool.spool import BULK, VITAL
from activity_ingestor.watchdog import (
    Channel,
    Dispatcher,
    MqttChannel,
    Watchdog,
    WatchdogRules,
    WebhookChannel,
)
from activity_ingestor.watchdog.channels import StopChannel

Run: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts; those that run have a `run`."""

    spool: Spool
    intake: Intake
    writers: list[Writer]
    watchdog: Watchdog
    dispatcher: Dispatcher
    stopper: Dispatcher | None
    home_assistant: HomeAssistantSource | None
    sources: list[tuple[str, Run]]
    services: list[tuple[str, Run]]
    links: list[Link]
    database: CircuitBreaker

    def dependencies(self) -> list[Dependency]:
        """Return every enabled dependency as it is now."""
        return [
            *(of_link(link) for link in self.links),
            of_database(self.database, self.writers),
            of_spool(self.spool),
            *of_alarms(self.dispatcher),
        ]

    def last_heard_us(self) -> int | None:
        """Return from when on Home Assistant's events would be missing after a restart."""
        return self.home_assistant.resume_from_us if self.home_assistant is not None else None


def destination(settings: Settings) -> Destination:
    """Return where the database is."""
    if settings.sink is SinkKind.INFLUXDB_2:
        to = version_2(
            settings.sink_url,
            org=settings.sink_org,
            bucket=settings.sink_bucket,
            token=settings.sink_token.get_secret_value(),
        )
    else:
        to = version_1(
            settings.sink_url,
            settings.sink_database,
            retention_policy=settings.sink_retention_policy,
            user=settings.sink_username,
            password=settings.sink_password.get_secret_value(),
        )
    return Destination(
        to.url,
        to.path,
        to.query,
        to.probe_path,
        to.headers,
        settings.sink_timeout_s,
        settings.gzip_level,
    )


def make_sink(settings: Settings, session: aiohttp.ClientSession, clock: Clock) -> Sink:
    """Return the sink that the settings name."""
    if settings.sink is SinkKind.FILES:
        return FileSink(settings.sink_folder, clock)
    return InfluxSink(session, destination(settings), clock)


def broker_of(settings: Settings, suffix: str = "") -> Broker:
    """Return the broker; each connection to it needs a client id of its own."""
    return Broker(
        host=settings.mqtt_host,
        client_id=settings.mqtt_client_id + suffix,
        port=settings.mqtt_port,
        username=settings.mqtt_username,
        password=settings.mqtt_password.get_secret_value(),
        tls=settings.mqtt_tls,
        receive_maximum=settings.mqtt_receive_maximum,
    )


def selection_of(settings: Settings) -> Selection:
    """Return which entities are recorded, and how."""
    return Selection(
        Globs(settings.entities, settings.entities_excluded),
        Globs(settings.attributes_of),
        Globs(settings.safety_entities),
    )


def configured_token(settings: Settings) -> Callable[[], Awaitable[str]]:
    """Return a function that gives the configured token; it raises where there is none."""

    async def token() -> str:
        secret = settings.home_assistant_token.get_secret_value()
        if not secret:
            raise IngestorError(
                Category.AUTHENTICATION,
                "no token for Home Assistant: set INGESTOR_HOME_ASSISTANT_TOKEN or …_TOKEN_FILE",
            )
        return secret

    return token


def watchdog_rules(settings: Settings) -> WatchdogRules:
    """Return the watchdog's deadlines."""
    return WatchdogRules(
        sign_of_life_s=settings.sign_of_life_s,
        away_s=settings.away_s,
        remind_s=settings.remind_s,
        critical_errors=frozenset(settings.critical_errors),
        watch_pings=bool(settings.home_assistant_url),
    )


@dataclass(frozen=True, slots=True)
class _Alarms:
    dispatcher: Dispatcher
    stopper: Dispatcher | None
    link: MqttLink | None


def _alarms(settings: Settings, session: aiohttp.ClientSession, clock: Clock) -> _Alarms:
    channels: list[Channel] = []
    link: MqttLink | None = None
    stopper: Dispatcher | None = None
    if settings.alarm_mqtt_topic or settings.stop_topic:
        link = MqttLink(
            broker_of(settings, "-alarm"), clock, link=Link("mqtt_alarm", clock, required=False)
        )
    if link is not None and settings.alarm_mqtt_topic:
        channels.append(MqttChannel(link, settings.alarm_mqtt_topic))
    webhook = settings.alarm_webhook_url.get_secret_value()
    if webhook:
        channels.append(WebhookChannel(session, webhook))
    if link is not None and settings.stop_topic:
        stop = StopChannel(link, settings.stop_topic, settings.stop_payload.encode())
        stopper = Dispatcher([stop], clock)
    return _Alarms(Dispatcher(channels, clock), stopper, link)


def _writers(
    settings: Settings, spool: Spool, sink: Sink, clock: Clock, histograms: Histograms
) -> tuple[list[Writer], CircuitBreaker]:
    breaker = CircuitBreaker(
        "database",
        CircuitRules(
            failures=settings.breaker_failures,
            reset_s=settings.breaker_reset_s,
            trial_s=settings.sink_timeout_s * 2,
        ),
        clock.monotonic,
    )
    dead_letters = DeadLetters(settings.data_folder)
    writers = [
        Writer(
            name,
            spool,
            sink,
            breaker=breaker,
            dead_letters=dead_letters,
            clock=clock,
            batch_size=settings.batch_size,
            batch_s=batch_s,
            on_batch=histograms.stored,
        )
        for name, batch_s in ((VITAL, settings.vital_batch_s), (BULK, settings.batch_s))
    ]
    return writers, breaker


def build(  # noqa: PLR0913 - it joins everything
    settings: Settings,
    clock: Clock,
    session: aiohttp.ClientSession,
    pool: PoolReport,
    registry: CollectorRegistry,
    histograms: Histograms,
    *,
    remembered: Json,
    token: Callable[[], Awaitable[str]] | None = None,
) -> Parts:
    """Build everything that the settings enable."""
    limits = Limits(disk_bytes=settings.spool_bytes, free_bytes=settings.spool_free_bytes)
    spool = Spool(settings.data_folder / "spool", clock, limits, histograms.committed)
    intake = Intake(spool)
    watchdog, house = Watchdog(watchdog_rules(settings), clock), House(clock)
    entries = remembered.get("entries")
    if isinstance(entries, dict):
        watchdog.remember(entries)
    intake.add_watcher(watchdog)
    intake.add_watcher(house)
    writers, database = _writers(
        settings, spool, make_sink(settings, session, clock), clock, histograms
    )
    alarms = _alarms(settings, session, clock)
    sources: list[tuple[str, Run]] = []
    services: list[tuple[str, Run]] = []
    links: list[Link] = []
    home_assistant: HomeAssistantSource | None = None
    if settings.home_assistant_url:
        last_heard = remembered.get("last_heard_us")
        home_assistant = HomeAssistantSource(
            HomeAssistantRules(
                settings.websocket_url,
                settings.event_types,
                settings.ping_interval_s,
                settings.ping_deadline_s,
                settings.backfill_limit_s,
            ),
            selection_of(settings),
            token=token or configured_token(settings),
            session=session,
            intake=intake,
            watcher=watchdog,
            clock=clock,
            last_heard_us=last_heard if isinstance(last_heard, int) else None,
        )
        sources.append(("home_assistant", home_assistant.run))
        links.append(home_assistant.link)
    topics = topics_from(
        settings.mqtt_topics,
        heartbeat=settings.mqtt_heartbeat_topic,
        activity=settings.mqtt_activity_topic,
        safety=settings.mqtt_safety_topics,
        commands=settings.mqtt_command_topics,
    )
    if settings.mqtt_host and topics.filters:
        mqtt = MqttSource(broker_of(settings), topics, intake, clock)
        sources.append(("mqtt", mqtt.run))
        links.append(mqtt.link)
    if alarms.link is not None:
        services.append(("mqtt_alarm", alarms.link.run))
        links.append(alarms.link.link)
    if alarms.stopper is not None:
        services.append(("stop_command", alarms.stopper.run))
    stop_lanes = alarms.stopper.lanes if alarms.stopper is not None else []
    breakers = [database, *(lane.breaker for lane in (*alarms.dispatcher.lanes, *stop_lanes))]
    gaps = home_assistant.gaps if home_assistant is not None else GapReport()
    register(
        registry,
        Measured(
            spool,
            intake,
            writers,
            links,
            breakers,
            gaps,
            pool,
            watchdog,
            alarms.dispatcher,
            house,
        ),
        clock,
        histograms,
    )
    return Parts(
        spool,
        intake,
        writers,
        watchdog,
        alarms.dispatcher,
        alarms.stopper,
        home_assistant,
        sources,
        services,
        links,
        database,
    )
