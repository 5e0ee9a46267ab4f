"""Prints what a run of scripts/mutation found: a table by module, and the survivors in a file."""

import argparse
from collections import Counter, defaultdict
from difflib import ndiff
import json
from pathlib import Path
import sys

COLUMNS = ("killed", "survived", "timeout", "no tests")


def score(counts: Counter[str]) -> float:
    """Return the share of mutants (%) that were noticed; one that never ends was."""
    return 100 * (counts["killed"] + counts["timeout"]) / max(1, counts.total())


def row(name: str, counts: Counter[str]) -> str:
    """Return a line of the table."""
    cells = [str(counts.total()), *(str(counts[c]) for c in COLUMNS), f"{score(counts):.1f} %"]
    return f"| {name:<24} | " + " | ".join(f"{cell:>8}" for cell in cells) + " |"


def main() -> int:
    """Return 1 where fewer mutants were noticed than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--least", type=float, required=True, help="%% to be noticed")
    parser.add_argument("--survivors", type=Path, required=True, help="file to list them in")
    options = parser.parse_args()
    by_module: defaultdict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    survivors = []
    for line in options.results.read_text(encoding="utf-8").splitlines():
        mutant = json.loads(line)
        name = mutant["name"].removeprefix("custom_components.export_monitor.")
        by_module[name.partition(":")[0]][mutant["status"]] += 1
        total[mutant["status"]] += 1
        if mutant["status"] in ("survived", "no tests"):
            change = ndiff(mutant["before"].splitlines(), mutant["after"].splitlines())
            shown = "\n".join(f"    {line}" for line in change if line[0] in "-+")
            survivors.append(f"{name} line {mutant['line']}: {mutant['status']}\n{shown}\n")
    options.survivors.write_text("\n".join(survivors), encoding="utf-8")
    heads = ("mutants", *COLUMNS, "score")
    print(f"| {'module':<24} | " + " | ".join(f"{head:>8}" for head in heads) + " |")
    print("|" + "-" * 26 + "|" + "|".join(["---------:"] * len(heads)) + "|")
    for name, counts in sorted(by_module.items()):
        print(row(name, counts))
    print(row("**all**", total))
    if score(total) < options.least:
        print(f"\nmutation: FAILED: {score(total):.1f} % is below {options.least} %")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
