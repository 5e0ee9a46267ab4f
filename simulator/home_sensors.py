"""The AlphaESS sensors on plant time: polled each at its own pace, derived, counted by the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
import math
import random
from typing import Any, Final

from simulator import registers as reg
from simulator.home_states import UNAVAILABLE, Agenda, StateTable
from simulator.plant import Plant
from simulator.settings import LinkDownError, LinkHangError

_PREFIX: Final = "sensor.alphaess_"
_ENERGY: Final = {
    "unit_of_measurement": "kWh",
    "device_class": "energy",
    "state_class": "total_increasing",
}
_POWER: Final = {"unit_of_measurement": "W", "device_class": "power", "state_class": "measurement"}
_SOC: Final = {
    "unit_of_measurement": "%",
    "device_class": "battery",
    "state_class": "measurement",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSensor:
    """A sensor of Home Assistant's modbus integration: state = (words + offset) x scale."""

    key: str
    address: int
    words: int = 2
    signed: bool = False
    interval_s: float
    scale: float = 1.0
    offset: int = 0
    decimals: int = 0
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def entity_id(self) -> str:
        """Return the id that the package's sensor has."""
        return _PREFIX + self.key

    def decode(self, words: Sequence[int]) -> str:
        """Return the state that Home Assistant would write."""
        number = int.from_bytes(b"".join(word.to_bytes(2) for word in words), signed=self.signed)
        return f"{(number + self.offset) * self.scale:.{self.decimals}f}"


def _power(key: str, address: int, *, words: int = 2, signed: bool = False) -> RegisterSensor:
    return RegisterSensor(
        key=key, address=address, words=words, signed=signed, interval_s=1, attributes=_POWER
    )


def _energy(key: str, address: int, decimals: int = 2) -> RegisterSensor:
    return RegisterSensor(
        key=key,
        address=address,
        interval_s=60,
        scale=10**-decimals,
        decimals=decimals,
        attributes=_ENERGY,
    )


def _dispatch(key: str, at: int, words: int = 1, **how: Any) -> RegisterSensor:
    address = reg.DISPATCH + at
    return RegisterSensor(key=f"dispatch_{key}", address=address, words=words, interval_s=5, **how)


SENSORS: Final = (
    _power("power_grid", reg.GRID_POWER, signed=True),
    _power("power_battery", reg.BATTERY_POWER, words=1, signed=True),
    *(_power(f"power_pv{n}", address) for n, address in enumerate(reg.PV_STRINGS, 1)),
    RegisterSensor(
        key="soc_battery",
        address=reg.SOC,
        words=1,
        interval_s=10,
        scale=0.1,
        decimals=1,
        attributes=_SOC,
    ),
    _energy("total_energy_feed_to_grid_meter", reg.FEED_IN),
    _energy("total_energy_consumed_from_grid_meter", reg.CONSUMED),
    _energy("total_energy_from_pv", reg.PV_ENERGY, decimals=1),
    _energy("total_energy_from_pv_meter", reg.PV_METER_ENERGY),
    _dispatch("start", reg.START),
    _dispatch("active_power", reg.POWER, 2, offset=-reg.POWER_ZERO, attributes=_POWER),
    _dispatch("mode", reg.MODE),
    _dispatch(
        "soc",
        reg.CUTOFF,
        scale=reg.CUTOFF_STEP,
        decimals=1,
        attributes={"unit_of_measurement": "%"},
    ),
    _dispatch("time", reg.TIME, 2, attributes={"unit_of_measurement": "s"}),
)
GRID: Final = f"{_PREFIX}power_grid"
_BATTERY: Final = f"{_PREFIX}power_battery"
_PV: Final = f"{_PREFIX}current_pv_production"
_LOAD: Final = f"{_PREFIX}current_house_load"
_STRINGS: Final = tuple(f"{_PREFIX}power_pv{n}" for n in range(1, 5))
# Daily meter: its source, and how many decimals.
DAILY: Final = {
    f"{_PREFIX}today_s_energy_feed_to_grid_meter": f"{_PREFIX}total_energy_feed_to_grid_meter",
    f"{_PREFIX}today_s_energy_consumed_from_grid_meter": (
        f"{_PREFIX}total_energy_consumed_from_grid_meter"
    ),
    f"{_PREFIX}today_s_energy_from_pv": f"{_PREFIX}total_energy_from_pv",
    f"{_PREFIX}today_s_energy_from_pv_meter": f"{_PREFIX}total_energy_from_pv_meter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """How Home Assistant's polling differs from a clock's."""

    jitter_s: float = 0.0
    """Each poll comes up to this much late; 0.5 is what was measured, with gaps to 3.3."""
    seed: int = 0
    resume_s: float = 30.0
    """From the link's return to the first poll that succeeds."""
    hang_gives_up_s: float | None = None
    """How long a hanging inverter's old values stay before they turn unavailable; None: for ever.
    Both were seen: the grid power gone after 13 s, and everything live and old after 300 s."""
    connect_retry_s: float = 60.0
    """From a start without the inverter to the next try to reach it."""
    midnight_delay_s: Mapping[str, float] | None = None
    """How long after midnight a daily meter (entity id) resets; the others reset on time."""


class SensorPoller:
    """Reads the plant's registers into states, as the modbus integration does."""

    def __init__(self, plant: Plant, table: StateTable, agenda: Agenda, polling: Polling) -> None:
        """Begin with `start`."""
        self._plant = plant
        self._table = table
        self._agenda = agenda
        self._polling = polling
        self._random = random.Random(polling.seed)
        self._resume_at_s = 0.0
        self._hangs_since_s: float | None = None
        self._daily: dict[str, float] = dict.fromkeys(DAILY, 0.0)
        self._last_total: dict[str, float] = {}
        table.listen(self._derive)

    def start(self) -> None:
        """Begin to poll, everything at once; without the inverter not before the next try."""
        now = self._plant.elapsed_s
        for meter in DAILY:
            self._report_daily(meter)
            self._await_midnight(meter)
        try:
            self._plant.read(reg.SOC, 1)
        except (LinkDownError, LinkHangError):
            self._agenda.add(now + self._polling.connect_retry_s, self.start_polls)
        else:
            self.start_polls()

    def start_polls(self) -> None:
        """Poll every sensor now and from now on."""
        for sensor in SENSORS:
            self._poll(sensor)

    def _poll(self, sensor: RegisterSensor) -> None:
        now = self._plant.elapsed_s
        delay = sensor.interval_s + self._random.random() * self._polling.jitter_s
        self._agenda.add(now + delay, partial(self._poll, sensor))
        try:
            words = self._plant.read(sensor.address, sensor.words)
        except LinkHangError:
            if self._hangs_since_s is None:
                self._hangs_since_s = now
            if now - self._hangs_since_s < (self._polling.hang_gives_up_s or math.inf):
                return  # the request waits for its answer, and the old value stands
            value = UNAVAILABLE
        except LinkDownError:
            self._resume_at_s = now + self._polling.resume_s
            value = UNAVAILABLE
        else:
            self._hangs_since_s = None
            value = UNAVAILABLE if now < self._resume_at_s else sensor.decode(words)
        self._table.report(sensor.entity_id, value, now, sensor.attributes)

    # Derived sensors report when one of their sources changes, and only then.

    def _derive(self, entity_id: str, _old: str | None, new: str) -> None:
        now = self._plant.elapsed_s
        if entity_id in _STRINGS:
            self._table.report(_PV, self._sum(_STRINGS), now, _POWER)
        if entity_id in {GRID, _BATTERY, _PV}:
            self._table.report(_LOAD, self._sum((GRID, _BATTERY, _PV)), now, _POWER)
        for meter, source in DAILY.items():
            if source == entity_id:
                self._count(meter, new)

    def _sum(self, entity_ids: Sequence[str]) -> str:
        numbers = [self._table.number(entity_id) for entity_id in entity_ids]
        if None in numbers:
            return UNAVAILABLE
        return f"{sum(number for number in numbers if number is not None):.0f}"

    def _count(self, meter: str, total: str) -> None:
        """Add a step of the lifetime counter to the day, as a utility meter does.

        A total below the last one counts in full, which is how one bad reading spoils a day.
        """
        try:
            number = float(total)
        except ValueError:
            self._table.report(meter, UNAVAILABLE, self._plant.elapsed_s)
            return
        step = number - self._last_total.get(meter, number)
        self._last_total[meter] = number
        self._daily[meter] += step if step >= 0 else number
        self._report_daily(meter)

    def _report_daily(self, meter: str) -> None:
        value = f"{self._daily[meter]:.2f}"
        self._table.report(meter, value, self._plant.elapsed_s, _ENERGY)

    def _await_midnight(self, meter: str) -> None:
        plant = self._plant
        tomorrow = plant.now.date() + timedelta(days=1)
        midnight = datetime.combine(tomorrow, datetime.min.time(), plant.now.tzinfo)
        wait_s = (midnight.astimezone(UTC) - plant.now.astimezone(UTC)).total_seconds()
        wait_s += (self._polling.midnight_delay_s or {}).get(meter, 0.0)
        self._agenda.add(plant.elapsed_s + wait_s, partial(self._reset_daily, meter))

    def _reset_daily(self, meter: str) -> None:
        self._daily[meter] = 0.0
        self._report_daily(meter)
        self._await_midnight(meter)
