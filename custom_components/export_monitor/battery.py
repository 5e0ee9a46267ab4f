"""The one place that commands a battery."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, floor

from homeassistant.const import UnitOfPower, UnitOfTime
from homeassistant.core import split_entity_id
from homeassistant.util.unit_conversion import DurationConverter, PowerConverter

from . import const
from .engine.state import Write, WriteKind
from .error_handler import CallResult, Expectation, Outcome, RetryPolicy, SafeServiceCall
from .inputs.sources import NumberLimits
from .models import Kind, Settings
from .presets import Preset

ROLES: Mapping[Kind, Mapping[WriteKind, str]] = {
    Kind.DISCHARGE: {
        WriteKind.POWER: const.CONF_DISCHARGE_POWER,
        WriteKind.CUTOFF: const.CONF_DISCHARGE_CUTOFF,
        WriteKind.DURATION: const.CONF_DISCHARGE_DURATION,
        WriteKind.SWITCH_ON: const.CONF_DISCHARGE_SWITCH,
        WriteKind.SWITCH_OFF: const.CONF_DISCHARGE_SWITCH,
        WriteKind.FALLBACK_STOP: const.CONF_FALLBACK_STOP,
    },
    Kind.CHARGE: {
        WriteKind.POWER: const.CONF_CHARGE_POWER,
        WriteKind.CUTOFF: const.CONF_CHARGE_CUTOFF,
        WriteKind.DURATION: const.CONF_CHARGE_DURATION,
        WriteKind.SWITCH_ON: const.CONF_CHARGE_SWITCH,
        WriteKind.SWITCH_OFF: const.CONF_CHARGE_SWITCH,
        WriteKind.FALLBACK_STOP: const.CONF_FALLBACK_STOP,
    },
}
FULL_SOC = 100.0
EMPTY_SOC = 0.0
ROUNDING = 1e-6


def _refused(outcome: Outcome, detail: str) -> CallResult:
    return CallResult(outcome, 0, 0.0, None, detail)


class Battery:
    """Carries writes out through Home Assistant services and reads each of them back."""

    def __init__(
        self,
        config: Mapping[str, object],
        preset: Preset,
        call: SafeServiceCall,
        limits: Callable[[str], NumberLimits | None],
        switch_policy: RetryPolicy,
    ) -> None:
        """Take the entry's controls; `limits` tells what a number entity accepts."""
        self._config = config
        self._preset = preset
        self._call = call
        self._limits = limits
        self._switch_policy = switch_policy
        self._stop_timeout_s = switch_policy.timeout_s

    def entity_id(self, kind: WriteKind, mode: Kind = Kind.DISCHARGE) -> str:
        """Return the entity that a write goes to, empty when none is configured."""
        return str(self._config.get(ROLES[mode].get(kind, "")) or "")

    def fitted(self, settings: Settings) -> Settings:
        """Return the settings with what the battery's own numbers accept."""
        (step_w, most_w), step_min = self.power_range_w, self.duration_step_min()
        charge_step_min = self.duration_step_min(Kind.CHARGE)
        known = (
            settings.duration_step_min,
            settings.charge_duration_step_min,
            settings.power_step_w,
            settings.most_power_w,
        )
        if known == (step_min, charge_step_min, step_w or settings.power_step_w, most_w):
            return settings
        return replace(
            settings,
            duration_step_min=step_min,
            charge_duration_step_min=charge_step_min,
            power_step_w=step_w or settings.power_step_w,
            most_power_w=most_w,
        )

    @property
    def power_range_w(self) -> tuple[float, float]:
        """Return step and largest value (W) of the discharge's power, 0 while they are unknown."""
        limits = self._limits(self.entity_id(WriteKind.POWER))
        if limits is None or limits.unit not in PowerConverter.VALID_UNITS:
            return 0.0, 0.0
        step, most = (
            PowerConverter.convert(value, limits.unit, UnitOfPower.WATT)
            for value in (limits.step, limits.maximum)
        )
        return round(step, 3), round(most, 3)

    def duration_step_min(self, mode: Kind = Kind.DISCHARGE) -> float:
        """Return the step (min) of the battery's own timer, the preset's while it is unknown."""
        limits = self._limits(self.entity_id(WriteKind.DURATION, mode))
        unit = (limits.unit or UnitOfTime.MINUTES) if limits is not None else ""
        if limits is None or limits.step <= 0 or unit not in DurationConverter.VALID_UNITS:
            return self._preset.duration_step_min
        return DurationConverter.convert(limits.step, unit, UnitOfTime.MINUTES)

    async def carry_out(
        self, write: Write, wanted: Callable[[], bool], session: str = ""
    ) -> CallResult:
        """Carry a write out and verify it; `wanted` is asked before every attempt.

        `session` is the id that log lines carry.

        What belongs to a stop is tried once, past breaker and retries: the machine repeats it.
        """
        match write.kind:
            case WriteKind.SWITCH_ON | WriteKind.SWITCH_OFF:
                return await self._switch(write, wanted, session)
            case WriteKind.FALLBACK_STOP:
                return await self._press(self.entity_id(write.kind, write.mode), session)
            case WriteKind.SMOTHER:
                return await self._smother(write.mode, session)
            case WriteKind.POWER | WriteKind.CUTOFF | WriteKind.DURATION:
                return await self._number(write, wanted, session)

    async def _switch(self, write: Write, wanted: Callable[[], bool], session: str) -> CallResult:
        entity_id = self.entity_id(write.kind, write.mode)
        if not entity_id:  # those of a charge can be taken away while it runs
            return _refused(Outcome.NOT_FOUND, ROLES[write.mode][write.kind])
        domain = split_entity_id(entity_id)[0]
        data = {"entity_id": entity_id}
        if write.kind is WriteKind.SWITCH_ON:
            expect = Expectation(entity_id, state="on")
            return await self._call.call(
                domain,
                "turn_on",
                data,
                expect=expect,
                guard=wanted,
                policy=self._switch_policy,
                session=session,
            )
        return await self._call.call_bypassing(
            domain,
            "turn_off",
            data,
            expect=Expectation(entity_id, state="off"),
            timeout_s=self._stop_timeout_s,
            session=session,
        )

    async def _press(self, entity_id: str, session: str) -> CallResult:
        if not entity_id:
            return _refused(Outcome.NOT_FOUND, const.CONF_FALLBACK_STOP)
        domain = split_entity_id(entity_id)[0]
        return await self._call.call_bypassing(
            domain,
            "press",
            {"entity_id": entity_id},
            timeout_s=self._stop_timeout_s,
            session=session,
        )

    async def _smother(self, mode: Kind, session: str) -> CallResult:
        """Leave as little to do as the numbers accept: the last resort without a fallback stop.

        That is the smallest power, and a cutoff that is reached already.
        """
        results = []
        cutoff = EMPTY_SOC if mode is Kind.CHARGE else FULL_SOC
        for kind, value in ((WriteKind.POWER, 0.0), (WriteKind.CUTOFF, cutoff)):
            entity_id = self.entity_id(kind, mode)
            limits = self._limits(entity_id)
            if limits is None:
                results.append(_refused(Outcome.UNAVAILABLE, entity_id))
                continue
            accepted = _within(value, limits)
            results.append(
                await self._call.call_bypassing(
                    split_entity_id(entity_id)[0],
                    "set_value",
                    {"entity_id": entity_id, "value": accepted},
                    expect=Expectation(entity_id, number=accepted, tolerance=limits.step / 2),
                    timeout_s=self._stop_timeout_s,
                    session=session,
                )
            )
        return next((result for result in results if not result.ok), results[0])

    async def _number(self, write: Write, wanted: Callable[[], bool], session: str) -> CallResult:
        entity_id = self.entity_id(write.kind, write.mode)
        limits = self._limits(entity_id)
        if limits is None:
            return _refused(Outcome.UNAVAILABLE, entity_id)
        value = self.native_value(write, limits)
        if value is None:
            return _refused(Outcome.INVALID, f"{entity_id}: {limits.unit}")
        return await self._call.call(
            split_entity_id(entity_id)[0],
            "set_value",
            {"entity_id": entity_id, "value": value},
            expect=Expectation(entity_id, number=value, tolerance=limits.step / 2),
            guard=wanted,
            session=session,
        )

    def native_value(self, write: Write, limits: NumberLimits) -> float | None:
        """Return a write's value in the entity's own unit and step, None where it cannot be had.

        Power and duration are rounded down, the cutoff of a discharge up and that of a charge
        down, so that rounding never widens a limit.
        """
        step = limits.step
        match write.kind:
            case WriteKind.POWER:
                if limits.unit not in PowerConverter.VALID_UNITS:
                    return None
                value = PowerConverter.convert(write.value, UnitOfPower.WATT, limits.unit)
                value = min(_round_down(value, step), limits.maximum)
                # Less than a step is no power at all: it would arm a discharge of nothing.
                return value if value > 0 and value >= limits.minimum else None
            case WriteKind.DURATION:
                unit = limits.unit or UnitOfTime.MINUTES
                if unit not in DurationConverter.VALID_UNITS:
                    return None
                value = DurationConverter.convert(write.value, UnitOfTime.MINUTES, unit)
                # At least a step: a time of 0 can mean no end at all.
                return _within(max(_round_down(value, step), step), limits)
            case _ if write.mode is Kind.CHARGE:
                return _within(_round_down(write.value, step or 1.0), limits)
            case _:
                return _within(self._cutoff(write.value, step or 1.0), limits)

    def _cutoff(self, floor_soc: float, step: float) -> float:
        """Return the smallest cutoff (%) that the battery does not truncate to below the floor."""
        value = ceil(floor_soc / step - ROUNDING) * step
        unit = self._preset.cutoff_unit
        while unit and value < FULL_SOC and floor(value / unit) * unit < floor_soc:
            value += step
        return min(value, FULL_SOC)


def _round_down(value: float, step: float) -> float:
    return round(floor(value / step + ROUNDING) * step, 6) if step > 0 else value


def _within(value: float, limits: NumberLimits) -> float:
    return min(max(value, limits.minimum), limits.maximum)
