"""Keeps the record of what was exported and allowed: the hands of `ledger` in Home Assistant."""

from collections.abc import Callable
from dataclasses import replace
import logging

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from . import phrases
from .control import Control
from .engine.guard import STOP_FLOW_S
from .engine.state import Answer, Command, Ended, Phase, Reply, State
from .inputs.rates import rate_at
from .ledger import Advice, Book, Day, Look, advise, breached, ended, lately, refused, take
from .ledger_file import SOON_S, LedgerFile
from .models import ErrorState, Kind, Rates, Settings
from .planning import PlanSettings

_LOGGER = logging.getLogger(__name__)

ADVISED_DAYS = 365


class Compliance:
    """Sees every step of one entry's controller, and never disturbs it."""

    def __init__(
        self,
        hass: HomeAssistant,
        file: LedgerFile,
        control: Control,
        settings: Callable[[], Settings],
        planning: Callable[[], PlanSettings],
    ) -> None:
        """Write nothing yet."""
        self._hass = hass
        self._file = file
        self._control = control
        self._settings = settings
        self._planning = planning
        self._counted: float | None = None
        self._failed = False
        self._advice: tuple[tuple[str, ...], tuple[Day, ...], Advice] | None = None

    async def begin(self) -> None:
        """Take up the book, and watch every step from now on, also after an unload."""
        await self._file.load()
        await self._hass.async_add_executor_job(lately, self.book, ADVISED_DAYS, _date(0))
        self._control.witness(self._witness)

    @property
    def book(self) -> Book:
        """The book as of the last step."""
        return self._file.book

    @property
    def today(self) -> Day | None:
        """The day that goes on, as far as it was seen."""
        day = self.book.today
        return day if day is not None and day.date == _date(0) else None

    @property
    def yesterday(self) -> Day | None:
        """The day before; None where there is no record of it."""
        return next((day for day in self.book.recent if day.date == _date(-1)), None)

    @property
    def advice(self) -> Advice:
        """What the last year says about the margin, today left out."""
        book, today = self.book, _date(0)
        closed = tuple(day for day in book.recent if day.date < today)
        known = self._advice
        if known is None or known[0] is not book.archive or known[1] != closed:
            advice = advise(lately(book, ADVISED_DAYS, today))
            known = self._advice = (book.archive, closed, advice)
        return known[2]

    @callback
    def explain(self, error: ErrorState) -> str:
        """Write a breach down, once a day, and return its cause and what follows from it."""
        if error is not ErrorState.OVER_EXPORT:
            return ""
        try:
            return self._explained()
        except Exception:  # the alarm itself must get out
            _LOGGER.exception("The record could not explain too much export")
            return ""

    def _explained(self) -> str:
        state, look = self._control.state, self._look(self._control.state)
        if look is None:  # a reload tells again what was written before
            return self._said(self.today)
        book = take(self.book, look)
        today = book.at(look.now)
        if today is not None and not today.breaches:
            jumped = self._counted is not None and (
                state.meter.counter.total > self._counted + look.settings.meter_step_kwh
            )
            running = state.phase is not Phase.IDLE and state.kind is Kind.DISCHARGE
            stop = state.stopping if running else None
            unstopped = stop is not None and (
                self._control.now().mono - stop.since.mono > STOP_FLOW_S
            )
            book, _ = breached(book, look.now, jumped=jumped, running=running, unstopped=unstopped)
            today = book.at(look.now)
            self._keep(book)
        return self._said(today)

    def _said(self, day: Day | None) -> str:
        if day is None or not day.breaches:
            return ""
        return phrases.breach(self._hass, day.breaches[-1].cause)

    # --- Every step ---

    @callback
    def _witness(self, command: Command | None, before: State, after: State) -> None:
        try:
            self._note(command, before, after)
        except Exception:  # the record must never disturb the guard
            if not self._failed:
                _LOGGER.exception("A step could not be written into the record")
            self._failed = True

    def _note(self, command: Command | None, before: State, after: State) -> None:
        look = self._look(after)
        if look is None:
            return
        look = replace(look, begins_anew=_begin_anew(before, after))
        match command:
            case None:
                self._keep(take(self.book, look))
                self._counted = after.meter.counted
            case Ended(session):
                self._keep(ended(self.book, session, look))
            case Reply(answer=Answer.REFUSED, blocker=blocker):
                self._keep(refused(take(self.book, look), str(blocker), look.now))
            case Reply(answer=Answer.FAILED, error=error):
                self._keep(refused(take(self.book, look), str(error), look.now))
            case _:  # nothing that the record speaks of
                pass

    def _keep(self, book: Book) -> None:
        """Take the book over; a new day, session or breach is written at once."""
        before, self._file.book = self._file.book, book
        if _weight(before) != _weight(book):
            self._file.save_now()
        elif _refusals(before) != _refusals(book):
            self._file.save_soon(SOON_S)
        elif before.marks.export != book.marks.export or before.marks.pv != book.marks.pv:
            self._file.save_soon()

    def _look(self, state: State) -> Look | None:
        control = self._control
        readings, now = control.readings, control.now().utc
        if readings is None:
            return None
        planning, grid = self._planning(), readings.grid_power
        usable = grid is not None and grid.usable and grid.value is not None
        return Look(
            now=now,
            settings=self._settings(),
            meter=state.meter,
            generation=state.generation,
            decision=state.decision if state.watch.incomplete is None else None,
            session=state.session,
            last=state.last,
            export_w=-grid.value if usable else None,  # type: ignore[operator, union-attr]
            carbon=self._rate(readings.carbon, None),
            export_price=self._rate(readings.export_price, planning.export_price),
            import_price=self._rate(readings.import_price, planning.import_price),
        )

    def _rate(self, rates: Rates | None, fixed: float | None) -> float | None:
        found = None if rates is None else rate_at(rates.slots, self._control.now().utc)
        return fixed if found is None else found.value


def _date(ahead: int) -> str:
    """Return a local date, so many days from today."""
    today = dt_util.now().date()
    return today.fromordinal(today.toordinal() + ahead).isoformat()


def _begin_anew(before: State, after: State) -> frozenset[str]:
    """Return the meters of which the controller knew nothing before this step."""
    known = {"export": before.meter.counter.raw}
    known |= {f"pv{number}": each.raw for number, each in enumerate(before.generation)}
    now = {"export": after.meter.counter.raw}
    now |= {f"pv{number}": each.raw for number, each in enumerate(after.generation)}
    return frozenset(
        name for name, raw in now.items() if raw is not None and known.get(name) is None
    )


def _weight(book: Book) -> tuple[object, ...]:
    """Return what is worth writing at once."""
    sessions = sum(len(day.sessions) + len(day.breaches) for day in book.recent)
    return (len(book.archive), len(book.recent), sessions)


def _refusals(book: Book) -> int:
    return sum(each.count for day in book.recent for each in day.refusals)
