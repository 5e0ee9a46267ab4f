"""The channels to people who are not looking at Home Assistant: their phones, mostly.

Each channel has a circuit of its own, and a task of its own for each message: a dead one delays
neither the others nor anything that commands the battery.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
import logging

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .error_handler import CallResult, Outcome, SafeServiceCall

_LOGGER = logging.getLogger(__name__)

DOMAIN = "notify"
SEND_MESSAGE = "send_message"
MOBILE_APP = "mobile_app_"
RESEND_S = (60.0, 120.0, 240.0, 480.0, 900.0)  # then at the last pause, while the alarm stands
# What lets a message of the companion app through a muted phone: iOS reads `push`, Android the
# rest (its `alarm_stream` rings like an alarm clock).
BREAK_THROUGH: Mapping[str, object] = {
    "push": {
        "interruption-level": "critical",
        "sound": {"name": "default", "critical": 1, "volume": 1.0},
    },
    "ttl": 0,
    "priority": "high",
    "channel": "alarm_stream",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is said. On a phone a message replaces the one before it with the same tag."""

    tag: str
    title: str
    text: str
    urgent: bool = True


class Channel:
    """One notify target: a notify entity, or an action of the older kind."""

    def __init__(self, hass: HomeAssistant, target: str, call: SafeServiceCall) -> None:
        """Take the target ("notify.x") and the guarded call that only it uses."""
        self._hass = hass
        self._call = call
        self._works = True
        self.target = target

    async def send(self, message: Message) -> CallResult:
        """Send, and log once that the channel fails and once that it works again."""
        service, data = self._request(message)
        result = await self._call.call(DOMAIN, service, data)
        if result.ok is not self._works:
            self._works = result.ok
            if result.ok:
                _LOGGER.info("%s takes messages again", self.target)
            else:
                _LOGGER.warning(
                    "%s took no message: %s %s", self.target, result.outcome, result.detail
                )
        return result

    def _request(self, message: Message) -> tuple[str, dict[str, object]]:
        plain = message.text.replace("**", "")  # phones show Markdown as it is
        data: dict[str, object] = {"title": message.title, "message": plain}
        name = self.target.partition(".")[2]
        has_action = self._hass.services.has_service(DOMAIN, name)
        if has_action and name.startswith(MOBILE_APP):
            details = {"tag": message.tag, **(BREAK_THROUGH if message.urgent else {})}
            return name, {**data, "data": details}
        if has_action and er.async_get(self._hass).async_get(self.target) is None:
            return name, data
        return SEND_MESSAGE, {"entity_id": self.target, **data}


@dataclass(eq=False, slots=True)
class _Alarm:
    """One alarm that stands: who is still being told, and who may have heard of it."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    told: set[Channel] = field(default_factory=set)


class Channels:
    """All channels of an entry."""

    def __init__(self, hass: HomeAssistant, channels: Iterable[Channel]) -> None:
        """Take the channels; nothing is sent yet."""
        self._hass = hass
        self._channels = tuple(channels)
        self._alarms: dict[str, _Alarm] = {}

    @callback
    def alarm(self, message: Message) -> None:
        """Tell all at once, without waiting; again, ever more rarely, whoever was not reached.

        What is said again while it stands is not sent again.
        """
        if message.tag in self._alarms:
            return
        alarm = self._alarms[message.tag] = _Alarm()
        for channel in self._channels:
            alarm.tasks.append(self._spawn(_insist(channel, message, alarm.told)))

    @callback
    def all_clear(self, message: Message) -> None:
        """End the alarm of the same tag; tell those who were told of it."""
        for channel in self._end(message.tag):
            self._spawn(_once(channel, message))

    @callback
    def hush(self) -> None:
        """End all alarms without a word: they are said anew where they still hold."""
        for tag in tuple(self._alarms):
            self._end(tag)

    async def tell(self, message: Message) -> Mapping[str, Outcome]:
        """Send to all at once; return by target what came of it."""
        results = await asyncio.gather(*(channel.send(message) for channel in self._channels))
        targets = (channel.target for channel in self._channels)
        return {target: each.outcome for target, each in zip(targets, results, strict=True)}

    def _end(self, tag: str) -> set[Channel]:
        alarm = self._alarms.pop(tag, _Alarm())
        for task in alarm.tasks:
            task.cancel()
        return alarm.told

    def _spawn(self, sending: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return self._hass.async_create_background_task(sending, "export_monitor message")


async def _insist(channel: Channel, message: Message, told: set[Channel]) -> None:
    """Send until it got through. On its way, or late, it counts as told: it may have arrived."""
    for pause_s in chain(RESEND_S, repeat(RESEND_S[-1])):
        maybe_told = channel in told
        told.add(channel)
        result = await channel.send(message)
        if result.ok:
            return
        if not maybe_told and result.outcome not in (Outcome.TIMEOUT, Outcome.DEADLINE):
            told.discard(channel)
        await asyncio.sleep(pause_s)


async def _once(channel: Channel, message: Message) -> None:
    await channel.send(message)
