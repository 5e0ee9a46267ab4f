"""The house of a schedule: plant, package and meters, with their faults between them and the world.

Both drivers play on it. What reaches their Home Assistant comes out of `arrivals`; what they ask
of the battery goes in by `serve`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from custom_components.export_monitor import const
from custom_components.export_monitor.models import Basis, Kind
from simulator.alphaess_home import AC_LIMIT, RESET_FULL, AlphaEssHome, Habits, number, switch
from simulator.home_sensors import Polling
from simulator.home_states import EntityState
from simulator.plant import Plant
from simulator.settings import AtCutoff, PlantSettings, Truth

from .schedule import Schedule, Settings

PREFIX: Final = "sensor.alphaess_"
FEED_IN_TODAY: Final = f"{PREFIX}today_s_energy_feed_to_grid_meter"
PV_TODAY: Final = f"{PREFIX}today_s_energy_from_pv"
FORECAST_TODAY: Final = "sensor.solcast_pv_forecast_forecast_today"
DISCHARGING: Final = switch("discharging")
CHARGING: Final = switch("charging")
OTHER_MODES: Final = (CHARGING, switch("export"))
ENTITY_OF_ROLE: Final = {
    "soc": f"{PREFIX}soc_battery",
    "export": FEED_IN_TODAY,
    "generation": PV_TODAY,
    "grid": f"{PREFIX}power_grid",
    "battery": f"{PREFIX}power_battery",
    "pv": f"{PREFIX}current_pv_production",
    "load": f"{PREFIX}current_house_load",
    "dispatch": f"{PREFIX}dispatch_start",
    "switch": DISCHARGING,
    "power": number("discharging", "power"),
    "duration": number("discharging", "duration"),
    "cutoff": number("discharging", "cutoff_soc"),
    "fallback": RESET_FULL,
}
ENTITY_OF_CHARGE: Final = {
    "switch": CHARGING,
    "power": number("charging", "power"),
    "duration": number("charging", "duration"),
    "cutoff": number("charging", "cutoff_soc"),
}
LIFETIME: Final = {
    "export": f"{PREFIX}total_energy_feed_to_grid_meter",
    "generation": f"{PREFIX}total_energy_from_pv",
}
CONFIG_OF_ROLE: Final = {
    "soc": const.CONF_SOC,
    "grid": const.CONF_GRID_POWER,
    "battery": const.CONF_BATTERY_POWER,
    "pv": const.CONF_PV_POWER,
    "load": const.CONF_HOUSE_LOAD,
    "dispatch": const.CONF_DISPATCH_START,
}
FORECAST_HOURS: Final = 3
INVERTER_W: Final = 5000.0
KETTLE_W: Final = 1200.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report as it reaches Home Assistant; a value of None takes the entity away."""

    entity_id: str
    value: str | None
    attributes: Mapping[str, object]


class Stage:
    """One house on plant time. `gates` stand between its reports and who reads them."""

    def __init__(self, schedule: Schedule) -> None:
        """Build the house with the package up and nothing dispatched."""
        self.settings = settings = schedule.settings
        self.plant = Plant(
            PlantSettings(
                start=settings.begin,
                soc=settings.soc,
                capacity_kwh=settings.capacity_kwh,
                inverter_limit_w=INVERTER_W,
                latency_s=settings.latency_s,
                ramp_w_per_s=settings.ramp_w_per_s,
                at_cutoff=AtCutoff.HOLD if settings.sells_itself_out else AtCutoff.SELF_USE,
            )
        )
        self.plant.pv_w, self.plant.load_w = settings.pv_w, settings.load_w
        export_s, pv_s = settings.resets_s
        polling = Polling(
            jitter_s=settings.jitter_s,
            seed=schedule.seed,
            midnight_delay_s={FEED_IN_TODAY: export_s, PV_TODAY: pv_s},
        )
        self.home = AlphaEssHome(
            self.plant,
            Habits(
                write_latency_s=settings.write_s,
                reset_latency_s=settings.reset_s,
                polling=polling,
            ),
        )
        self.home.call("input_select", "select_option", {"entity_id": AC_LIMIT, "option": "5"})
        # What the day had before: no run is long enough to make it first.
        self.home._poller._daily[PV_TODAY] = settings.generated_before
        self.home._poller._report_daily(PV_TODAY)
        self.clock_offset = timedelta()
        self.gates: dict[str, Gate] = {}
        self.forecast_share = 1.0
        self._forecast_shown: float | None = None
        self._slots = _forecast_rows(settings)
        self._late: list[tuple[float, Arrival]] = []
        self._due: list[tuple[float, str, str, dict[str, Any]]] = []
        self._lifted: list[Arrival] = []

    # Time

    @property
    def second(self) -> int:
        """Whole seconds since the run began."""
        return round(self.plant.elapsed_s)

    @property
    def utc(self) -> datetime:
        """Return what Home Assistant's wall clock says."""
        return self.plant.now.astimezone(UTC) + self.clock_offset

    def truth(self) -> Truth:
        """Return what really happens."""
        return self.plant.truth()

    def advance(self) -> None:
        """Let a second pass for plant and package."""
        kettle_s = self.settings.kettle_s
        if kettle_s:
            on = self.second // kettle_s % 2
            self.plant.load_w = self.settings.load_w + on * KETTLE_W
        self.home.advance(1)
        now = self.plant.elapsed_s
        due = [entry for entry in self._due if entry[0] <= now]
        if due:
            self._due = [entry for entry in self._due if entry[0] > now]
            for _, domain, service, data in due:
                self.obey(domain, service, data)

    # What arrives

    def arrivals(self) -> list[Arrival]:
        """Return the reports since the last call, as the gates let them through."""
        found, self._lifted = self._lifted, []
        for entity_id, state in self.home.drain_reports():
            gate = self.gates.get(entity_id)
            if gate is None:
                found.append(Arrival(entity_id, state.value, state.attributes))
            else:
                found.extend(self._through(gate, entity_id, state))
        if self._late:
            now = self.plant.elapsed_s
            found.extend(arrival for at, arrival in self._late if at <= now)
            self._late = [entry for entry in self._late if entry[0] > now]
        if self.settings.basis is Basis.FORECAST and self.forecast_share != self._forecast_shown:
            self._forecast_shown = self.forecast_share
            found.append(self.forecast())
        return found

    def _through(self, gate: "Gate", entity_id: str, state: EntityState) -> list[Arrival]:
        if gate.delay_s:
            arrival = Arrival(entity_id, state.value, state.attributes)
            self._late.append((self.plant.elapsed_s + gate.delay_s, arrival))
            return []
        if gate.silent:
            return []
        value = gate.shown(state.value)
        return [Arrival(entity_id, value, state.attributes)]

    def close(self, entity_id: str, gate: "Gate") -> None:
        """Put a gate before an entity; what it turns into shows at once."""
        self.gates[entity_id] = gate
        state = self.home.states().get(entity_id)
        if state is None or gate.silent or gate.delay_s:
            return
        gate.shown(state.value)  # a frozen sensor keeps what it had
        if gate.replaces:
            self._lifted.append(Arrival(entity_id, gate.shown(state.value), state.attributes))

    def open(self, entity_id: str, gate: "Gate") -> None:
        """Take a gate away; the entity reports what it has."""
        if self.gates.get(entity_id) is not gate:
            return
        del self.gates[entity_id]
        state = self.home.states().get(entity_id)
        if state is not None:
            self._lifted.append(Arrival(entity_id, state.value, state.attributes))

    def all_states(self) -> list[Arrival]:
        """Return everything as a Home Assistant that starts anew sees it."""
        self.home.drain_reports()
        found = []
        for entity_id, state in self.home.states().items():
            gate = self.gates.get(entity_id)
            if gate is not None and (gate.silent or gate.delay_s):
                found.append(Arrival(entity_id, state.value, state.attributes))
            elif gate is not None:
                found.extend(self._through(gate, entity_id, state))
            else:
                found.append(Arrival(entity_id, state.value, state.attributes))
        if self.settings.basis is Basis.FORECAST:
            found.append(self.forecast())
        return found

    # The forecast

    def forecast(self) -> Arrival:
        """Return the forecast's entity as it stands."""
        share = self.forecast_share
        rows = [
            {k: v if k == "period_start" else float(str(v)) * share for k, v in row.items()}
            for row in self._slots
        ]
        total = sum(float(str(row["pv_estimate"])) for row in rows) / 2
        attributes = {
            "unit_of_measurement": "kWh",
            "estimate": total,
            "estimate10": total * 0.7,
            "estimate90": total,
            "detailedForecast": rows,
        }
        return Arrival(FORECAST_TODAY, f"{total:.3f}", attributes)

    def forecast_left(self, moment: datetime) -> float:
        """Return what the forecast still promises (kWh)."""
        left = 0.0
        for row in self._slots:
            start = row["period_start"]
            assert isinstance(start, datetime)
            end = start + timedelta(minutes=30)
            seconds = (end - max(start, moment)).total_seconds()
            if seconds > 0:
                left += float(str(row["pv_estimate"])) * min(seconds, 1800) / 3600
        return left * self.forecast_share

    # What is asked of the battery

    def obey(self, domain: str, service: str, data: Mapping[str, object]) -> None:
        """Let the package do what it is asked; a dead one does nothing."""
        if self.home.running:
            self.home.call(domain, service, data)

    def postpone(self, seconds: float, domain: str, service: str, data: Mapping[str, Any]) -> None:
        """Have a call take effect after seconds, whatever becomes of its caller."""
        self._due.append((self.plant.elapsed_s + seconds, domain, service, dict(data)))

    def mode_on(self, mode: str) -> bool:
        """Whether one of the package's modes is on, in truth."""
        return self.home._table.value(mode) == "on"


@dataclass(slots=True)
class Gate:
    """What stands between a sensor and its readers."""

    fixed: str | None = None
    """Shown instead of the value; None takes the entity away if `replaces`."""
    replaces: bool = False
    silent: bool = False
    delay_s: float = 0.0
    holds: bool = False
    jump: float = 0.0
    _held: str | None = None
    _up: bool = False

    def shown(self, value: str) -> str | None:
        """Return what shows instead of a value."""
        if self.replaces:
            return self.fixed
        if self.holds:
            if self._held is None:
                self._held = value
            return self._held
        return self._jumped(value) if self.jump else value

    def _jumped(self, value: str) -> str:
        try:
            plain = float(value)
        except ValueError:
            return value
        self._up = not self._up
        return f"{plain + self.jump * max(1.0, abs(plain)):.3f}" if self._up else value


def entity_of(settings: Settings, role: str) -> str:
    """Return the entity that a role is wired to; of the controls those of its people's kind."""
    if settings.kind is Kind.CHARGE and role in ENTITY_OF_CHARGE:
        return ENTITY_OF_CHARGE[role]
    if settings.lifetime_counters and role in LIFETIME:
        return LIFETIME[role]
    return ENTITY_OF_ROLE[role]


def switch_of(settings: Settings) -> str:
    """Return the switch of what people here ask for."""
    return entity_of(settings, "switch")


def others_of(settings: Settings) -> tuple[str, ...]:
    """Return the modes that what people here ask for must never be started over."""
    modes = (DISCHARGING, *OTHER_MODES)
    return tuple(mode for mode in modes if mode != switch_of(settings))


def config_of(settings: Settings) -> dict[str, Any]:
    """Return the entry's configuration, data and options in one."""
    sensors = {
        key: ENTITY_OF_ROLE[role]
        for role, key in CONFIG_OF_ROLE.items()
        if role not in settings.absent
    }
    forecast = settings.basis is Basis.FORECAST
    charge = {
        const.CONF_CHARGE_SWITCH: ENTITY_OF_CHARGE["switch"],
        const.CONF_CHARGE_POWER: ENTITY_OF_CHARGE["power"],
        const.CONF_CHARGE_DURATION: ENTITY_OF_CHARGE["duration"],
        const.CONF_CHARGE_CUTOFF: ENTITY_OF_CHARGE["cutoff"],
    }
    return {
        **(charge if settings.kind is Kind.CHARGE else {}),
        const.CONF_PRESET: "alphaess",
        const.CONF_DISCHARGE_SWITCH: DISCHARGING,
        const.CONF_DISCHARGE_POWER: ENTITY_OF_ROLE["power"],
        const.CONF_DISCHARGE_DURATION: ENTITY_OF_ROLE["duration"],
        const.CONF_DISCHARGE_CUTOFF: ENTITY_OF_ROLE["cutoff"],
        const.CONF_FALLBACK_STOP: RESET_FULL,
        const.CONF_CONFLICTING_MODES: list(OTHER_MODES),
        const.CONF_EXPORT_ENERGY: entity_of(settings, "export"),
        const.CONF_PV_ENERGY: [entity_of(settings, "generation")],
        **sensors,
        **({const.CONF_FORECAST_TODAY: FORECAST_TODAY} if forecast else {}),
        const.CONF_TARGET_EXPORT: settings.target_w,
        const.CONF_SITE_EXPORT_LIMIT: settings.site_limit_w,
        const.CONF_BASIS: settings.basis.value,
        const.CONF_FIXED_LIMIT: settings.contract_kwh,
        const.CONF_SAFETY_MARGIN: settings.margin_kwh,
        const.CONF_MIN_SOC: settings.min_soc,
        const.CONF_HARDWARE_LEASE: settings.lease_min,
        const.CONF_BATTERY_CAPACITY: settings.capacity_kwh,
        const.CONF_INVERTER_LIMIT: INVERTER_W,
    }


def _forecast_rows(settings: Settings) -> list[dict[str, object]]:
    """Return half hours that promise the contract between the beginning and midnight."""
    if settings.basis is not Basis.FORECAST:
        return []
    kw = settings.contract_kwh / FORECAST_HOURS
    start = settings.begin.astimezone(UTC)
    return [
        {
            "period_start": start + timedelta(minutes=30 * i),
            "pv_estimate": kw,
            "pv_estimate10": kw * 0.7,
            "pv_estimate90": kw,
        }
        for i in range(2 * FORECAST_HOURS)
    ]
