"""The linear program of a horizon.

For each leg (constant rates, length h) the program knows how long each regime lasts:

    surplus  h = policy + forced discharge u + at full phi    E' = E + n(feed (policy) + y) - x/n
    deficit  h = policy + forced charge w + at empty psi      E' = E - (feed (policy) + e)/n + n y

x, e: what a forced discharge takes from the battery and gives to the grid; y: what a forced charge
buys; n: one-way efficiency. While discharge is forced PV passes to the grid, while charge is forced
the grid feeds the house; in the rest of the time the policy rules. So PV is exported, and energy
kept from the house, only by force, by a full or by an empty battery, and the last two are tied to
the battery's level by binaries: phi > 0 only if the leg ends full, psi > 0 only if it ends empty;
full stays full and empty stays empty while nothing is forced. More binaries: a leg that discharges
stays above the session's floor; no leg does both; a day that PV alone breaks has no discharge.
Inside a leg the forced part comes first.
"""

from dataclasses import dataclass, field

from .horizon import Horizon, Leg
from .policy import broken_by_sun
from .program import Program, Term

SHORT_H = 1e-9


@dataclass(slots=True)
class Columns:
    """A leg's columns; None where there is nothing to decide."""

    end: int
    """What the battery holds at the leg's end."""
    export: list[Term] = field(default_factory=list)
    balance: list[Term] = field(default_factory=list)
    """What adds to `end`, beside the policy's own part."""
    clipped: int | None = None
    """Hours at full in a surplus, at empty in a deficit."""
    at_limit: int | None = None
    """Binary: the leg ends there."""
    out: int | None = None
    """What a discharge takes from the battery in a surplus, gives to the grid in a deficit."""
    out_hours: int | None = None
    """In a surplus only: in a deficit the house is fed either way."""
    into: int | None = None
    into_hours: int | None = None
    """In a deficit only: in a surplus PV is stored either way."""
    above: int | None = None
    """Binary: a discharge may run, as the battery stays above the session's floor."""
    discharges: int | None = None
    """Binary: the leg may discharge, not charge."""
    counted: int | None = None
    """Binary, where the allowance accrues: it discharges, so what was exported so far counts."""


@dataclass(slots=True)
class Model:
    """A horizon's program, and where its columns are."""

    horizon: Horizon
    program: Program = field(default_factory=Program)
    legs: list[Columns] = field(default_factory=list)
    broken: dict[int, int] = field(default_factory=dict)
    """By day, binary: PV breaks the allowance, so nothing may be discharged."""


def formulate(horizon: Horizon) -> Model:
    """Return the program of a horizon."""
    model = Model(horizon)
    blocked = broken_by_sun(horizon)
    level = model.program.column(lower=horizon.stored, upper=horizon.stored)
    highest = horizon.stored
    before: tuple[Leg, Columns] | None = None
    for number, leg in enumerate(horizon.legs):
        last = number == len(horizon.legs) - 1
        end = model.program.column(
            horizon.terminal if last else 0.0, horizon.house_floor, horizon.full
        )
        columns = Columns(end, balance=[(end, 1.0), (level, -1.0)])
        reach = _highest(horizon, leg, highest)
        add = _surplus if leg.in_surplus else _deficit
        add(model, leg, columns, _Bounds(level, highest, reach, leg.day not in blocked))
        _chain(model, leg, columns, before)
        model.legs.append(columns)
        before, level, highest = (leg, columns), end, reach
    for number in range(len(horizon.days)):
        _allow(model, number, blocked=number in blocked)
    if horizon.green_only and (horizon.bought > 0 or any(leg.into > 0 for leg in horizon.legs)):
        _keep_green(model)
    return model


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What is known of the battery before the program is solved."""

    level: int
    """The column of what it holds at the leg's beginning."""
    highest: float
    """It never holds more than this at the beginning."""
    reach: float
    """Nor more than this at the end."""
    discharge: bool


def _highest(horizon: Horizon, leg: Leg, stored: float) -> float:
    """Return the most a leg can end with: everything charged that may be, nothing discharged."""
    n = horizon.efficiency
    if leg.in_surplus:
        return min(horizon.full, stored + n * (leg.feed + leg.into) * leg.hours)
    fed = stored - leg.feed * leg.hours / n
    return min(horizon.full, max(fed, horizon.house_floor, stored + n * leg.into * leg.hours))


def _surplus(model: Model, leg: Leg, columns: Columns, bounds: _Bounds) -> None:
    horizon, program, n = model.horizon, model.program, model.horizon.efficiency
    h, taken = leg.hours, n * leg.feed
    program.offset += leg.value * leg.export * h
    if bounds.reach >= horizon.full - SHORT_H and leg.feed > 0:
        extra = leg.spill - leg.export
        columns.clipped = program.column(leg.value * extra, upper=h)
        columns.export.append((columns.clipped, extra))
        columns.balance.append((columns.clipped, taken))
        columns.at_limit = program.binary()
        program.row([(columns.clipped, 1.0), (columns.at_limit, -h)], upper=0.0)
        low = horizon.house_floor
        program.row([(columns.end, 1.0), (columns.at_limit, low - horizon.full)], lower=low)
    if leg.out > 0 and bounds.discharge and bounds.highest > horizon.session_floor:
        extra = leg.surplus - leg.export
        worth = leg.value - horizon.wear + leg.keep_out - leg.hurdle
        x = columns.out = program.column(worth)
        u = columns.out_hours = program.column((leg.value - leg.hurdle) * extra, upper=h)
        columns.export += [(x, 1.0), (u, extra)]
        columns.balance += [(u, taken), (x, 1 / n)]
        program.row([(x, 1.0), (u, -horizon.least)], lower=0.0)
        program.row([(x, 1.0), (u, -leg.out)], upper=0.0)
        if columns.clipped is not None:
            program.row([(u, 1.0), (columns.clipped, 1.0)], upper=h)
        _stay_above(model, leg, columns, bounds, [(x, -1 / n)])
    if leg.into > 0:
        y = columns.into = program.column(leg.keep_in - leg.cost, upper=leg.into * h)
        columns.balance.append((y, -n))
        both = n * (leg.into + leg.feed) / leg.into
        program.row([(bounds.level, 1.0), (y, both)], upper=horizon.full)
    _exclude(model, leg, columns)
    program.row(columns.balance, lower=taken * h, upper=taken * h)


def _deficit(model: Model, leg: Leg, columns: Columns, bounds: _Bounds) -> None:
    horizon, program, n = model.horizon, model.program, model.horizon.efficiency
    h, given = leg.hours, leg.feed / n
    spared = (leg.cost - horizon.wear) * leg.feed  # per hour that the battery feeds the house
    program.offset += spared * h - leg.cost * leg.deficit * h
    hours: list[Term] = []
    if leg.feed > 0:
        columns.clipped = program.column(-spared, upper=h)
        columns.balance.append((columns.clipped, -given))
        hours.append((columns.clipped, 1.0))
        columns.at_limit = program.binary()
        program.row([(columns.clipped, 1.0), (columns.at_limit, -h)], upper=0.0)
        span = bounds.reach - horizon.house_floor
        program.row([(columns.end, 1.0), (columns.at_limit, span)], upper=bounds.reach)
    if leg.into > 0:
        y = columns.into = program.column(leg.keep_in - leg.cost)
        w = columns.into_hours = program.column(-spared, upper=h)
        columns.balance += [(w, -given), (y, -n)]
        hours.append((w, 1.0))
        program.row([(y, 1.0), (w, -horizon.least)], lower=0.0)
        program.row([(y, 1.0), (w, -leg.into)], upper=0.0)
        program.row([(bounds.level, 1.0), (y, n)], upper=horizon.full)
    if leg.out > 0 and bounds.discharge and bounds.highest > horizon.session_floor:
        worth = leg.value - horizon.wear + leg.keep_out - leg.hurdle
        e = columns.out = program.column(worth, upper=leg.out * h)
        columns.export.append((e, 1.0))
        columns.balance.append((e, 1 / n))
        hours.append((e, 1 / leg.out))
        _stay_above(model, leg, columns, bounds, [(e, -(1 + leg.deficit / leg.out) / n)])
    if len(hours) > 1:
        program.row(hours, upper=h)
    _exclude(model, leg, columns)
    program.row(columns.balance, lower=-given * h, upper=-given * h)


def _stay_above(
    model: Model, leg: Leg, columns: Columns, bounds: _Bounds, taken: list[Term]
) -> None:
    """A discharge leaves the session's floor in the battery, the house's share counted."""
    horizon, program = model.horizon, model.program
    gap = horizon.session_floor - horizon.house_floor
    terms = [(bounds.level, 1.0), *taken]
    if gap <= 0:
        if leg.in_surplus:  # in a deficit the end is lower still, and has its bound
            program.row(terms, lower=horizon.house_floor)
        return
    above = columns.above = program.binary()
    out = columns.out
    if out is not None:
        program.row([(out, 1.0), (above, -leg.out * leg.hours)], upper=0.0)
    program.row([*terms, (above, -gap)], lower=horizon.house_floor)


def _exclude(model: Model, leg: Leg, columns: Columns) -> None:
    """No leg both discharges and charges, whatever negative prices would pay for it."""
    if columns.out is None or columns.into is None:
        return
    program, h = model.program, leg.hours
    either = columns.discharges = program.binary()
    if columns.out_hours is not None:
        program.row([(columns.out_hours, 1.0), (either, -h)], upper=0.0)
    else:
        program.row([(columns.out, 1.0), (either, -leg.out * h)], upper=0.0)
    if columns.into_hours is not None:
        program.row([(columns.into_hours, 1.0), (either, h)], upper=h)
    else:
        program.row([(columns.into, 1.0), (either, leg.into * h)], upper=leg.into * h)


def _chain(model: Model, leg: Leg, columns: Columns, before: tuple[Leg, Columns] | None) -> None:
    """Full stays full while the sun shines on, empty stays empty: this makes the relaxation tight.

    Only force ends it, and what that takes from a full battery, or brings to an empty one, lasts
    for its time.
    """
    if before is None or columns.clipped is None or before[1].at_limit is None:
        return
    if before[0].in_surplus != leg.in_surplus:
        return
    n_squared = model.horizon.efficiency**2
    terms = [(columns.clipped, 1.0), (before[1].at_limit, -leg.hours)]
    if leg.in_surplus and columns.out is not None and columns.out_hours is not None:
        terms += [(columns.out_hours, 1.0), (columns.out, 1 / (n_squared * leg.feed))]
    if not leg.in_surplus and columns.into is not None and columns.into_hours is not None:
        terms += [(columns.into_hours, 1.0), (columns.into, n_squared / leg.feed)]
    model.program.row(terms, lower=0.0)


def _allow(model: Model, number: int, *, blocked: bool) -> None:
    """Keep a day's export inside its allowance."""
    legs = [
        (leg, columns)
        for leg, columns in zip(model.horizon.legs, model.legs, strict=True)
        if leg.day == number
    ]
    if model.horizon.days[number].accrues:
        _allow_accrued(model, number, legs)
        return
    program = model.program
    spill = sum(leg.spill * leg.hours for leg, _ in legs)
    excess = program.column(-model.horizon.penalty, upper=spill)
    broken = program.binary()
    program.lower[broken] = float(blocked)
    model.broken[number] = broken
    program.row([(excess, 1.0), (broken, -spill)], upper=0.0)
    forced = [(columns.out, 1.0) for _, columns in legs if columns.out is not None]
    most = sum(leg.out * leg.hours for leg, columns in legs if columns.out is not None)
    if forced:
        program.row([*forced, (broken, most)], upper=most)
    terms = [term for _, columns in legs for term in columns.export]
    certain = sum(leg.export * leg.hours for leg, _ in legs)
    left = max(0.0, model.horizon.days[number].left)
    program.row([*terms, (excess, -1.0)], upper=left - certain)


def _allow_accrued(model: Model, number: int, legs: list[tuple[Leg, Columns]]) -> None:
    """Whenever a discharge runs, export so far is inside what generation so far allows."""
    program = model.program
    grown, spill, so_far = model.horizon.days[number].left, 0.0, 0.0
    total: int | None = None
    for leg, columns in legs:
        grown += leg.pv * leg.hours
        spill += leg.spill * leg.hours
        so_far += leg.export * leg.hours
        following = program.column(lower=-so_far)
        terms = [(following, 1.0), *((column, -a) for column, a in columns.export)]
        program.row(terms if total is None else [*terms, (total, -1.0)], lower=0.0, upper=0.0)
        total = following
        if columns.out is None:
            continue
        loose = max(0.0, spill - max(0.0, grown))
        terms = [(total, 1.0)]
        if loose > 0:
            counted = columns.counted = program.binary()
            program.row([(columns.out, 1.0), (counted, -leg.out * leg.hours)], upper=0.0)
            terms.append((counted, loose))
        program.row(terms, upper=max(0.0, grown) + loose - so_far)


def _keep_green(model: Model) -> None:
    """What was bought is not exported: it lies above the house's floor, and only the house eats it.

    The house may eat it before what the sun brought, which is the most generous way to count.
    """
    horizon, program, n = model.horizon, model.program, model.horizon.efficiency
    bought = program.column(lower=horizon.bought, upper=horizon.bought)
    level = program.column(lower=horizon.stored, upper=horizon.stored)
    for leg, columns in zip(horizon.legs, model.legs, strict=True):
        following = program.column()
        terms: list[Term] = [(following, 1.0), (bought, -1.0)]
        if columns.into is not None:
            terms.append((columns.into, -n))
        if not leg.in_surplus and leg.feed > 0:
            eaten = program.column()
            terms.append((eaten, 1 / n))
            limit = [(eaten, 1.0)]
            others = (columns.clipped, columns.into_hours)
            limit.extend((hours, leg.feed) for hours in others if hours is not None)
            program.row(limit, upper=leg.feed * leg.hours)
        program.row(terms, lower=0.0, upper=0.0)
        program.row([(columns.end, 1.0), (following, -1.0)], lower=horizon.house_floor)
        if leg.in_surplus and columns.out is not None:  # before the leg's own sun comes in
            sold = [(level, 1.0), (columns.out, -1 / n), (bought, -1.0)]
            program.row(sold, lower=horizon.house_floor)
        bought, level = following, columns.end
