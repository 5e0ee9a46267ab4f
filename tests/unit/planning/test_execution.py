"""Carrying a plan out: what is asked for, and what becomes of every window."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.export_monitor.models import (
    Blocker,
    EndReason,
    ErrorState,
    Kind,
    MeterMark,
    Origin,
    Session,
)
from custom_components.export_monitor.planning import (
    DayPlan,
    Limit,
    Plan,
    Planner,
    Reason,
    Status,
    Why,
    Window,
)
from custom_components.export_monitor.planning.execution import (
    answered,
    conduct,
    next_look,
    resumed,
)
from custom_components.export_monitor.planning.fates import (
    Execution,
    Fate,
    Look,
    Outcome,
    Replied,
    Revise,
    Start,
    Stop,
    Wish,
)

DAY = datetime(2026, 6, 1, tzinfo=UTC)


def at(clock: str) -> datetime:
    hours, minutes, *seconds = (int(part) for part in clock.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)


def window(start: str, end: str, energy: float = 3.0, kind: Kind = Kind.DISCHARGE) -> Window:
    hours = (at(end) - at(start)).total_seconds() / 3600
    return Window(
        kind=kind,
        start=at(start),
        end=at(end),
        energy_kwh=energy,
        battery_kwh=energy,
        power_w=energy / hours * 1000,
        value=1.0,
        gain=0.5,
        why=Why(Reason.BEST_OF_DAY, 0.3, 0.2),
        steps=(),
    )


def plan_of(*windows: Window) -> Plan:
    return Plan(windows, (), Planner.GREEDY, Status.FEASIBLE, 1.0, 0.0, None, Limit.ALLOWANCE, ())


DAYS = tuple(
    DayPlan(at(start), at(end), 0.0, 0.0, 0.0, 0.0, Limit.ALLOWANCE)
    for start, end in (("00:00", "24:00"), ("24:00", "48:00"))
)


class House:
    """Plays the caller: holds a plan, a machine's session and what was remembered."""

    def __init__(self, *windows: Window, planned: str = "00:00") -> None:
        self.execution = Execution()
        self.plan: Plan | None = plan_of(*windows)
        self.planned = at(planned)
        self.session: Session | None = None
        self.last: Session | None = None
        self.stopping = False
        self.discharge = self.charge = True
        self.dry_run = False
        self.surplus_w: float | None = None
        self.days = False
        self.told: list[Outcome] = []
        self.number = 0

    def look(self, clock: str) -> tuple[Wish, ...]:
        look = Look(
            now=at(clock),
            planned_at=self.planned,
            session=self.session,
            stopping=self.stopping,
            last=self.last,
            auto_discharge=self.discharge,
            auto_charge=self.charge,
            dry_run=self.dry_run,
            surplus_w=self.surplus_w,
            target_w=3000.0,
        )
        self.execution, wishes, outcomes = conduct(self.execution, self.plan, look)
        self.told.extend(outcomes)
        return wishes

    def answer(self, clock: str, replied: Replied) -> None:
        self.execution, outcomes = answered(self.execution, replied, at(clock))
        self.told.extend(outcomes)

    def run(self, start: Start, clock: str) -> None:
        """Let the machine start what was wished for."""
        self.number += 1
        self.session = Session(
            id=f"s{self.number}",
            origin=Origin.AUTOMATIC,
            started=at(clock),
            power_w=3000.0,
            cutoff_soc=20.0,
            meter_at_start=MeterMark(),
            energy_limit_kwh=start.energy_kwh,
            kind=start.kind,
            window_end=start.until,
        )
        self.answer(clock, Replied(session_id=self.session.id))

    def begin(self, clock: str) -> Start:
        """Look at a moment at which a start is wished for, and start it."""
        start = self.look(clock)[0]
        assert isinstance(start, Start)
        self.run(start, clock)
        return start

    def deliver(self, energy: float) -> None:
        assert self.session is not None
        self.session = replace(self.session, exported_kwh=energy)

    def end(self, clock: str, reason: EndReason) -> None:
        assert self.session is not None
        self.last = replace(self.session, ended=at(clock), reason=reason)
        self.session = None

    def replan(self, clock: str, *windows: Window) -> None:
        days = DAYS if self.days else ()
        self.plan, self.planned = replace(plan_of(*windows), days=days), at(clock)

    @property
    def fates(self) -> list[tuple[Fate, str | None]]:
        return [(outcome.fate, outcome.reason) for outcome in self.told]


def test_a_window_is_started_at_its_start_with_its_energy_and_until_its_end() -> None:
    house = House(window("17:00", "18:00"))
    assert house.look("16:59") == ()
    (start,) = house.look("17:00")
    assert isinstance(start, Start)
    assert (start.kind, start.energy_kwh, start.until) == (Kind.DISCHARGE, 3.0, at("18:00"))


def test_a_start_is_wished_once_while_its_answer_is_awaited() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    assert house.look("17:00:05") == ()


def test_a_window_that_ran_is_told_with_its_energy_and_reason() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(2.9)
    assert house.look("17:30") == ()
    house.end("17:59", EndReason.TARGET_REACHED)
    assert house.look("17:59") == ()
    assert house.fates == [(Fate.STARTED, None), (Fate.ENDED, EndReason.TARGET_REACHED)]
    assert house.told[1].energy_kwh == 2.9
    assert house.look("18:00") == ()
    assert len(house.told) == 2


def test_a_charge_window_asks_for_a_charge() -> None:
    house = House(window("02:00", "04:00", kind=Kind.CHARGE))
    (start,) = house.look("02:00")
    assert isinstance(start, Start)
    assert start.kind is Kind.CHARGE


@pytest.mark.parametrize("kind", list(Kind))
def test_without_its_switch_a_window_is_skipped_and_told_once(kind: Kind) -> None:
    house = House(window("17:00", "18:00", kind=kind))
    house.discharge = kind is not Kind.DISCHARGE
    house.charge = kind is not Kind.CHARGE
    assert house.look("17:00") == house.look("17:10") == house.look("18:00") == ()
    assert house.fates == [(Fate.SKIPPED, "switched_off")]


def test_a_switch_turned_on_inside_a_window_starts_it() -> None:
    house = House(window("17:00", "18:00"))
    house.discharge = False
    house.look("17:00")
    house.discharge = True
    assert isinstance(house.look("17:10")[0], Start)


def test_a_switch_turned_off_stops_the_running_session() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.discharge = False
    assert house.look("17:20") == (Stop(EndReason.USER, "switched_off"),)
    house.stopping = True
    assert house.look("17:20:01") == ()


def test_a_switch_turned_off_and_on_again_lets_the_window_go_on() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.discharge = False
    assert house.session is not None
    house.session = replace(house.session, note="switched_off")
    house.end("17:20", EndReason.USER)
    house.look("17:20")
    assert house.fates[-1] == (Fate.ENDED, "switched_off")
    house.discharge = True
    house.replan("17:21", window("17:21", "18:00", 2.0))
    assert isinstance(house.look("17:30")[0], Start)


def test_dry_run_says_what_would_have_been_started_and_starts_nothing() -> None:
    house = House(window("17:00", "18:00"))
    house.dry_run = True
    assert house.look("17:00") == house.look("17:30") == house.look("18:01") == ()
    assert house.fates == [(Fate.WOULD_HAVE_STARTED, "dry_run")]


def test_a_refused_start_is_tried_again_each_minute_and_told_once_a_reason() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.MODE_CONFLICT))
    assert house.look("17:00:30") == ()
    assert isinstance(house.look("17:01")[0], Start)
    house.answer("17:01", Replied(blocker=Blocker.MODE_CONFLICT))
    assert house.fates == [(Fate.REFUSED, Blocker.MODE_CONFLICT)]
    assert isinstance(house.look("17:02")[0], Start)
    house.answer("17:02", Replied(blocker=Blocker.STALE_DATA))
    assert house.fates[1:] == [(Fate.REFUSED, Blocker.STALE_DATA)]


def test_a_window_refused_to_its_end_is_missed_for_the_last_reason() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.MODE_CONFLICT))
    house.look("18:00")
    assert house.fates[-1] == (Fate.MISSED, Blocker.MODE_CONFLICT)


def test_a_window_refused_at_first_and_run_later_is_not_missed() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.MODE_CONFLICT))
    house.begin("17:01")
    house.end("18:00", EndReason.WINDOW_END)
    house.look("18:00")
    assert [fate for fate, _ in house.fates] == [Fate.REFUSED, Fate.STARTED, Fate.ENDED]


def test_a_refusal_that_passes_by_itself_is_not_worth_an_event() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.COOLDOWN))
    assert house.told == []


def test_a_failed_start_is_tried_again_ever_later_and_given_up_after_three() -> None:
    house = House(window("17:00", "19:00"))
    for clock, too_soon in (("17:00", "17:04"), ("17:05", "17:14")):
        assert isinstance(house.look(clock)[0], Start)
        house.answer(clock, Replied(error=ErrorState.START_FAILED))
        assert house.look(too_soon) == ()
    assert isinstance(house.look("17:15")[0], Start)
    house.answer("17:15", Replied(error=ErrorState.START_FAILED))
    assert house.fates == [(Fate.FAILED, ErrorState.START_FAILED)] * 3
    assert house.look("18:30") == ()
    house.look("19:00")
    assert house.fates[-1] == (Fate.MISSED, ErrorState.START_FAILED)


def test_a_session_that_fails_is_told_as_failed_and_taken_up_again() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(0.5)
    house.end("17:10", EndReason.BATTERY_NOT_FOLLOWING)
    house.look("17:10")
    assert house.fates[-1] == (Fate.FAILED, EndReason.BATTERY_NOT_FOLLOWING)
    house.replan("17:10", window("17:10", "18:00", 2.5))
    assert house.look("17:14") == ()
    (again,) = house.look("17:15")
    assert isinstance(again, Start)
    assert again.energy_kwh == pytest.approx(2.5)


@pytest.mark.parametrize("reason", [EndReason.USER, EndReason.EXTERNAL])
def test_what_somebody_stopped_is_not_started_again_in_that_window(reason: EndReason) -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(0.5)
    house.end("17:10", reason)
    house.look("17:10")
    house.replan("17:11", window("17:11", "18:00", 2.5))
    assert house.look("17:20") == house.look("17:58") == ()
    assert house.fates[-1] == (Fate.ENDED, reason)


def test_a_start_that_somebody_cancelled_is_not_repeated() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00:02", Replied(cancelled=True))
    assert house.look("17:10") == ()
    assert house.fates == [(Fate.SKIPPED, EndReason.START_CANCELLED)]


def test_a_manual_session_takes_the_windows_place() -> None:
    house = House(window("17:00", "18:00"))
    start = Start(window("17:00", "18:00"), 1.0, at("18:00"))
    house.run(start, "16:50")
    assert house.session is not None
    house.session = replace(house.session, origin=Origin.MANUAL)
    assert house.look("17:00") == ()
    house.end("17:20", EndReason.TARGET_REACHED)
    assert house.look("17:20") == house.look("17:40") == ()
    assert house.fates == [(Fate.SKIPPED, "manual_session")]


def test_after_its_end_a_window_goes_on_only_by_a_newer_plan_and_for_enough() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(1.0)
    house.end("17:20", EndReason.HEADROOM_USED_UP)
    house.look("17:20")
    assert house.look("17:26") == ()
    house.replan("17:27", window("17:27", "18:00", 0.05))
    assert house.look("17:27") == ()
    house.replan("17:30", window("17:30", "18:00", 1.2))
    (again,) = house.look("17:30")
    assert isinstance(again, Start)
    assert again.energy_kwh == pytest.approx(1.2)


def test_a_new_plan_revises_the_running_session() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(1.5)
    house.replan("17:30", window("17:30", "18:30", 2.5))
    assert house.look("17:30") == (Revise(pytest.approx(4.0), at("18:30")),)


def test_a_new_plan_that_wants_the_same_changes_nothing() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(1.5)
    house.replan("17:30", window("17:30", "18:00", 1.52))
    assert house.look("17:30") == ()
    house.deliver(2.0)
    assert house.look("17:40") == ()


def test_a_session_taken_up_twice_counts_only_its_own_energy_when_revised() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(1.0)
    house.end("17:20", EndReason.HEADROOM_USED_UP)
    house.look("17:20")
    house.replan("17:30", window("17:30", "18:00", 1.2))
    house.begin("17:30")
    house.deliver(0.6)
    house.replan("17:45", window("17:45", "18:00", 1.0))
    assert house.look("17:45") == (Revise(pytest.approx(1.6), at("18:00")),)


def test_a_window_that_the_new_plan_drops_is_stopped() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.replan("17:30", window("19:00", "20:00"))
    assert house.look("17:30") == (Stop(EndReason.WINDOW_END),)


def test_the_last_minutes_of_a_window_are_left_to_the_machine() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.replan("17:57", window("19:00", "20:00"))
    assert house.look("17:57") == house.look("18:00:10") == ()
    assert house.look("18:00:30") == (Stop(EndReason.WINDOW_END),)


def test_a_window_that_moves_by_minutes_does_not_stop_the_session() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(1.0)
    house.replan("17:30", window("17:36", "18:00", 2.0))
    assert house.look("17:30") == ()
    assert house.look("17:31") == ()


def test_the_next_window_waits_for_its_own_start() -> None:
    house = House(window("17:00", "18:00"), window("18:05", "19:00", 2.0))
    house.begin("17:00")
    assert house.look("18:00:05") == ()
    house.end("18:00:06", EndReason.WINDOW_END)
    assert house.look("18:00:06") == ()
    (start,) = house.look("18:05")
    assert isinstance(start, Start)
    assert start.energy_kwh == 2.0


def test_without_a_plan_what_runs_goes_on_to_its_own_end() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.plan = None
    assert house.look("17:30") == ()
    assert house.look("18:00:31") == (Stop(EndReason.WINDOW_END),)


def test_a_window_that_came_without_a_plan_is_missed_for_that() -> None:
    house = House(window("17:00", "18:00"))
    house.look("16:00")
    house.plan = None
    assert house.look("17:00") == house.look("18:00") == ()
    assert house.fates == [(Fate.MISSED, "no_plan")]


def test_a_window_that_passed_while_nobody_looked_is_missed() -> None:
    house = House(window("17:00", "18:00"))
    house.look("16:00")
    house.replan("19:00")
    house.look("19:00")
    assert house.fates == [(Fate.MISSED, "not_running")]


def test_a_window_that_is_half_over_when_somebody_looks_again_is_run_for_the_rest() -> None:
    house = House(window("17:00", "18:00"))
    house.look("16:00")
    house.plan = None
    assert house.look("17:30") == ()
    house.replan("17:31", window("17:31", "18:00", 1.4))
    assert isinstance(house.look("17:31")[0], Start)


def test_windows_that_a_new_plan_replaces_are_not_missed() -> None:
    house = House(window("17:00", "18:00"))
    house.look("16:00")
    house.replan("16:30", window("20:00", "21:00"))
    house.look("16:30")
    house.look("18:30")
    assert house.told == []


def test_an_automatic_session_of_before_a_restart_is_taken_up() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(1.0)
    house.execution = Execution()
    house.replan("17:20", window("17:20", "18:00", 2.0))
    assert house.look("17:20") == ()
    house.end("18:00", EndReason.WINDOW_END)
    house.look("18:00")
    assert house.fates[-1] == (Fate.ENDED, EndReason.WINDOW_END)


def test_an_automatic_session_without_a_window_in_the_plan_is_stopped() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.execution = Execution()
    house.replan("17:20", window("02:00", "03:00", kind=Kind.CHARGE))
    assert house.look("17:20") == (Stop(EndReason.WINDOW_END),)


def test_a_start_that_was_asked_for_before_a_restart_is_asked_for_again() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.execution = resumed(house.execution, at("17:05"))
    assert isinstance(house.look("17:05")[0], Start)


def test_a_session_that_left_no_trace_is_over() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.session = None
    house.look("17:10")
    assert house.fates[-1] == (Fate.ENDED, None)


def test_the_last_minute_of_a_window_is_not_worth_a_start() -> None:
    house = House(window("17:00", "18:00"))
    assert house.look("17:59:30") == ()


def test_an_answer_that_nobody_awaits_changes_nothing() -> None:
    execution, outcomes = answered(Execution(), Replied(session_id="x"), at("17:00"))
    assert (execution, outcomes) == (Execution(), ())


def test_the_next_look_is_due_at_starts_ends_and_retries() -> None:
    house = House(window("17:00", "18:00"), window("20:00", "21:00"))
    house.look("16:00")
    assert next_look(house.execution, house.plan, at("16:00")) == at("17:00")
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.NO_HEADROOM))
    assert next_look(house.execution, house.plan, at("17:00")) == at("17:01")
    house.begin("17:01")
    assert next_look(house.execution, house.plan, at("17:01")) == at("18:00")
    assert next_look(house.execution, house.plan, at("18:00")) == at("18:00:30")
    assert next_look(Execution(), None, at("17:00")) is None


def test_a_window_that_waits_to_be_tried_again_outlasts_a_plan_that_is_gone_for_a_while() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.STALE_DATA))
    house.plan = None
    assert isinstance(house.look("17:01")[0], Start)
    house.answer("17:01", Replied(blocker=Blocker.STALE_DATA))
    house.look("18:00")
    assert house.fates == [
        (Fate.REFUSED, Blocker.STALE_DATA),
        (Fate.MISSED, Blocker.STALE_DATA),
    ]


def test_a_charge_of_before_a_restart_is_not_taken_for_the_discharge_that_is_due() -> None:
    house = House(window("17:00", "18:00", kind=Kind.CHARGE))
    house.begin("17:00")
    house.execution = Execution()
    house.replan("17:20", window("17:20", "18:00"))
    assert house.look("17:20") == (Stop(EndReason.WINDOW_END),)


def test_a_session_whose_end_came_with_the_next_ones_beginning_is_told() -> None:
    house = House(window("17:00", "18:00"))
    start = house.begin("17:00")
    house.end("17:10", EndReason.EXTERNAL)
    house.run(start, "17:10")
    assert house.session is not None
    house.session = replace(house.session, origin=Origin.ADOPTED)
    assert house.look("17:10") == ()
    assert (Fate.ENDED, EndReason.EXTERNAL) in house.fates


def test_what_a_charge_has_bought_counts() -> None:
    house = House(window("02:00", "04:00", kind=Kind.CHARGE))
    house.begin("02:00")
    assert house.session is not None
    house.session = replace(house.session, charged_kwh=1.5)
    house.replan("03:00", window("03:00", "04:00", 2.5, kind=Kind.CHARGE))
    assert house.look("03:00") == (Revise(pytest.approx(4.0), at("04:00")),)
    house.end("04:00", EndReason.WINDOW_END)
    house.look("04:00")
    assert house.told[-1].energy_kwh == 1.5


# What somebody has stopped


def stopped(*, plan_days: bool = False) -> House:
    """Return a house whose user has stopped the session of 17:00-18:00 at 17:10."""
    house = House(window("17:00", "18:00"))
    house.days = plan_days
    house.replan("00:00", window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(0.5)
    house.end("17:10", EndReason.USER)
    house.look("17:10")
    return house


def test_a_new_plan_that_puts_off_what_somebody_stopped_does_not_start_it() -> None:
    house = stopped()
    house.replan("17:11", window("17:40", "18:00", 1.0))
    assert house.look("17:11") == house.look("17:40") == ()
    house.replan("17:41", window("17:50", "17:55", 0.2), window("17:57", "18:30", 1.0))
    assert house.look("17:41") == house.look("17:50") == house.look("17:57") == ()


def test_nor_does_one_that_stretches_it_while_the_day_lasts() -> None:
    house = stopped(plan_days=True)
    house.replan("17:11", window("17:11", "18:10", 2.5))
    assert house.look("17:11") == house.look("18:00") == ()
    house.replan("18:05", window("18:05", "19:05", 2.5))
    assert house.look("18:05") == house.look("18:30") == ()
    house.replan("23:30", window("20:00", "20:30"), window("23:30", "23:50"))
    assert isinstance(house.look("23:30")[0], Start), "another window is not the one stopped"


def test_what_somebody_stopped_before_midnight_may_start_again_after_it() -> None:
    house = House(window("23:00", "23:50"))
    house.days = True
    house.replan("22:00", window("23:00", "23:50"))
    house.begin("23:00")
    house.end("23:10", EndReason.USER)
    house.look("23:10")
    house.replan("23:11", window("23:11", "25:00"))
    assert house.look("23:11") == house.look("23:59") == ()
    assert isinstance(house.look("24:00")[0], Start)


def test_a_window_after_the_one_that_somebody_stopped_runs() -> None:
    house = stopped()
    house.replan("17:11", window("19:00", "20:00"))
    assert house.look("17:11") == ()
    assert isinstance(house.look("19:00")[0], Start)


# What a plan that moves must not make forgotten


def test_a_failure_is_waited_out_although_the_window_moves() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(error=ErrorState.START_FAILED))
    house.replan("17:01", window("17:02", "18:00"))
    assert house.look("17:01") == house.look("17:02") == house.look("17:04") == ()
    assert isinstance(house.look("17:05")[0], Start)


def test_what_a_plan_has_put_off_is_not_started_before() -> None:
    house = House(window("17:00", "18:00"))
    house.look("17:00")
    house.answer("17:00", Replied(blocker=Blocker.STALE_DATA))
    house.replan("17:01", window("17:30", "18:00"))
    assert house.look("17:05") == house.look("17:29") == ()
    assert isinstance(house.look("17:30")[0], Start)


def test_dry_run_is_told_once_however_often_the_window_moves() -> None:
    house = House(window("17:00", "18:00"))
    house.dry_run = True
    house.look("17:00")
    for minute in ("10", "20", "30"):
        house.replan(f"17:{minute}", window(f"17:{int(minute) + 5}", "18:00"))
        assert house.look(f"17:{minute}") == house.look(f"17:{int(minute) + 5}") == ()
    assert house.fates == [(Fate.WOULD_HAVE_STARTED, "dry_run")]


def test_a_dry_run_turned_off_starts_the_window_and_turned_on_ends_nothing() -> None:
    house = House(window("17:00", "18:00"))
    house.dry_run = True
    house.look("17:00")
    house.dry_run = False
    house.begin("17:20")
    house.dry_run = True
    assert house.look("17:30") == ()
    assert house.session is not None


def test_a_window_that_went_by_in_a_pause_is_missed_for_that() -> None:
    house = House(window("17:00", "17:06", 0.3))
    for minute in range(6):
        for _ in house.look(f"17:0{minute}"):
            house.answer(f"17:0{minute}", Replied(blocker=Blocker.COOLDOWN))
    house.look("17:06")
    assert house.fates == [(Fate.MISSED, Blocker.COOLDOWN)]


# Clocks and restarts


def test_after_the_clock_was_set_back_nothing_waits_for_the_old_time() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(0.5)
    house.end("17:10", EndReason.HEADROOM_USED_UP)
    house.look("17:10")
    house.replan("16:41", window("16:41", "17:41", 2.5))
    (again,) = house.look("16:41")
    assert isinstance(again, Start)
    assert again.energy_kwh == pytest.approx(2.5)


def test_a_session_is_stopped_whose_window_is_still_to_come_after_the_clock_was_set_back() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.replan("16:05", window("17:00", "18:00"))
    assert house.look("16:05") == (Stop(EndReason.WINDOW_END),)


def test_a_window_that_the_clock_jumped_over_is_missed() -> None:
    house = House(window("17:00", "18:00"))
    house.look("16:59")
    house.replan("18:30")
    assert house.look("18:30") == ()
    assert house.fates == [(Fate.MISSED, "not_running")]


@pytest.mark.parametrize(("ended", "goes_on"), [("17:21", True), ("17:30", False)])
def test_the_batterys_own_reset_at_a_restart_is_nobodys_wish(ended: str, goes_on: bool) -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.deliver(0.5)
    house.execution = resumed(house.execution, at("17:20"))
    house.end(ended, EndReason.EXTERNAL)
    house.look(ended)
    house.replan("17:31", window("17:31", "18:00", 1.4))
    assert bool(house.look("17:31")) is goes_on


def test_where_only_the_entry_was_loaded_again_an_end_from_outside_is_somebodys() -> None:
    house = House(window("17:00", "18:00"))
    house.begin("17:00")
    house.execution = resumed(house.execution, None)
    house.end("17:21", EndReason.EXTERNAL)
    house.look("17:21")
    house.replan("17:31", window("17:31", "18:00", 1.4))
    assert house.look("17:31") == ()


def test_a_window_that_ends_while_its_session_is_being_started_is_stopped_and_told() -> None:
    house = House(window("17:00", "17:10"))
    (start,) = house.look("17:08:59")
    assert isinstance(start, Start)
    house.run(start, "17:10:05")
    assert house.look("17:10:31") == (Stop(EndReason.WINDOW_END),)
    house.end("17:10:35", EndReason.WINDOW_END)
    house.look("17:10:35")
    assert house.fates == [(Fate.STARTED, None), (Fate.ENDED, EndReason.WINDOW_END)]


# A sun that gives the target alone


@pytest.fixture
def sunny() -> House:
    """Return a house whose session the sun has ended at 12:10."""
    house = House(window("12:00", "14:00"))
    house.begin("12:00")
    house.deliver(0.1)
    house.surplus_w = 3400.0
    house.end("12:10", EndReason.PV_COVERS_TARGET)
    house.look("12:10")
    house.replan("12:11", window("12:11", "14:00", 2.0))
    return house


def test_nothing_starts_again_while_the_sun_gives_the_target(sunny: House) -> None:
    for minute in range(11, 60):
        assert sunny.look(f"12:{minute}") == ()
    assert sunny.fates == [(Fate.STARTED, None), (Fate.ENDED, EndReason.PV_COVERS_TARGET)]


def test_nor_behind_a_cloud_that_passes_but_when_the_sun_has_gone(sunny: House) -> None:
    sunny.look("12:30")
    sunny.surplus_w = 1000.0
    assert sunny.look("12:34") == ()
    sunny.surplus_w = 3300.0
    assert sunny.look("12:38") == ()
    sunny.surplus_w = 1000.0
    assert sunny.look("12:47") == ()
    assert isinstance(sunny.look("12:48")[0], Start)


def test_where_no_sensor_shows_the_sun_a_slot_is_waited(sunny: House) -> None:
    house = House(window("12:00", "14:00"))
    house.begin("12:00")
    house.end("12:10", EndReason.PV_COVERS_TARGET)
    house.look("12:10")
    house.replan("12:11", window("12:11", "14:00", 2.0))
    assert house.look("12:39") == ()
    assert isinstance(house.look("12:40")[0], Start)


def test_a_window_under_a_sun_that_gives_the_target_is_skipped_and_told_once() -> None:
    house = House(window("12:00", "14:00"))
    house.surplus_w = 2800.0
    assert house.look("12:00") == house.look("12:20") == house.look("14:00") == ()
    assert house.fates == [(Fate.SKIPPED, "sun_enough")]


@pytest.mark.parametrize(("surplus_w", "starts"), [(2600.0, True), (2800.0, False), (-500.0, True)])
def test_the_battery_adds_to_a_sun_that_leaves_it_something_worth_a_start(
    surplus_w: float, starts: bool
) -> None:
    house = House(window("12:00", "14:00"))
    house.surplus_w = surplus_w
    assert bool(house.look("12:00")) is starts


def test_a_charge_does_not_mind_the_sun() -> None:
    house = House(window("12:00", "14:00", kind=Kind.CHARGE))
    house.surplus_w = 5000.0
    assert isinstance(house.look("12:00")[0], Start)
