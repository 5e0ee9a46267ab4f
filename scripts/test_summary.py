"""Print what a run of scripts/test skipped and why, and one line of counts for each end."""

from collections import Counter
from pathlib import Path
import sys
from xml.etree import ElementTree as ET


def main(results: Path, ends: list[str]) -> int:
    """Return 1 if any end ran no test, or any test failed, else 0."""
    status = 0
    lines = []
    for end in ends:
        outcomes: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        for report in sorted(results.glob(f"{end}-*.xml")):
            # Written by pytest a moment ago.
            for case in ET.parse(report).iter("testcase"):  # noqa: S314
                outcome, reason = outcome_of(case)
                outcomes[outcome] += 1
                if outcome == "skipped":
                    skipped[reason] += 1
        print(f"\ntest: skipped on the {end}:" + ("" if skipped else " nothing"))
        for reason, count in skipped.most_common():
            print(f"  {count} x {reason}")
        # These lines stand alone, so that a machine can read them too.
        lines.append(
            f"{end}: {outcomes['passed']} passed, {outcomes['failed']} failed, "
            f"{outcomes['skipped']} skipped"
        )
        if outcomes["failed"] or not outcomes["passed"]:
            status = 1
    print("", *lines, sep="\n")
    return status


def outcome_of(case: ET.Element) -> tuple[str, str]:
    """Return passed, failed or skipped, and the reason of the latter."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed", ""
    if (skip := case.find("skipped")) is not None:
        reason = skip.get("message") or "no reason given"
        expected = "expected failure: " if skip.get("type") == "pytest.xfail" else ""
        return "skipped", f"{expected}{reason} [{case.get('classname')}]"
    return "passed", ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
