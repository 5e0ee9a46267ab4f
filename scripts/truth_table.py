"""Prints how exactly the headroom is used: the table of docs/evidence.md.

.venv/ceiling/bin/python scripts/truth_table.py [SEEDS]
"""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.unit.engine.test_truth import Outcome, discharge, follow


def row(outcomes: list[Outcome]) -> str:
    """Return a table's last two columns."""
    over = max(outcome.over_kwh for outcome in outcomes) * 1000
    used = min(outcome.used for outcome in outcomes)
    return f"{over:+.1f} Wh | {used:.1%}"


def main() -> None:
    """Discharge 1 kWh of headroom in every setting."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    print("| grid sensor | power | meter | most over | least used |\n|---|---|---|---|---|")
    for sensor in (True, False):
        name = "yes" if sensor else "no"
        for power in (3000.0, 5000.0):
            for lag, meter in ((0, "prompt"), (60, "up to 60 s late")):
                outcomes = [discharge(s, power, sensor=sensor, lag_s=lag) for s in range(seeds)]
                print(f"| {name} | {power / 1000:.0f} kW | {meter} | {row(outcomes)} |")
        outcomes = [discharge(s, 3000.0, sensor=sensor, pv=True) for s in range(seeds)]
        print(f"| {name} | 3 kW, sun and clouds | prompt | {row(outcomes)} |")
    print(
        "\n| target | site limit | house | most over | least used | mean at the grid "
        "| target ± 250 W | longest over the site limit |\n|---|---|---|---|---|---|---|---|"
    )
    for target, site in ((3000.0, 0.0), (3680.0, 3680.0), (5000.0, 0.0)):
        for wild in (False, True):
            followed = [follow(seed, target, site, wild=wild) for seed in range(seeds)]
            means = sorted(each.mean_w for each in followed)
            within = sorted(each.within for each in followed)
            print(
                f"| {target:.0f} W | {f'{site:.0f} W' if site else 'none'} "
                f"| kettles{' and clouds' if wild else ''} "
                f"| {max(each.over_kwh for each in followed) * 1000:+.1f} Wh "
                f"| {min(each.used for each in followed):.1%} "
                f"| {means[0]:.0f}-{means[-1]:.0f} W "
                f"| {within[len(within) // 2]:.0%} of the time "
                f"| {f'{max(each.longest_over_site_s for each in followed)} s' if site else '-'} |"
            )


if __name__ == "__main__":
    main()
