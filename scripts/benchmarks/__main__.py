"""The command line of scripts/bench."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from scripts.benchmarks.machine import machine
from scripts.benchmarks.output import document, heading, text
from scripts.benchmarks.results import FULL, QUICK, run
from scripts.benchmarks.rows import ROWS


def main(arguments: Sequence[str]) -> int:
    """Measures rows, and prints each as soon as it is known."""
    parser = argparse.ArgumentParser(
        "scripts/bench",
        description="Measures fpx beside torch and others, and says which targets are met.",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, minutes less")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--only", action="append", choices=[row.name for row in ROWS], metavar="NAME",
        help="measure this row alone; may be repeated: %(choices)s",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    sizes = QUICK if asked.quick else FULL
    here = machine()  # before the load is this run's own
    if not asked.json:
        print(heading(here, sizes), flush=True)
    results = []
    for row in ROWS:
        if asked.only and row.name not in asked.only:
            continue
        results.append(run(row, sizes))
        if not asked.json:
            print(text(results[-1]), flush=True)
    if asked.json:
        json.dump(document(here, sizes, results), sys.stdout, indent=1, allow_nan=False)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
