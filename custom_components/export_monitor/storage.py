"""What survives a restart: the session, the counter sums, and the error history."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
import logging
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .counts import Counts
from .engine.counter import CounterSum
from .engine.metering import ExportMeter
from .engine.rolling import Rolling
from .engine.state import Lease, Phase, State, Stopping
from .models import Errors, ErrorState, PastError, Session, StandingError

_LOGGER = logging.getLogger(__name__)

VERSION = 1
COUNTS_VERSION = 1
STORAGES: HassKey[dict[str, "Storage"]] = HassKey(f"{DOMAIN}_storages")
PLAN_VERSION = 1
PLAN_DELAY_S = 5.0
UNREADABLE = (
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    NotImplementedError,  # of an older version
    HomeAssistantError,  # of a newer one
    OSError,
)
DELAY_S = 15.0  # counter sums only: a lost step is regained from the counter itself
COUNTS_DELAY_S = 900.0  # they move with every poll, and nothing rests on the last of them


@dataclass(frozen=True, slots=True)
class Record:
    """The part of the controller that is kept. Everything else is found out anew."""

    saved: datetime
    phase: Phase
    meter: ExportMeter
    generation: tuple[CounterSum, ...]
    session: Session | None
    last: Session | None
    lease: Lease | None
    stopping: Stopping | None
    over_export_period: datetime | None
    last_soc: float | None
    last_reserve: float | None
    faults: tuple[ErrorState, ...]
    history: tuple[PastError, ...]
    rolling: tuple[str, ...] = ()
    """The trails of the last 24 hours as text: two numbers a minute would be 60 KB as JSON."""
    standing: tuple[StandingError, ...] = ()
    """What is known of the `faults`."""

    def errors(self) -> Errors:
        """Return the errors as they were."""
        return Errors(self.standing, self.history)

    def state(self) -> State:
        """Return the controller as it was."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        kept.pop("saved")
        kept.pop("history")
        kept.pop("standing")
        kept["faults"] = frozenset(self.faults)
        kept["rolling"] = Rolling.unpacked(self.rolling)
        return State(**kept)


def urgent(before: State, after: State) -> bool:
    """Whether a change must be written through: safety rests on it, or somebody's wish."""
    return (
        before.phase is not after.phase
        or before.lease != after.lease
        or before.faults != after.faults
        or _limits(before.session) != _limits(after.session)
    )


def to_keep(before: State, after: State) -> bool:
    """Whether counters have moved: that can wait for some seconds."""
    return before.meter.counter != after.meter.counter or before.generation != after.generation


def _limits(session: Session | None) -> tuple[object, ...] | None:
    """Return what of a session was asked for; what it has exported so far moves each second."""
    if session is None:
        return None
    return (session.id, session.energy_limit_kwh, session.window_end, session.note)


def record_of(state: State, errors: Errors, saved: datetime) -> Record:
    """Return what is to be kept of a controller."""
    return Record(
        saved=saved,
        phase=state.phase,
        meter=state.meter,
        generation=state.generation,
        session=state.session,
        last=state.last,
        lease=state.lease,
        stopping=state.stopping,
        over_export_period=state.over_export_period,
        last_soc=state.last_soc,
        last_reserve=state.last_reserve,
        faults=tuple(sorted(state.faults)),
        history=errors.history,
        standing=errors.standing,
        rolling=() if state.rolling is None else state.rolling.packed(),
    )


def encode(value: object) -> object:
    """Return a value of dataclasses, enums and times as plain JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | frozenset):
        return [encode(item) for item in value]
    return value


def decode(kind: Any, value: object) -> Any:  # noqa: ANN401 - the type is the argument
    """Return the value of a type that `encode` wrote; raises where it is none."""
    if isinstance(kind, UnionType):
        if value is None:
            return None
        return decode(next(arg for arg in get_args(kind) if arg is not NoneType), value)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError(value)
        return tuple(decode(get_args(kind)[0], item) for item in value)
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise TypeError(value)
        hints = get_type_hints(kind)
        known = {f.name for f in fields(kind)}
        return kind(**{k: decode(hints[k], v) for k, v in value.items() if k in known})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, datetime):
        return datetime.fromisoformat(str(value))
    return kind(value)


class Storage:
    """One entry's record on disk, and beside it the totals of its statistics.

    They are two files: a total that cannot be read or written must never cost the record of a
    running discharge, nor wait in the way of it.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Name the files by the entry; `of` is how to get one."""
        self._store: Store[dict[str, Any]] = Store(
            hass, VERSION, f"{DOMAIN}.{entry_id}", atomic_writes=True
        )
        self._counts_store: Store[dict[str, Any]] = Store(
            hass, COUNTS_VERSION, f"{DOMAIN}.{entry_id}.counts", atomic_writes=True
        )
        self._plan_store: Store[dict[str, Any]] = Store(
            hass, PLAN_VERSION, f"{DOMAIN}.{entry_id}.plan", atomic_writes=True
        )
        self._put_off: Record | None = None
        self._counts: Callable[[], Counts] | None = None
        self._counting = False
        self._writing = asyncio.Lock()
        self._removed = False

    @classmethod
    def of(cls, hass: HomeAssistant, entry_id: str) -> "Storage":
        """Return the one storage that all runs of an entry share.

        With one each, a write that an earlier run has put off would overwrite what a later one
        has written, or bring a removed file back.
        """
        storages = hass.data.setdefault(STORAGES, {})
        return storages.setdefault(entry_id, cls(hass, entry_id))

    async def load(self) -> Record | None:
        """Return the record, None where there is none yet.

        Raises TypeError, ValueError or KeyError where it cannot be understood.
        """
        data = await self._store.async_load()
        record: Record | None = None if data is None else decode(Record, data)
        return record

    async def save(self, record: Record) -> None:
        """Write at once; raises OSError or HomeAssistantError where the disk refuses."""
        async with self._writing:
            if not self._removed:
                self._put_off = None  # what is written now is newer
                await self._store.async_save(encode(record))  # type: ignore[arg-type]

    def save_soon(self, record: Record) -> None:
        """Write within seconds, and at the latest when Home Assistant stops.

        Home Assistant puts a delayed write off each time it is asked for again: a counter that is
        read every ten seconds would never be written. So it is asked once, and writes the newest.
        """
        asked, self._put_off = self._put_off is not None, record
        if not asked and not self._removed:
            self._store.async_delay_save(self._written, DELAY_S)

    def _written(self) -> dict[str, Any]:
        """Return the newest record put off, at the moment of writing."""
        record, self._put_off = self._put_off, None
        return encode(record)  # type: ignore[return-value]

    async def load_counts(self) -> Counts:
        """Return the totals so far: of the run before where there was one, else the stored ones."""
        if self._counts is not None:
            return self._counts()
        try:
            data = await self._counts_store.async_load()
            counts: Counts = Counts() if data is None else decode(Counts, data)
        except UNREADABLE:
            # Statistics must not keep the guard from living.
            _LOGGER.exception("Stored statistics cannot be understood and are started anew")
            return Counts()
        return counts

    def count(self, counts: Callable[[], Counts]) -> None:
        """Take the totals from here from now on."""
        self._counts = counts

    def save_counts_soon(self) -> None:
        """Write the totals within minutes, and at the latest when Home Assistant stops."""
        if self._counting or self._removed or self._counts is None:
            return
        self._counting = True
        self._counts_store.async_delay_save(self._written_counts, COUNTS_DELAY_S)

    def _written_counts(self) -> dict[str, Any]:
        """Return the totals as of the moment of writing."""
        self._counting = False
        counts = Counts() if self._counts is None else self._counts()
        return encode(counts)  # type: ignore[return-value]

    async def load_plan[T](self, kind: type[T]) -> T | None:
        """Return what was remembered of the plan; None where there is nothing to be understood."""
        try:
            data = await self._plan_store.async_load()
            record: T | None = None if data is None else decode(kind, data)
        except UNREADABLE:
            # No plan is worth keeping the guard from living.
            _LOGGER.exception("The stored plan cannot be understood and is made anew")
            return None
        return record

    def save_plan_soon(self, record: Callable[[], object]) -> None:
        """Write within seconds, and at the latest when Home Assistant stops."""
        if not self._removed:
            self._plan_store.async_delay_save(lambda: encode(record()), PLAN_DELAY_S)  # type: ignore[arg-type, return-value]

    async def remove(self) -> None:
        """Delete the files, after what is being written, and write no more."""
        self._removed = True
        async with self._writing:
            await self._store.async_remove()
            await self._counts_store.async_remove()
            await self._plan_store.async_remove()
