"""Print what became of ONNX's backend cases: ``python -m tests.backend``."""

from __future__ import annotations

import sys
from collections import Counter

from . import harness


def main() -> int:
    """Print the counts and what is wrong; 1 if anything is."""
    cases = harness.float_cases()
    counts: Counter[str] = Counter()
    faults = []
    for name, case in cases.items():
        found, wrong = harness.fault(case)
        if wrong:
            faults.append(f"{name}: {wrong}")
        if found.not_run:
            counts["not run"] += 1
            continue
        counts["run"] += 1
        counts["sound"] += not found.unsound
        if found.loose:
            counts["conservative" if found.conservative else "incomplete"] += 1
        elif not found.unsound:
            counts["exact"] += 1
        counts["sets compared"] += found.sets
        counts["sets by element"] += found.elements
        if found.loose or found.hidden:
            counts["sets conservative" if found.conservative else "sets hidden"] += 1
        elif not found.unsound:
            counts["sets exact"] += 1
    print(f"{'cases':<20}{len(harness.backend_cases()):>6}")
    print(f"{'with a float input':<20}{len(cases):>6}")
    for kind in ("run", "sound", "exact", "incomplete", "conservative"):
        print(f"{kind:<20}{counts[kind]:>6}")
    print(f"{'not run':<20}{counts['not run']:>6}")
    print("\nsupports of units, influences of elements")
    for kind in ("exact", "by element", "hidden", "conservative", "compared"):
        print(f"{kind:<20}{counts[f'sets {kind}']:>6}")
    for file in harness.LISTS:
        print(f"\n{file}")
        for reason, number in Counter(harness.listed(file).values()).items():
            print(f"{number:>6}  {reason}")
    print(*faults, sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
