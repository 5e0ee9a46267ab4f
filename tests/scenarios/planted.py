"""Planted removals of single guards, twenty and three of a charge; each has to be found.

A mutation is one line of a safety rule, made ineffective in a copy of the package. A short campaign
looks for it first; where the harm is one that another guard prevents, the tests of the rule do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("custom_components/export_monitor")
SCHEDULES = 160
SHRUNK = 4  # the first so many are shrunk: it takes longer than the finding
# Without the one that tries its luck: what finds a removal has a name and finds it each time.
TESTS = ("tests/unit/engine", "--ignore=tests/unit/engine/test_machine.py")
PLAINLY = ("-x", "-q", "-p", "no:cacheprovider", "--show-capture=no", "--tb=no")
FOUND = re.compile(r"FOUND after (\d+): (.*)")


@dataclass(frozen=True, slots=True)
class Removal:
    """One guard taken out."""

    name: str
    module: str
    old: str
    new: str


REMOVALS = (
    Removal(
        "no alarm for a stop that is late",
        "engine/stop.py",
        "if turn.now.mono - stopping.since.mono >= alarm_after and not stopping.alarmed:",
        "if turn.now.mono < 0:",
    ),
    Removal(
        "a stop is tried once",
        "engine/stop.py",
        "        _next_attempt(turn, observation, stopping)",
        "        pass",
    ),
    Removal(
        "no fallback stop",
        "engine/stop.py",
        "        _attempt(turn, WriteKind.FALLBACK_STOP)",
        "        _attempt(turn, WriteKind.SWITCH_OFF)",
    ),
    Removal(
        "old reports prove a stop",
        "engine/stop.py",
        "return reported is not None and reported > newer_than and reported != last",
        "return reported is not None",
    ),
    Removal(
        "nothing proves a stop",
        "engine/stop.py",
        "PROVING_REPORTS = 2",
        "PROVING_REPORTS = 0",
    ),
    Removal(
        "used-up headroom ends nothing",
        "engine/guard.py",
        "    if decision.export_left <= during_stop:",
        "    if during_stop < 0:",
    ),
    Removal(
        "the floor ends nothing",
        "engine/guard.py",
        "    if not soc.usable or soc.value is None or soc.value > decision.floor_soc:",
        "    if soc is not None:",
    ),
    Removal(
        "an end from outside is not followed",
        "engine/guard.py",
        "    if readings.switch.on is not False:",
        "    if observation.now.mono > 0:",
    ),
    Removal(
        "blind without end",
        "engine/guard.py",
        "    limit = observation.settings.blind_limit_min * 60",
        "    limit = 1e9",
    ),
    Removal(
        "no renewal",
        "engine/guard.py",
        "not (too_long or due)",
        "True",
    ),
    Removal(
        "a lease of eight hours",
        "engine/start.py",
        "    return max(step, floor(minutes / step) * step)",
        "    return max(step, floor(minutes / step) * step, 480.0)",
    ),
    Removal(
        "stale data is no reason",
        "engine/accounting.py",
        "    if any(r.problem in stale for r in needed):",
        "    if not needed:",
    ),
    Removal(
        "a start without SOC",
        "engine/accounting.py",
        "    if not readings.soc.usable:\n        return Blocker.SOC_MISSING\n"
        "    if readings.switch.on is None or any(not r.usable for r in needed):",
        "    if readings.switch.on is None:",
    ),
    Removal(
        "a start over another mode",
        "engine/accounting.py",
        "    if other_mode_on(readings, Kind.DISCHARGE):\n        return Blocker.MODE_CONFLICT\n",
        "",
    ),
    Removal(
        "answers from before a stop count",
        "engine/session.py",
        "if event.write.epoch == state.epoch:",
        "if event.write.epoch <= state.epoch:",
    ),
    Removal(
        "no second look at activation",
        "engine/start.py",
        "        reason = _changed_mind(turn.state)",
        "        reason = None",
    ),
    Removal(
        "a discharge that nobody asked for is left alone",
        "engine/session.py",
        "            look_for_unbidden(turn, observation, decision)",
        "            pass",
    ),
    Removal(
        "a start in its midst is resumed",
        "engine/restart.py",
        "    if phase is Phase.STARTING or broken:",
        "    if broken:",
    ),
    Removal(
        "nothing flows between two ticks",
        "engine/metering.py",
        "        return self.counter.total + self.ahead",
        "        return self.counter.total",
    ),
    Removal(
        "no start waits for a counter's new day",
        "engine/accounting.py",
        "    if not all(entry.seen for entry in sums):",
        "    if not sums:",
    ),
    Removal(
        "a charge beyond its energy",
        "engine/charge.py",
        "    if limit is not None and session.charged_kwh + during_stop >= limit:",
        "    if limit is not None and session.charged_kwh < 0:",
    ),
    Removal(
        "a charge beyond its time",
        "engine/charge.py",
        "        or time_is_up(turn, observation, session)\n",
        "",
    ),
    Removal(
        "a charge beside a discharge",
        "engine/charge.py",
        "    if observation.readings.switch.on:\n        return EndReason.EXTERNAL\n",
        "",
    ),
)


@contextmanager
def planted(removal: Removal) -> Iterator[Path]:
    """Make a copy of the repository's code without one guard."""
    with TemporaryDirectory() as name:
        there = Path(name)
        for part in ("tests", "simulator", "pyproject.toml"):
            (there / part).symlink_to(ROOT / part)
        without_caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / PACKAGE, there / PACKAGE, ignore=without_caches)
        module = there / PACKAGE / removal.module
        code = module.read_text()
        if code.count(removal.old) != 1:
            raise LookupError(f"{removal.name}: its line is not (once) in {removal.module}")
        module.write_text(code.replace(removal.old, removal.new))
        yield there


def _run(there: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(there), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=there,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one removal."""

    removal: Removal
    by: str = ""
    """What found it: a broken invariant or a failed test; empty where nothing did."""
    after: str = ""
    schedule: str = ""


def look_for(removal: Removal, *, shrinks: bool) -> Finding:
    """Take one guard out and look who notices."""
    with planted(removal) as there:
        asked = ["--first", "--schedules", str(SCHEDULES), *(["--shrink"] if shrinks else [])]
        run = _run(there, "tests.scenarios", *asked)
        hit = FOUND.search(run.stdout)
        if hit is not None:
            schedule = run.stdout[hit.end() :].strip()
            return Finding(removal, hit[2], f"{hit[1]} schedules", schedule)
        tests = _run(there, "pytest", *TESTS, *PLAINLY)
        failed = re.search(r"^(?:FAILED|ERROR) \S+::(\S+)", tests.stdout, re.MULTILINE)
        return Finding(removal, failed[1] if failed else "", f"{SCHEDULES} schedules, then tests")


def main() -> int:
    """Look for each removal, or for those whose number is given; return 1 where one is missed."""
    chosen = {int(number) for number in sys.argv[1:]} or set(range(1, len(REMOVALS) + 1))
    removals = [removal for i, removal in enumerate(REMOVALS, 1) if i in chosen]
    findings: list[Finding] = []
    for removal in removals:
        shrinks = sum(bool(finding.schedule) for finding in findings) < SHRUNK
        finding = look_for(removal, shrinks=shrinks)
        findings.append(finding)
        number = REMOVALS.index(removal) + 1
        print(f"{number:>2} {removal.name:<50} {finding.by or 'NOBODY'} ({finding.after})")
        if finding.schedule:
            print(f"   {finding.schedule}")
        sys.stdout.flush()
    found = sum(bool(finding.by) for finding in findings)
    print(f"{found} of {len(removals)} found")
    return int(found < len(removals))


if __name__ == "__main__":
    sys.exit(main())
