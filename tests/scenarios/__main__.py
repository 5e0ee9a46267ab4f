"""The long run: scripts/campaign --schedules N --seed S."""

import argparse
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
import os
import platform
import subprocess
import sys
import time

from .campaign import Outcome, play_seed
from .report import LEAST_REACHING_ACTIVE, Summary
from .shrink import shrink

SEED_STRIDE = 1_000_000  # no two seeds share a schedule
CHUNK = 25
CHUNK_TO_FIRST = 4  # what else a worker has in hand is played in vain
AGREEMENT = "tests/scenarios/test_agreement.py"
ENOUGH_FOR_PHASES = 5000  # fewer schedules need not bring every fault into every phase
SHOWN = 20


def main() -> int:
    """Run, print, and return 1 where an invariant was broken or the campaign was too empty."""
    options = _options()
    if options.hass:
        return _both_drivers(options)
    first = options.seed * SEED_STRIDE
    seeds = range(first, first + options.schedules)
    summary = Summary()
    began = time.monotonic()
    chunk = CHUNK_TO_FIRST if options.first else CHUNK
    # By fork: a worker need not import Home Assistant again.
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("fork")) as pool:
        for outcome in pool.map(play_seed, seeds, chunksize=chunk):
            summary.add(outcome)
            for violation in outcome.violations:
                print(f"\rseed {outcome.schedule.seed}: {violation}", flush=True)
            if outcome.violations and options.first:
                pool.shutdown(wait=False, cancel_futures=True)
                return _found(summary, outcome, shrinks=options.shrink)
            _progress(summary.schedules, options.schedules, began)
            if options.minutes and time.monotonic() - began > options.minutes * 60:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    took = time.monotonic() - began
    print(f"\r{summary.schedules} schedules in {took:.0f} s", " " * 30)
    print(summary.table())
    print(f"\nseed {options.seed}, {_versions()}")
    for schedule in summary.failing[:SHOWN]:
        least = shrink(schedule) if options.shrink else schedule
        print(f"\n# seed {schedule.seed}\n{least.source()}")
    return _judged(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/campaign", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, help="play no more after that")
    parser.add_argument("--hass", type=int, default=0, help="compare both drivers on so many")
    parser.add_argument("--first", action="store_true", help="end at the first that fails")
    parser.add_argument("--shrink", action="store_true", help="shrink what fails")
    return parser.parse_args()


def _both_drivers(options: argparse.Namespace) -> int:
    """Play schedules through the real integration too, on Home Assistant's test core."""
    asked = {
        "CAMPAIGN_HASS": str(options.hass),
        "CAMPAIGN_SEED": str(options.seed * SEED_STRIDE),
    }
    command = ["pytest", AGREEMENT, "-q", "-p", "no:cacheprovider", "--show-capture=no"]
    arguments = [sys.executable, "-m", *command, "-n", str(options.jobs)]
    return subprocess.run(arguments, env={**os.environ, **asked}, check=False).returncode


def _versions() -> str:
    names = ("homeassistant", "hypothesis")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return f"Python {platform.python_version()}, {packages}"


def _found(summary: Summary, outcome: Outcome, *, shrinks: bool) -> int:
    """Say what found it."""
    print(f"FOUND after {summary.schedules}: {outcome.violations[0]}")
    if shrinks:
        print(shrink(outcome.schedule).source())
    return 1


def _progress(done: int, total: int, began: float) -> None:
    if done % CHUNK == 0 and sys.stderr.isatty():
        rate = done / max(time.monotonic() - began, 1e-3)
        print(f"\r{done} of {total}, {rate:.0f} a second", end="", file=sys.stderr, flush=True)


def _judged(summary: Summary) -> int:
    failed = bool(summary.failing)
    if summary.share_reaching_active < LEAST_REACHING_ACTIVE:
        print(f"Too empty: only {summary.share_reaching_active:.1%} reached Active")
        failed = True
    if summary.schedules >= ENOUGH_FOR_PHASES and summary.unhit:
        print("Never met:", ", ".join(f"{kind} in {phase}" for kind, phase in summary.unhit))
        failed = True
    print("FAILED" if failed else "no invariant was broken")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
