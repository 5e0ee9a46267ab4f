"""Which entities an entry names, and how each is judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .. import const
from ..error_handler import SourceKind

# Age limits of specification page 3 (s).
FAST_LIMIT_S = 60.0
COUNTER_LIMIT_S = 180.0
DAILY_WORDS = ("today", "daily")

type Config = Mapping[str, object]


def is_daily(entity_id: str) -> bool:
    """Tell a counter of the day from a lifetime counter by its name."""
    return any(word in entity_id for word in DAILY_WORDS)


def entity_ids(config: Config, key: str) -> list[str]:
    """Return the entities of a key that holds one id (as 1.x wrote it) or several."""
    value = config.get(key)
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def charge_switch_of(config: Config) -> str:
    """Return the switch of a charge, empty unless all that commands one is configured."""
    chosen = [next(iter(entity_ids(config, key)), "") for key in const.CHARGE_CONTROLS]
    return chosen[0] if all(chosen) else ""


@dataclass(frozen=True, slots=True)
class Source:
    """One configured entity and how its state is judged."""

    entity_id: str
    kind: SourceKind
    limit_s: float | None = FAST_LIMIT_S
    sign: float = 1.0
    never_negative: bool = False
    rests: bool = False
    """An unchanged value may go unreported: a sibling's report counts for it."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The sources of an entry by role; None where a role is not configured."""

    soc: Source | None
    export: Source | None
    pv_energy: tuple[Source, ...]
    pv_energy_at_rest: tuple[Source, ...]
    """The same without an age limit: nothing is reported while the sun is down."""
    grid: Source | None
    battery: Source | None
    pv: Source | None
    load: Source | None
    dispatch: Source | None
    reserve: Source | None
    switch_id: str
    charge_switch_id: str
    """Empty where the controls of a charge are not all configured."""
    conflict_ids: tuple[str, ...]

    @classmethod
    def of(cls, config: Config) -> "Wiring":
        """Read an entry's configuration."""

        def source(key: str, kind: SourceKind) -> Source | None:
            ids = entity_ids(config, key)
            return Source(ids[0], kind) if ids else None

        soc = source(const.CONF_SOC, SourceKind.SOC)
        battery = source(const.CONF_BATTERY_POWER, SourceKind.POWER)
        if battery and config.get(const.CONF_BATTERY_POWER_SIGN) == const.SIGN_CHARGE_POSITIVE:
            battery = replace(battery, sign=-1.0)
        pv = source(const.CONF_PV_POWER, SourceKind.POWER)
        load = source(const.CONF_HOUSE_LOAD, SourceKind.POWER)
        reserve = source(const.CONF_RESERVE_SOC, SourceKind.SOC)
        export_ids = entity_ids(config, const.CONF_EXPORT_ENERGY)
        charge_switch = charge_switch_of(config)
        pv_energy = tuple(_counter(each) for each in entity_ids(config, const.CONF_PV_ENERGY))
        return cls(
            soc=soc and replace(soc, rests=True),
            export=_counter(export_ids[0]) if export_ids else None,
            pv_energy=pv_energy,
            pv_energy_at_rest=tuple(replace(each, limit_s=None) for each in pv_energy),
            grid=source(const.CONF_GRID_POWER, SourceKind.POWER),
            battery=battery,
            pv=pv and replace(pv, never_negative=True, rests=True),
            load=load and replace(load, rests=True),
            dispatch=source(const.CONF_DISPATCH_START, SourceKind.FLAG),
            reserve=reserve and replace(reserve, limit_s=None)
            if config.get(const.CONF_OBSERVE_RESERVE)
            else None,
            switch_id=str(config.get(const.CONF_DISCHARGE_SWITCH) or ""),
            charge_switch_id=charge_switch,
            conflict_ids=tuple(
                each
                for each in entity_ids(config, const.CONF_CONFLICTING_MODES)
                if each != charge_switch  # the engine knows when it is our own
            ),
        )

    @property
    def measured(self) -> Iterator[Source]:
        """Yield every source that measures something of the house."""
        for source in (
            self.soc,
            self.grid,
            self.battery,
            self.pv,
            self.load,
            self.dispatch,
            self.export,
            *self.pv_energy,
        ):
            if source is not None:
                yield source

    @property
    def deciding_ids(self) -> list[str]:
        """Entities whose change is worth a decision at any time."""
        deciding = (self.soc, self.export, self.dispatch)
        ids = [source.entity_id for source in deciding if source is not None]
        switches = (self.switch_id, self.charge_switch_id)
        return [*ids, *self.conflict_ids, *(each for each in switches if each)]

    @property
    def guarding_ids(self) -> list[str]:
        """Entities whose every report is worth a decision while a session runs."""
        return sorted({s.entity_id for s in self.measured} | set(self.deciding_ids))


def _counter(entity_id: str) -> Source:
    kind = SourceKind.ENERGY_DAILY if is_daily(entity_id) else SourceKind.ENERGY_TOTAL
    return Source(entity_id, kind, COUNTER_LIMIT_S, rests=True)
