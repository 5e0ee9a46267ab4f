"""Home Assistant with the AlphaESS package, on plant time and in-process.

The same entity ids and habits as `simulator/homeassistant/packages/alphaess.yaml` has in a real
Home Assistant: everything is edge-triggered, lost writes go unnoticed, triggers within two
seconds of another are dropped. Tests mirror its states into their own Home Assistant and route
that one's service calls here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from simulator import registers as reg
from simulator.home_sensors import GRID, Polling, SensorPoller
from simulator.home_states import UNAVAILABLE, Agenda, EntityState, StateTable
from simulator.plant import Plant
from simulator.settings import LinkDownError, LinkHangError

FORCE_MODES: Final = ("charging", "discharging", "export")
_HELPER: Final = "alphaess_helper_"
AC_LIMIT: Final = f"input_select.{_HELPER}inverter_ac_limit"
RESET_FULL: Final = f"input_button.{_HELPER}dispatch_reset_full"
PAUSE: Final = f"input_boolean.{_HELPER}excess_export_pause"
_AC_LIMITS: Final = ("3", "3.6", "4", "4.6", "5", "6", "8", "10", "12", "15", "20")
_EXPORT_TICK_S: Final = 10.0
# Number: lowest, highest, step, unit, and what a fresh install has.
_NUMBERS: Final = {
    "power": (0.0, 20.0, 0.1, "kW"),
    "duration": (0.0, 480.0, 5.0, "min"),
    "cutoff_soc": (4.0, 100.0, 1.0, "%"),
}


def switch(mode: str) -> str:
    """Return the boolean of a force mode."""
    return f"input_boolean.{_HELPER}force_{mode}"


def number(mode: str, name: str) -> str:
    """Return a force mode's `power` (kW), `duration` (min) or `cutoff_soc` (%)."""
    return f"input_number.{_HELPER}force_{mode}_{name}"


def template_power(mode: str) -> str:
    """Return the number that passes a power on to the helper, inside the AC limit."""
    return f"number.alphaess_template_force_{mode}_power"


def timer(mode: str) -> str:
    """Return a force mode's timer."""
    return f"timer.{_HELPER}force_{mode}_timer"


MODES: Final = (
    *(switch(mode) for mode in FORCE_MODES),
    f"input_boolean.{_HELPER}dispatch",
    f"input_boolean.{_HELPER}excess_export",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How quick the automations are, and how they drop triggers; seconds."""

    write_latency_s: float = 0.1
    """From turning a mode on to its register write; up to 1.7 was measured."""
    reset_latency_s: float = 0.3
    """From turning it off to the reset; up to 3.2 was measured."""
    deaf_s: float = 2.0
    """How long after its writes an automation drops further triggers."""
    polling: Polling = field(default_factory=Polling)


class UnknownServiceError(LookupError):
    """Home Assistant has no such service, or is not running."""


class AlphaEssHome:
    """A running Home Assistant around a plant; `advance` moves both."""

    def __init__(self, plant: Plant, habits: Habits | None = None) -> None:
        """Start as a fresh install that has been up for a while: all off, power 0, limit 3 kW."""
        self.plant = plant
        self.running = True
        self._habits = habits or Habits()
        self._table = StateTable()
        self._agenda = Agenda()
        self._deaf_until: dict[str, float] = {}
        self._timer_run: dict[str, int] = dict.fromkeys(FORCE_MODES, 0)
        self._poller = SensorPoller(plant, self._table, self._agenda, self._habits.polling)
        self._add_helpers()
        self._table.listen(self._on_change)
        self._poller.start()
        self._agenda.add(plant.elapsed_s + _EXPORT_TICK_S, self._export_tick)

    # What a test uses

    def advance(self, dt_s: float) -> None:
        """Let seconds pass for plant and Home Assistant."""
        end = self.plant.elapsed_s + dt_s
        self._run_due()
        while (at := self._agenda.next_at()) is not None and at <= end:
            self.plant.advance(at - self.plant.elapsed_s)
            self._run_due(at)
        self.plant.advance(end - self.plant.elapsed_s)

    def states(self) -> Mapping[str, EntityState]:
        """Return every entity's state; none while Home Assistant is dead."""
        return dict(self._table.states) if self.running else {}

    def drain_reports(self) -> list[tuple[str, EntityState]]:
        """Return every report since the last call in order, the unchanged ones included."""
        return self._table.drain()

    def call(self, domain: str, service: str, data: Mapping[str, object]) -> None:
        """Call a service on the helpers.

        Raises UnknownServiceError, KeyError for an unknown entity, ValueError for a value that
        the entity refuses. As in Home Assistant, success says nothing about the inverter.
        """
        action = self._services().get((domain, service))
        if action is None or not self.running:
            raise UnknownServiceError(f"{domain}.{service}")
        target = data.get("entity_id", ())
        for entity_id in [target] if isinstance(target, str) else _strings(target):
            self._table.value(entity_id)
            action(entity_id, data)

    def kill(self) -> None:
        """Die at once: nothing is written, nothing is polled, nothing is remembered to be done."""
        self.running = False
        self._agenda.clear()
        self._deaf_until.clear()

    def start(self) -> None:
        """Start anew: modes off, numbers and sensor values as they were, a full reset.

        Sensor values from before show as live until the first poll, as they do in a real start.
        """
        self.running = True
        for entity_id in (*MODES, PAUSE):
            self._report(entity_id, "off")
        for mode in FORCE_MODES:
            self._stop_timer(mode)
        for entity_id, state in list(self._table.states.items()):
            self._report(entity_id, state.value)
        self._full_reset()
        self._poller.start()
        self._agenda.add(self.plant.elapsed_s + _EXPORT_TICK_S, self._export_tick)

    # Entities

    def _report(
        self, entity_id: str, value: str, attributes: Mapping[str, object] | None = None
    ) -> None:
        self._table.report(entity_id, value, self.plant.elapsed_s, attributes)

    def _add_helpers(self) -> None:
        for entity_id in (*MODES, PAUSE):
            self._report(entity_id, "off", {"editable": False})
        self._report(RESET_FULL, "unknown", {"editable": False})
        for mode in FORCE_MODES:
            for name, (low, high, step, unit) in _NUMBERS.items():
                attributes = {"min": low, "max": high, "step": step, "unit_of_measurement": unit}
                self._report(number(mode, name), str(low), attributes)
            self._stop_timer(mode)
        self._report(AC_LIMIT, "3", {"options": list(_AC_LIMITS)})
        self._refresh_templates()

    def _refresh_templates(self) -> None:
        limit = self._table.number(AC_LIMIT)
        for mode in FORCE_MODES:
            attributes = {"min": 0.0, "max": limit, "step": 0.1, "unit_of_measurement": "kW"}
            value = UNAVAILABLE if limit is None else self._table.value(number(mode, "power"))
            self._report(template_power(mode), value, attributes)

    # Services

    def _services(self) -> dict[tuple[str, str], Callable[[str, Mapping[str, object]], None]]:
        return {
            ("input_boolean", "turn_on"): lambda entity_id, _: self._report(entity_id, "on"),
            ("input_boolean", "turn_off"): lambda entity_id, _: self._report(entity_id, "off"),
            ("input_boolean", "toggle"): self._toggle,
            ("homeassistant", "turn_on"): lambda entity_id, _: self._report(entity_id, "on"),
            ("homeassistant", "turn_off"): lambda entity_id, _: self._report(entity_id, "off"),
            ("input_number", "set_value"): self._set_number,
            ("number", "set_value"): self._set_template,
            ("input_select", "select_option"): self._select,
            ("input_button", "press"): self._press,
            ("timer", "start"): lambda entity_id, _: self._start_timer(_mode_of(entity_id)),
            ("timer", "cancel"): lambda entity_id, _: self._stop_timer(_mode_of(entity_id)),
        }

    def _toggle(self, entity_id: str, _data: Mapping[str, object]) -> None:
        self._report(entity_id, "off" if self._table.value(entity_id) == "on" else "on")

    def _set_number(self, entity_id: str, data: Mapping[str, object]) -> None:
        # The step is not enforced: Home Assistant takes 3.33 kW and 1 min.
        attributes = self._table.states[entity_id].attributes
        value = float(str(data["value"]))
        if not float(str(attributes["min"])) <= value <= float(str(attributes["max"])):
            raise ValueError(f"{value} is out of range for {entity_id}")
        self._report(entity_id, str(value))

    def _set_template(self, entity_id: str, data: Mapping[str, object]) -> None:
        if self._table.value(entity_id) == UNAVAILABLE:
            return  # Home Assistant passes unavailable entities over without a word
        attributes = self._table.states[entity_id].attributes
        value = float(str(data["value"]))
        if not 0 <= value <= float(str(attributes["max"])):
            raise ValueError(f"{value} is out of range for {entity_id}")
        self._report(number(_mode_of(entity_id), "power"), str(value))

    def _select(self, entity_id: str, data: Mapping[str, object]) -> None:
        option = str(data["option"])
        if option not in _AC_LIMITS:
            raise ValueError(f"{option} is not an option of {entity_id}")
        self._report(entity_id, option)

    def _press(self, entity_id: str, _data: Mapping[str, object]) -> None:
        # A button's state is when it was pressed last; its press is the change of that state.
        self._report(entity_id, self.plant.now.isoformat())

    # Automations

    def _on_change(self, entity_id: str, old: str | None, new: str) -> None:
        """React to an edge as the package's automations do."""
        if old is None or not self.running:
            return
        if entity_id in MODES and (old, new) == ("off", "on"):
            self._turned_on(entity_id)
        elif entity_id in MODES[: len(FORCE_MODES)] and (old, new) == ("on", "off"):
            self._turned_off(_mode_of(entity_id))
        elif entity_id.startswith("input_number."):
            self._number_changed(entity_id)
        elif entity_id == AC_LIMIT:
            self._refresh_templates()
        elif entity_id == RESET_FULL or (entity_id == GRID and new == UNAVAILABLE):
            self._full_reset()

    def _single(self, automation: str, latency_s: float) -> bool:
        """Take the automation for its run and deaf time; False while it is still taken."""
        now = self.plant.elapsed_s
        if now < self._deaf_until.get(automation, 0.0):
            return False
        self._deaf_until[automation] = now + latency_s + self._habits.deaf_s
        return True

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._agenda.add(self.plant.elapsed_s + delay_s, action)

    def _turned_on(self, entity_id: str) -> None:
        latency = self._habits.write_latency_s
        if not self._single("arm", latency):
            return
        if entity_id in MODES[: len(FORCE_MODES)]:
            self._later(latency, partial(self._arm, _mode_of(entity_id), restart_timer=True))
        others = [other for other in MODES if other != entity_id]
        self._later(latency + self._habits.deaf_s, partial(self._turn_off, others))

    def _turn_off(self, entity_ids: Sequence[str]) -> None:
        for entity_id in entity_ids:
            self._report(entity_id, "off")

    def _turned_off(self, mode: str) -> None:
        latency = self._habits.reset_latency_s
        if not self._single("reset", latency):
            return
        self._stop_timer(mode)
        self._later(latency, self._reset_unless_taken_over)

    def _reset_unless_taken_over(self) -> None:
        if not any(self._table.value(switch(mode)) == "on" for mode in FORCE_MODES):
            self._write(reg.RESET_BLOCK)

    def _number_changed(self, entity_id: str) -> None:
        mode = _mode_of(entity_id)
        self._refresh_templates()
        if self._table.value(switch(mode)) == "on":
            restart = entity_id.endswith("_duration")
            self._later(
                self._habits.write_latency_s, partial(self._arm, mode, restart_timer=restart)
            )

    def _full_reset(self) -> None:
        latency = self._habits.reset_latency_s
        if not self._single("full_reset", latency):
            return
        self._turn_off(MODES)
        for mode in FORCE_MODES:
            self._stop_timer(mode)
        self._later(latency, partial(self._write, [0]))
        self._later(latency, partial(self._write, reg.RESET_BLOCK))

    def _export_tick(self) -> None:
        self._later(_EXPORT_TICK_S, self._export_tick)
        if self._table.value(switch("export")) == "on":
            self._arm("export")

    def _arm(self, mode: str, *, restart_timer: bool = False) -> None:
        """Write a mode's helpers to the dispatch registers."""
        power_w = 1000 * (self._table.number(number(mode, "power")) or 0.0)
        if mode == "charging":
            power_w = -power_w
        elif mode == "export":
            load = self._table.number("sensor.alphaess_current_house_load") or 0.0
            pv = self._table.number("sensor.alphaess_current_pv_production") or 0.0
            power_w = max(power_w + load - pv, 0.0)
        cutoff = self._table.number(number(mode, "cutoff_soc")) or 0.0
        minutes = self._table.number(number(mode, "duration")) or 0.0
        self._write(reg.dispatch_block(power_w, cutoff, 60 * minutes))
        if restart_timer:
            self._start_timer(mode)

    def _write(self, values: Sequence[int]) -> None:
        # Home Assistant logs an error, and its service call succeeds all the same.
        with contextlib.suppress(LinkDownError, LinkHangError):
            self.plant.write(reg.DISPATCH, values)

    def _start_timer(self, mode: str) -> None:
        minutes = self._table.number(number(mode, "duration")) or 0.0
        self._timer_run[mode] += 1
        self._report(timer(mode), "active", {"duration": _clock(minutes * 60)})
        self._later(minutes * 60, partial(self._finish_timer, mode, self._timer_run[mode]))

    def _finish_timer(self, mode: str, run: int) -> None:
        if self._timer_run[mode] == run:
            self._stop_timer(mode)
            self._full_reset()

    def _stop_timer(self, mode: str) -> None:
        self._timer_run[mode] += 1
        self._report(timer(mode), "idle", {"duration": "0:00:00"})

    def _run_due(self, until_s: float | None = None) -> None:
        now = self.plant.elapsed_s if until_s is None else until_s
        while (action := self._agenda.pop_due(now)) is not None:
            action()


def _mode_of(entity_id: str) -> str:
    """Return the force mode that an entity id belongs to."""
    mode = entity_id.partition("_force_")[2].split("_", maxsplit=1)[0]
    if mode not in FORCE_MODES:
        raise KeyError(entity_id)
    return mode


def _strings(value: object) -> list[str]:
    if not isinstance(value, Sequence):
        raise TypeError(f"not entity ids: {value!r}")
    return [str(item) for item in value]


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
