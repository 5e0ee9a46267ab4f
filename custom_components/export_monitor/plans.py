"""Makes the plan, and makes it anew when what it rests on has changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import logging
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_point_in_utc_time

from . import const
from .control import Control
from .models import Settings
from .outlook import Known, NoPlan, next_half_hour, outlook, wanted
from .planning import Plan, PlanInput, PlanSettings, plan
from .planning.linear import DEADLINE_S
from .replanning import outlived
from .solver import Solver

_LOGGER = logging.getLogger(__name__)

AGAIN: Final = timedelta(seconds=60)
AFTER_OPTIONS: Final = timedelta(seconds=5)
BRIDGED: Final = timedelta(hours=1)
"""For so long a plan outlives its readings: what is missing may be back at the next poll."""
FAILED: Final = "failed"
FAILURE_ISSUE: Final = "planner_failed"


@dataclass(frozen=True, slots=True)
class Made:
    """A plan, and what it was made from."""

    known: Known
    plan: Plan | None
    absent: str | None = None
    """Why there is no plan: a `NoPlan`, or "failed"."""


class Plans:
    """One entry's plan. Looked at every few seconds, made at most once a minute, off the loop."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        control: Control,
        settings: Callable[[], Settings],
        planning: Callable[[], PlanSettings],
    ) -> None:
        """Plan nothing yet."""
        self._hass = hass
        self._entry = entry
        self._control = control
        self._settings = settings
        self._planning = planning
        self.solver = Solver(hass, entry, self._solver_found)
        self.bought_kwh = 0.0
        """How much of what the battery holds was bought from the grid."""
        self._made: Made | None = None
        self._asked: datetime | None = None
        self._busy = False
        self._outdated = False
        self._failing = False
        self._listeners: list[Callable[[], None]] = []
        self._timer: CALLBACK_TYPE | None = None

    # --- What others see ---

    @property
    def plan(self) -> Plan | None:
        """The present plan."""
        return None if self._made is None else self._made.plan

    @property
    def made_at(self) -> datetime | None:
        """When the present plan was made (UTC)."""
        return None if self._made is None else self._made.known.now

    @property
    def absent(self) -> str | None:
        """Why there is no plan; None while there is one, or none has been asked for."""
        return None if self._made is None else self._made.absent

    @property
    def planning(self) -> PlanSettings:
        """The options that hold now."""
        return self._planning()

    @property
    def busy(self) -> bool:
        """Whether a plan is being made that is worth waiting for: that takes two seconds."""
        since = None if self._asked is None else abs(self._control.now().utc - self._asked)
        return self._busy and since is not None and since < AGAIN

    def listen(self, listener: Callable[[], None]) -> None:
        """Call back whenever there is a new plan, or none any more."""
        self._listeners.append(listener)

    # --- Life ---

    @callback
    def start(self) -> Callable[[], None]:
        """Begin to plan; returns how to end that."""
        self._schedule()
        self.look()
        return self._stop

    @callback
    def _stop(self) -> None:
        self._listeners.clear()
        if self._timer is not None:
            self._timer()
            self._timer = None

    @callback
    def _schedule(self) -> None:
        @callback
        def half_past(now: datetime) -> None:
            del now
            self._schedule()
            self.look()

        moment = next_half_hour(self._control.now().utc)
        self._timer = async_track_point_in_utc_time(self._hass, half_past, moment)

    @callback
    def _solver_found(self) -> None:
        self._outdated = True
        self.look()

    @callback
    def look(self) -> None:
        """Make the plan anew where that is due. Returns at once."""
        if self._busy:
            return
        known = self._known()
        if known is None or not self._due(known):
            return
        self._asked, self._outdated = known.now, False
        if wanted(known.planning):
            self.solver.need()
        else:
            self.solver.spare()
        question = outlook(known)
        if isinstance(question, PlanInput):
            self._busy = True
            self._entry.async_create_background_task(
                self._hass, self._ask(Made(known, None), question), "export_monitor plan"
            )
        elif not self._bridges(question, known.now):
            self._take(Made(known, None, question.value))

    def _known(self) -> Known | None:
        readings, state, plan_before = self._control.readings, self._control.state, self.plan
        if readings is None:
            return None
        return Known(
            now=self._control.now().utc,
            readings=readings,
            settings=self._settings(),
            planning=self._planning(),
            decision=None if state.watch.incomplete is not None else state.decision,
            bought_kwh=self.bought_kwh,
            keep=() if plan_before is None else plan_before.windows,
            last_session=None if state.last is None else state.last.id,
        )

    def _due(self, known: Known) -> bool:
        made = self._made
        since = None if self._asked is None else known.now - self._asked
        if made is None or since is None or since < timedelta(0):
            return True
        if (known.planning, known.settings) != (made.known.planning, made.known.settings):
            return since >= AFTER_OPTIONS
        if since < AGAIN or not wanted(known.planning):
            return False
        return made.plan is None or self._outdated or outlived(made.plan, made.known, known)

    def _bridges(self, absent: NoPlan, now: datetime) -> bool:
        """Whether the plan that there is may stand for a while without readings."""
        made = self._made
        if made is None or made.plan is None or absent is not NoPlan.NO_DATA:
            return False
        return now - made.known.now < BRIDGED

    async def _ask(self, made: Made, question: PlanInput) -> None:
        try:
            found = await self._hass.async_add_executor_job(plan, question, DEADLINE_S)
        except Exception:  # whatever it was, the battery must not suffer from it
            if not self._failing:
                _LOGGER.exception("The planner failed; nothing is planned")
            self._fail(failing=True)
            made = replace(made, absent=FAILED)
        else:
            self._fail(failing=False)
            made = replace(made, plan=found)
        finally:
            self._busy = False
        self._take(made)

    def _fail(self, *, failing: bool) -> None:
        if failing is self._failing:
            return
        self._failing = failing
        issue_id = f"{FAILURE_ISSUE}_{self._entry.entry_id}"
        if not failing:
            ir.async_delete_issue(self._hass, const.DOMAIN, issue_id)
            return
        ir.async_create_issue(
            self._hass,
            const.DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="planner_failed",
        )

    def _take(self, made: Made) -> None:
        before, self._made = self._made, made
        if made.plan is None and before is not None and before.absent == made.absent:
            return
        for listener in tuple(self._listeners):
            listener()
