"""How long things may take, with the physical reason of each."""

from custom_components.export_monitor.models import ErrorState

from .schedule import Fault, FaultKind

# A switch-off may meet the package's deaf 2 s, then the fallback comes after 3 s and its reset
# takes up to 3.2 s (page 4); a service may take up to 3 s here, and a look a second each.
OBEYED_S = 15
UNHEARD_S = 2
ALARM_S = 16  # 15 s, and the guard looks once a second
# After commands work again: attempts are 30 s apart by then.
AGAIN_S = 30 + OBEYED_S
# A battery that cannot be heard is not known to go on; Home Assistant's Modbus reads again 30 s
# after a link has returned.
HEARD_S = 30
LINK_KINDS = frozenset({FaultKind.LINK_DOWN, FaultKind.LINK_HANGS})
# What moves the battery's timer after a stop was due: a command on its way, or somebody's own.
UNDER_WAY_S = OBEYED_S
LEASE_SLACK_S = 2
# A discharge nobody knows of. At rest the integration looks when something changes and every 10 s:
# with the dispatch register (polled every 5 s) its change and one look more, without it five looks.
NOTICED_S = {True: 20, False: 50}
# A site limit: writes are 5 s apart, a service takes up to 3 s, its register 1.7 s, the battery's
# ramp 1 s, and a gap of the grid's polls 4.3 s.
SITE_S = 16
STALE_S = 61  # page 3: SOC 60 s, by its own report or a sibling's; and a look a second
HEALTHY_S = 120
SCAN_S = 10
# What was restored at a start counts from a meter's second report on, two minutes later at most;
# the poll that sees it comes within its interval.
TICK_S = 60
CONFIRMED_S = 2 * TICK_S
BOOT_SHOWS_S = SCAN_S
SHOWS_S = {FaultKind.LINK_DOWN: HEARD_S}
# A counter that comes back from a value it never had has to hold for three readings (page 3), the
# third two minutes after the first; then the same poll.
WRONG_VALUES = frozenset({FaultKind.SENSOR_JUMPING, FaultKind.SENSOR_OUT_OF_RANGE})
READINGS_S = SCAN_S
# Page 2: these stand until the next good start, or the next period: no time heals them.
LASTING = frozenset(
    {
        ErrorState.POWER_SET_FAILED,
        ErrorState.CUTOFF_SET_FAILED,
        ErrorState.DURATION_SET_FAILED,
        ErrorState.START_FAILED,
        ErrorState.CHARGE_START_FAILED,
        ErrorState.BATTERY_NOT_RESPONDING,
        ErrorState.OVER_EXPORT,
    }
)


def shows_s(fault: Fault) -> int:
    """Return how long a fault goes on showing after its end (s)."""
    shows = SHOWS_S.get(fault.kind, 0)
    if fault.kind in WRONG_VALUES and fault.target in ("export", "generation"):
        shows += READINGS_S
    return shows
