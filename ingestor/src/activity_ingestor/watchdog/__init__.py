"""Notices that Home Assistant, or the integration in it, does not guard the battery any more."""

from activity_ingestor.watchdog.channels import Channel, MqttChannel, WebhookChannel
from activity_ingestor.watchdog.dispatch import Dispatcher
from activity_ingestor.watchdog.machine import (
    Alarm,
    AlarmKind,
    Notice,
    NoticeKind,
    Severity,
    Watchdog,
    WatchdogRules,
)

__all__ = [
    "Alarm",
    "AlarmKind",
    "Channel",
    "Dispatcher",
    "MqttChannel",
    "Notice",
    "NoticeKind",
    "Severity",
    "Watchdog",
    "WatchdogRules",
    "WebhookChannel",
]
