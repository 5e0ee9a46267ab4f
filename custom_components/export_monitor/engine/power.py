"""The power of a running session: it follows house and sun, and finishes on time.

With a grid sensor the grid is to see the target: the battery gives that, and what the house takes
beyond the sun. Without one the battery's power is the target. Too much is brought down sooner than
too little is made up for: it may break the site's limit, and the other costs nothing.
"""

from dataclasses import replace
from datetime import timedelta

from ..models import Decision, EndReason, ErrorState, Instant, Observation, Reading, Session
from .accounting import SILENT_S, watts
from .pace import most_power, paced, stepped
from .start import lease_minutes
from .state import Answered, Modulation, WriteKind
from .stop import QUIET_MARGIN_W, begin_stop
from .turn import Turn

SITE_MARGIN_W = 100.0  # the house's own noise, and a step of the battery's power
TOO_MUCH_W = 100.0
TOO_LITTLE_W = 150.0  # more than a step and the noise, or every step up would be taken back
MOST_RAISE_W = 2000.0  # a kettle that is off again by then must not leave more than that too much
URGENT_S = 5.0
USUAL_S = 20.0  # specification page 5
# A changed number reaches the inverter after up to 1.7 s, and the grid is polled every 1.5 s.
SETTLED_S = 4.0
ANSWER_S = 45.0  # three attempts of 5 s and 3 s of reading back, and the pauses between
RETRY_S = 300.0  # each retry costs the battery's circuit, which the lease depends on
CLIPPED_SHARE = 0.8
# Three corrections: what is too much still does not come from the power that is commanded.
SITE_PATIENCE_S = 30.0
TARGET_PATIENCE_S = 300.0  # clouds pass


def told_at_least(turn: Turn, session: Session) -> float:
    """Return the least power (W) that the battery can have been told to give."""
    least = turn.state.modulation.least_w
    return session.power_w if least is None else min(least, session.power_w)


def moderate(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Write the power that is right now, where it is another one and its time has come."""
    session = turn.state.session
    if session is None or session.target_w is None:
        return
    target = min(session.target_w, decision.power_w)
    if target <= 0:  # somebody wants no export any more
        begin_stop(turn, EndReason.USER)
        return
    seen = _seen(turn, observation)
    _watch(turn, observation, session, seen, target)
    if _ended(turn, observation, session, seen):
        return
    modulation = turn.state.modulation
    if modulation.write_id is None:
        _adjust(turn, observation, decision, seen, target)
    elif turn.now.mono - (modulation.asked_at or 0.0) > ANSWER_S:
        _failed(turn, "no answer")


def _seen(turn: Turn, observation: Observation) -> float | None:
    """Return the export (W) that the grid sensor shows, negative for import; None unless fresh."""
    reading = observation.readings.grid_power
    grid = watts(reading)
    if reading is None or grid is None or reading.reported is None or turn.state.meter.distrusted:
        return None
    if (turn.now.utc - reading.reported).total_seconds() > SILENT_S:
        return None
    return -grid


def _watch(
    turn: Turn, observation: Observation, session: Session, seen: float | None, target: float
) -> None:
    """Note since when the grid sees too much."""
    modulation, settings, now = turn.state.modulation, observation.settings, turn.now.mono
    site = settings.site_export_limit_w
    at_least = session.power_w <= settings.power_step_w
    over_site = seen is not None and site > 0 and seen > site
    over_target = seen is not None and at_least and seen > target + TOO_MUCH_W
    before = (modulation.over_site, modulation.over_target)
    after = (
        (before[0] if before[0] is not None else now) if over_site else None,
        (before[1] if before[1] is not None else now) if over_target else None,
    )
    if after != before:
        modulation = replace(modulation, over_site=after[0], over_target=after[1])
        turn.state = replace(turn.state, modulation=modulation)


def _ended(turn: Turn, observation: Observation, session: Session, seen: float | None) -> bool:
    """End a session that lets too much out, whatever it commands; tell whether it did."""
    modulation, now = turn.state.modulation, turn.now.mono
    over_site, over_target = modulation.over_site, modulation.over_target
    site_s = 0.0 if over_site is None else now - over_site
    target_s = 0.0 if over_target is None else now - over_target
    if site_s < SITE_PATIENCE_S and target_s < TARGET_PATIENCE_S:
        return False
    battery = watts(observation.readings.battery_power) or 0.0
    if max(session.power_w, battery - QUIET_MARGIN_W) <= observation.settings.power_step_w:
        begin_stop(turn, EndReason.PV_COVERS_TARGET)
        return True
    detail = f"{seen:.0f} W of {observation.settings.site_export_limit_w:.0f} W"
    turn.raise_error(ErrorState.BATTERY_NOT_RESPONDING, detail)
    begin_stop(turn, EndReason.BATTERY_NOT_FOLLOWING)
    return True


def _adjust(
    turn: Turn, observation: Observation, decision: Decision, seen: float | None, target: float
) -> None:
    session, modulation = turn.state.session, turn.state.modulation
    if session is None or _too_soon(turn, modulation):
        return
    urgent = modulation.over_site is not None
    if seen is not None and not urgent and _outdated(turn, observation.readings.grid_power):
        return
    settings = observation.settings
    exact = _wanted(turn, observation, session, seen, target)
    wanted = max(settings.power_step_w, stepped(exact, settings))
    if wanted < session.power_w:
        must = session.power_w > target if seen is None else seen > target + TOO_MUCH_W
        if urgent or (session.power_w - exact >= TOO_MUCH_W and _usual(turn, forced=must)):
            _write(turn, session, wanted, must=must or urgent)
    elif exact - told_at_least(turn, session) >= TOO_LITTLE_W and _usual(turn):
        _raise(turn, observation, decision, seen, exact)


def _too_soon(turn: Turn, modulation: Modulation) -> bool:
    """Whether the last command has not shown yet, or another one would get lost."""
    now, lease = turn.now.mono, turn.state.lease
    if lease is not None and (lease.renewal is not None or now - lease.armed.mono < SETTLED_S):
        return True
    if modulation.asked_at is None:
        return False
    answered = modulation.answered_at or modulation.asked_at
    return now - modulation.asked_at < URGENT_S or now - answered < SETTLED_S


def _outdated(turn: Turn, reading: Reading | None) -> bool:
    """Whether a reading may be from before the last command has shown.

    Sensors report one by one: what the battery gave before it and what the grid sees after it add
    up to nothing. Where the site's limit is passed nobody waits for that.
    """
    lease, modulation = turn.state.lease, turn.state.modulation
    told = 0.0 if lease is None else lease.armed.mono
    if modulation.asked_at is not None:
        told = max(told, modulation.answered_at or modulation.asked_at)
    return (
        reading is None
        or reading.reported is None
        or turn.now.mono - (turn.now.utc - reading.reported).total_seconds() < told + SETTLED_S
    )


def _usual(turn: Turn, *, forced: bool = False) -> bool:
    """Whether it is time for a change that is in no hurry; `forced`: whatever has failed."""
    now, modulation = turn.now.mono, turn.state.modulation
    rested = modulation.asked_at is None or now - modulation.asked_at >= USUAL_S
    return rested and (forced or now >= modulation.retry_at)


def _may_raise(turn: Turn, observation: Observation, seen: float | None) -> bool:
    """Whether more is no risk: export is counted, and the battery is there to give it.

    One that does nothing would be told ever more, and give it all at once when it wakes. And where
    a grid sensor is silent, the sun may export on top what it was just seen to.
    """
    readings = observation.readings
    if seen is None and readings.grid_power is not None:
        return False
    dispatch = watts(readings.dispatch_start)
    heard = watts(readings.battery_power) is not None or (dispatch is not None and dispatch != 0)
    return turn.state.watch.blind is None and (heard or seen is None or seen > 0)


def _wanted(
    turn: Turn, observation: Observation, session: Session, seen: float | None, target: float
) -> float:
    """Return the power (W) that the battery should have."""
    settings, most = observation.settings, most_power(observation.settings, target)
    aim = paced(session, observation, target)
    if seen is None:
        return min(aim, most)
    if settings.site_export_limit_w > 0:
        aim = min(aim, settings.site_export_limit_w - SITE_MARGIN_W)
    return min(_given(turn, observation, session) + aim - seen, most)


def _given(turn: Turn, observation: Observation, session: Session) -> float:
    """Return the power (W) that the battery gives, as far as that is known."""
    least = told_at_least(turn, session)
    battery = watts(observation.readings.battery_power)
    urgent = turn.state.modulation.over_site is not None
    if battery is None or (not urgent and _outdated(turn, observation.readings.battery_power)):
        return least
    # The inverter is at its own limit, or the battery at its cutoff. And where the site's limit is
    # passed every watt counts: less than was asked for is not brought down by asking a little less.
    if battery < CLIPPED_SHARE * least or urgent:
        return max(0.0, min(battery, session.power_w))
    return max(least, min(battery, session.power_w))


def _raise(
    turn: Turn, observation: Observation, decision: Decision, seen: float | None, exact: float
) -> None:
    """Write a larger power; first shorten the lease, where the headroom would not last for it."""
    session, lease, settings = turn.state.session, turn.state.lease, observation.settings
    if session is None or not _may_raise(turn, observation, seen):
        return
    wanted = stepped(min(exact, told_at_least(turn, session) + MOST_RAISE_W), settings)
    minutes = lease_minutes(observation, decision, wanted)
    if lease is not None and minutes < lease.minutes:
        turn.renew(lease, minutes)
    else:
        _write(turn, session, wanted, must=False)


def _write(turn: Turn, session: Session, wanted: float, *, must: bool) -> None:
    """Ask for a power; until the answer the session counts with the larger of both."""
    least = min(told_at_least(turn, session), wanted)
    number = turn.write(WriteKind.POWER, wanted)
    lease = turn.state.lease
    turn.state = replace(
        turn.state,
        session=replace(session, power_w=max(session.power_w, wanted)),
        lease=None if lease is None else replace(lease, rearmed=_latest(turn.now)),
        modulation=replace(
            turn.state.modulation,
            least_w=least,
            write_id=number,
            wanted_w=wanted,
            asked_at=turn.now.mono,
            answered_at=None,
            must=must,
        ),
    )


def _latest(asked: Instant) -> Instant:
    """Return by when a write is carried out or given up: the record need not be written again."""
    return Instant(asked.utc + timedelta(seconds=ANSWER_S), asked.mono + ANSWER_S)


def moderated(turn: Turn, event: Answered) -> None:
    """Take the answer to a write of the power."""
    modulation, session = turn.state.modulation, turn.state.session
    if session is None or modulation.write_id != event.write.id:
        return
    if not event.ok:
        _failed(turn, event.detail)
        return
    turn.clear_error(ErrorState.POWER_SET_FAILED)
    _answered(turn, modulation.retry_at)
    wanted = modulation.wanted_w
    turn.state = replace(
        turn.state,
        session=replace(session, power_w=wanted),
        modulation=replace(turn.state.modulation, least_w=wanted),
    )


def _failed(turn: Turn, detail: str) -> None:
    """Go on with what is left: without more power, or not at all where it had to become less."""
    must = turn.state.modulation.must
    turn.raise_error(ErrorState.POWER_SET_FAILED, detail, again=True)
    _answered(turn, turn.now.mono + RETRY_S)
    if must:
        begin_stop(turn, EndReason.BATTERY_NOT_FOLLOWING)


def _answered(turn: Turn, retry_at: float) -> None:
    turn.state = replace(
        turn.state,
        modulation=replace(
            turn.state.modulation,
            write_id=None,
            must=False,
            answered_at=turn.now.mono,
            retry_at=retry_at,
        ),
    )
