"""Schedules that once broke an invariant, shrunk, under the name of what was wrong."""

from datetime import datetime

import pytest

from custom_components.export_monitor.models import Basis, Kind

from .campaign import play
from .schedule import ZONE, Fault, FaultKind, Schedule, Settings

SCHEDULES = {
    # 4: of siblings that rest, the one with the largest negative age was taken for the newest.
    "a clock set back leaves resting counters stale": Schedule(
        settings=Settings(contract_kwh=0.129),
        start_at=91,
        start_tries=1,
        faults=(Fault(FaultKind.CLOCK_JUMP, at=239, duration=1, value=-7200.0),),
        length=325,
    ),
    # 4: a value from before the step was as good as new until the clock had caught up with it.
    "a clock set back after a restart": Schedule(
        settings=Settings(contract_kwh=0.102),
        start_at=77,
        start_tries=1,
        faults=(
            Fault(FaultKind.CLOCK_JUMP, at=114, duration=1, value=-7200.0),
            Fault(FaultKind.RESTART, at=80, duration=1),
        ),
        length=259,
    ),
    # 4: a counter that counted by resting was in doubt again with its first move.
    "a meter of the day moves for the first time after a start": Schedule(
        settings=Settings(pv_w=1500.0, basis=Basis.FORECAST, contract_kwh=0.261),
        start_at=78,
        start_tries=1,
        faults=(Fault(FaultKind.KILL, at=81, duration=1),),
        length=309,
    ),
    # 3: each reload began the deadline of the alarm anew.
    "a reload in the midst of a stop": Schedule(
        settings=Settings(load_w=1600.0, contract_kwh=0.199, margin_kwh=0.1, service_s=1),
        start_at=83,
        start_tries=1,
        faults=(
            Fault(FaultKind.RELOAD, at=229, duration=1),
            Fault(FaultKind.SERVICE_RAISES, at=131, duration=97, target="all"),
        ),
        length=322,
    ),
    # 2: the second attempt at switching on asked only whether a stop had come, seconds after the
    # first, when another mode was on by then,
    "another mode comes between two attempts to switch on": Schedule(
        settings=Settings(
            soc=22.15,
            capacity_kwh=5.0,
            load_w=200.0,
            pv_w=1500.0,
            contract_kwh=0.217,
            margin_kwh=0.1,
            target_w=3000.0,
        ),
        start_at=72,
        faults=(
            Fault(FaultKind.SERVICE_RAISES, at=105, duration=60, target="switch"),
            Fault(FaultKind.OTHER_MODE, at=70, duration=15, target="export"),
            Fault(FaultKind.OTHER_MODE, at=165, duration=60, target="charging"),
        ),
        length=260,
    ),
    # or the link was lost.
    "the link is lost between two attempts to switch on": Schedule(
        settings=Settings(basis=Basis.FORECAST, contract_kwh=0.106, margin_kwh=0.0),
        start_at=93,
        start_tries=1,
        faults=(
            Fault(FaultKind.SERVICE_SLOW, at=85, duration=9, target="switch", value=7.0),
            Fault(FaultKind.LINK_DOWN, at=91, duration=1),
        ),
        length=314,
    ),
    # 7: headroom that ran out while the parameters were written stood as a failed start.
    "headroom runs out during a slow start": Schedule(
        settings=Settings(
            soc=33.86,
            load_w=1600.0,
            pv_w=1500.0,
            contract_kwh=0.599,
            absent=("grid", "load"),
            service_s=1,
            write_s=1.7,
            sells_itself_out=False,
        ),
        start_at=87,
        energy_kwh=0.06,
        length=286,
    ),
    # 5: the last tick before the counter came to rest was put off to its next move, tomorrow's.
    "a clock set back before the last tick of the day": Schedule(
        settings=Settings(
            load_w=200.0,
            pv_w=1500.0,
            contract_kwh=0.778,
            margin_kwh=0.1,
            absent=("battery", "load", "dispatch"),
        ),
        start_at=83,
        stop_at=209,
        faults=(
            Fault(FaultKind.CLOCK_JUMP, at=210, duration=5, value=-600.0),
            Fault(FaultKind.SENSOR_MISSING, at=96, duration=90, target="export"),
        ),
        length=694,
    ),
    # 5: and after a lost link it was many ticks at once, held back as more than can have flowed.
    "a clock set back and then a lost link": Schedule(
        settings=Settings(
            load_w=1600.0,
            pv_w=300.0,
            basis=Basis.FORECAST,
            contract_kwh=0.255,
            margin_kwh=0.1,
            service_s=2,
            reset_s=1.0,
        ),
        stop_at=212,
        faults=(
            Fault(FaultKind.CLOCK_JUMP, at=195, duration=5, value=-600.0),
            Fault(FaultKind.LINK_DOWN, at=209, duration=150),
        ),
        length=379,
    ),
    # 5: without a grid sensor what the battery gave the house counted as exported for as long as a
    # meter of the day rested, and the reset at midnight booked all of it on the new day.
    "a counter that rests until midnight": Schedule(
        settings=Settings(
            begin=datetime(2026, 3, 28, 23, 44, 29, tzinfo=ZONE),
            soc=21.77173514169492,
            capacity_kwh=5.0,
            load_w=1600.0,
            pv_w=300.0,
            contract_kwh=1.295,
            target_w=5000.0,
            lease_min=30.0,
            absent=("grid",),
            service_s=2,
            write_s=1.7,
            jitter_s=0.5,
            sells_itself_out=False,
        ),
        start_at=81,
        faults=(Fault(FaultKind.DST_NIGHT, at=931, duration=30),),
        length=1021,
    ),
    # 4: a reset far from the wall clock's midnight had to hold for three readings,
    "a clock set back over midnight before the counters reset": Schedule(
        settings=Settings(
            begin=datetime(2026, 10, 24, 23, 57, 7, tzinfo=ZONE),
            generated_before=0.6,
            basis=Basis.GENERATED,
            contract_kwh=0.6,
            resets_s=(30.0, 290.0),
        ),
        start_at=92,
        start_tries=1,
        faults=(
            Fault(FaultKind.CLOCK_JUMP, at=225, duration=1, value=-7200.0),
            Fault(FaultKind.COUNTERS_RESET, at=173, duration=295),
        ),
        length=323,
    ),
    # whichever way the clock was set, and whether before midnight or after.
    "a clock set forward before midnight": Schedule(
        settings=Settings(
            begin=datetime(2026, 6, 21, 23, 57, 7, tzinfo=ZONE),
            contract_kwh=0.6,
            resets_s=(300.0, 0.0),
        ),
        faults=(
            Fault(FaultKind.CLOCK_JUMP, at=120, duration=5, value=7200.0),
            Fault(FaultKind.COUNTERS_RESET, at=173, duration=305),
        ),
        length=400,
    ),
    # 7: one poll of the dispatch said 0, and the second that proves it was a second too late.
    "two slow polls of the dispatch prove a stop": Schedule(
        seed=4000000006294,  # of the polls' jitter
        settings=Settings(
            load_w=1000.0,
            pv_w=300.0,
            generated_before=0.1,
            basis=Basis.GENERATED,
            contract_kwh=0.1,
            margin_kwh=0.0,
            absent=("grid", "load"),
            reset_s=3.2,
            jitter_s=0.5,
        ),
        start_at=87,
        start_tries=1,
        length=288,
    ),
    # 1: what somebody switched on again waited for the next attempt, 30 s after the alarm's last.
    "somebody switches on again while a stop is not proven": Schedule(
        settings=Settings(
            load_w=1600.0,
            contract_kwh=0.269,
            margin_kwh=0.1,
            target_w=5000.0,
            reset_s=3.2,
            latency_s=0.5,
            ramp_w_per_s=2500.0,
        ),
        start_at=71,
        start_tries=1,
        faults=(
            Fault(FaultKind.USER_SWITCHES_ON, at=256, duration=3),
            Fault(FaultKind.SENSOR_UNKNOWN, at=244, duration=150, target="dispatch"),
        ),
        length=340,
    ),
    # 5: what flowed before midnight while the counter stood still fills its reset, and is told.
    "a counter that stands still over midnight": Schedule(
        settings=Settings(
            begin=datetime(2026, 10, 24, 23, 55, 40, tzinfo=ZONE),
            contract_kwh=0.295,
            margin_kwh=0.1,
        ),
        start_at=95,
        start_tries=1,
        faults=(
            Fault(FaultKind.COUNTERS_FROZEN, at=168, duration=90),
            Fault(FaultKind.DST_NIGHT, at=260, duration=1),
        ),
        length=349,
    ),
    # 4: the counter that did not move was right, and had nothing to show that it would.
    "a grid sensor that stands still at the end of a session": Schedule(
        settings=Settings(
            begin=datetime(2026, 6, 22, 0, 2, tzinfo=ZONE),
            lifetime_counters=True,
            contract_kwh=0.09,
            margin_kwh=0.0,
            target_w=4000.0,
            lease_min=10.0,
        ),
        start_at=86,
        start_tries=1,
        faults=(Fault(FaultKind.SENSOR_FROZEN, at=100, duration=98, target="grid", value=0.05),),
        length=261,
    ),
    # 1: the end was reckoned anew by a wall clock that had been set back: two hours more.
    "a clock set back and a reload in a charge of some minutes": Schedule(
        settings=Settings(
            begin=datetime(2026, 6, 21, 21, tzinfo=ZONE),
            kind=Kind.CHARGE,
            soc=30.0,
            capacity_kwh=14.0,
            target_w=5000.0,
            lease_min=5.0,
        ),
        start_at=80,
        start_tries=3,
        duration_min=2.7,
        faults=(
            Fault(FaultKind.CLOCK_JUMP, at=90, duration=5, value=-7200.0),
            Fault(FaultKind.RELOAD, at=235, duration=1),
        ),
        length=333,
    ),
    # 1: the inverter gave less than it was told; a lower command, still above it, changed little.
    "a site's limit is passed right after a command": Schedule(
        seed=101003576,
        settings=Settings(
            begin=datetime(2026, 6, 21, 21, tzinfo=ZONE),
            soc=78.1588310667744,
            capacity_kwh=14.0,
            pv_w=1500.0,
            contract_kwh=0.947,
            margin_kwh=0.0,
            target_w=5000.0,
            site_limit_w=3680.0,
            kettle_s=25,
            absent=("load",),
            service_s=3,
            ramp_w_per_s=2500.0,
        ),
        start_at=91,
        stop_at=398,
        length=951,
    ),
    "a grid sensor that fell silent before a charge": Schedule(
        seed=102008814,
        settings=Settings(
            begin=datetime(2026, 6, 21, 21, tzinfo=ZONE),
            kind=Kind.CHARGE,
            contract_kwh=0.202,
            absent=("battery", "load", "dispatch"),
        ),
        start_at=95,
        start_tries=1,
        energy_kwh=0.204,
        faults=(Fault(FaultKind.SENSOR_SILENT, at=91, duration=30, target="grid", value=20.0),),
        length=385,
    ),
    "a kettle goes off while the inverter is at its own limit": Schedule(
        settings=Settings(
            begin=datetime(2026, 6, 21, 21, tzinfo=ZONE),
            soc=86.1,
            load_w=500.0,
            pv_w=1500.0,
            generated_before=0.8,
            basis=Basis.GENERATED,
            contract_kwh=0.8,
            margin_kwh=0.5,
            target_w=5000.0,
            site_limit_w=3680.0,
            kettle_s=40,
            min_soc=20.0,
            lease_min=10.0,
            absent=("dispatch",),
            service_s=1,
            write_s=0.1,
            reset_s=0.3,
            jitter_s=0.5,
            latency_s=0.0,
        ),
        start_at=93,
        start_tries=3,
        retry_s=45,
        length=404,
    ),
    # 4: the counter that a frozen grid sensor accused rests, says nothing, and was never acquitted.
    "a grid sensor that is frozen while it exports": Schedule(
        settings=Settings(
            soc=88.14,
            capacity_kwh=14.0,
            load_w=200.0,
            generated_before=0.2,
            basis=Basis.GENERATED,
            contract_kwh=0.2,
            margin_kwh=0.1,
            absent=("load",),
            service_s=1,
            write_s=0.3,
            jitter_s=0.5,
        ),
        start_at=92,
        stop_at=171,
        faults=(Fault(FaultKind.SENSOR_FROZEN, at=156, duration=60, target="grid", value=0.5),),
        length=287,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_invariant_is_broken(name: str) -> None:
    assert not play(SCHEDULES[name]).violations


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_of_each_kind_in_mid_discharge_breaks_nothing(kind: FaultKind) -> None:
    """One schedule for each kind, to be read; the campaign draws the rest."""
    house = Settings(begin=datetime(2026, 6, 21, 21, tzinfo=ZONE), basis=Basis.FIXED)
    target = {"OTHER_MODE": "charging"}.get(kind.name, "grid")
    target = "switch" if kind.name.startswith("SERVICE_") else target
    fault = Fault(kind, at=120, duration=20, target=target, value=2.0)
    outcome = play(Schedule(settings=house, faults=(fault,)))
    assert outcome.tally.reached_active
    assert not outcome.violations
