"""Where the record of all days is kept: a file of its own, beside that of the running discharge."""

import asyncio
from collections.abc import Mapping
import logging
import os
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .ledger.book import RECENT_DAYS, Book, Marks
from .ledger.days import Day
from .ledger.pack import pack, unpack
from .storage import UNREADABLE

_LOGGER = logging.getLogger(__name__)

VERSION = 1
DELAY_S = 600.0  # sums are regained from the controller's own, which are written within seconds
SOON_S = 30.0
FILES: HassKey[dict[str, "LedgerFile"]] = HassKey(f"{DOMAIN}_ledgers")


class LedgerFile:
    """One entry's book, in memory and on disk; all runs of the entry share it."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Name the file by the entry; `of` is how to get one."""
        key = f"{DOMAIN}.{entry_id}.days"
        self._hass = hass
        self._store: Store[dict[str, Any]] = Store(hass, VERSION, key, atomic_writes=True)
        self._aside: Store[dict[str, Any]] = Store(hass, VERSION, f"{key}.unreadable")
        self._writing = asyncio.Lock()
        self._due: float | None = None
        self._failed = False
        self._loaded = False
        self._removed = False
        self.book = Book()

    @classmethod
    def of(cls, hass: HomeAssistant, entry_id: str) -> "LedgerFile":
        """Return the one file that all runs of an entry share, as the guard outlives an unload."""
        files = hass.data.setdefault(FILES, {})
        return files.setdefault(entry_id, cls(hass, entry_id))

    async def load(self) -> None:
        """Read the book, unless a run before has; what cannot be understood is put aside."""
        if self._loaded:
            return
        self._loaded = True
        data: dict[str, Any] | None = None
        try:
            data = await self._store.async_load()
            self.book = Book() if data is None else _book(data)
        except UNREADABLE:
            # No record of the past is worth keeping the guard from living.
            if data is not None:
                self.book = await self._hass.async_add_executor_job(_salvaged, data)
            kept = len(self.book.archive) + len(self.book.recent)
            _LOGGER.exception(
                "The record of past days cannot be understood and is begun anew with %d days "
                "that can be read; what was there is put aside",
                kept,
            )
            await self._put_aside(data)

    async def _put_aside(self, data: dict[str, Any] | None) -> None:
        """Keep what cannot be understood: of a newer version, the file as it is."""
        try:
            if data is None:
                move = self._hass.async_add_executor_job
                await move(os.replace, self._store.path, self._aside.path)
            else:
                await self._aside.async_save(data)
        except UNREADABLE:
            _LOGGER.exception("The unreadable record could not be put aside")

    @callback
    def save_now(self) -> None:
        """Write without waiting for it; a disk that refuses disturbs nobody."""
        if not self._removed:
            self._due = None
            self._hass.async_create_task(self._save(), "export_monitor ledger")

    async def _save(self) -> None:
        async with self._writing:
            try:
                await self._store.async_save(self._data())
            except UNREADABLE:
                if not self._failed:
                    _LOGGER.exception("The record of past days could not be written")
                self._failed = True
            else:
                self._failed = False

    @callback
    def save_soon(self, delay_s: float = DELAY_S) -> None:
        """Write within the time (s), and at the latest when Home Assistant stops."""
        if self._removed or (self._due is not None and self._due <= delay_s):
            return
        self._due = delay_s
        self._store.async_delay_save(self._written, delay_s)

    def _written(self) -> dict[str, Any]:
        self._due = None
        return self._data()

    def _data(self) -> dict[str, Any]:
        book = self.book
        return {
            "marks": pack(book.marks),
            "days": [*book.archive, *(pack(day) for day in book.recent)],
        }

    async def remove(self) -> None:
        """Delete the file, after what is being written, and write no more."""
        self._removed = True
        async with self._writing:
            await self._store.async_remove()
            await self._aside.async_remove()
        self.book = Book()


def _book(data: Mapping[str, Any]) -> Book:
    """Return the stored book. Old days stay text, readable or not; raises where the rest is not."""
    texts = [str(text) for text in data["days"]]
    recent = tuple(unpack(Day, text) for text in texts[-RECENT_DAYS:])
    return Book(unpack(Marks, str(data["marks"])), recent, tuple(texts[:-RECENT_DAYS]))


def _salvaged(data: Mapping[str, Any]) -> Book:
    """Return the days of a damaged book that can be read; what is marked is lost."""
    texts = data.get("days")
    days = [day for text in (texts if isinstance(texts, list) else ()) for day in _readable(text)]
    marks = Marks(
        carbon_kg=sum(day.carbon_kg for day in days), money=sum(day.money for day in days)
    )
    archive = tuple(pack(day) for day in days[:-RECENT_DAYS])
    return Book(marks, tuple(days[-RECENT_DAYS:]), archive)


def _readable(text: object) -> list[Day]:
    try:
        return [unpack(Day, str(text))]
    except UNREADABLE:
        return []
