"""Checks docs/reliability/nodes.md: each fault of the design has a row, and what a row names exists.

The third column of a row names faults of the simulation, the fourth tests (as functions); commands in brackets are left out. Only the
standard library (Python 3.11).
"""

import re
import sys

from asvs import tests
from rust_source import ROOT

# How each row of the design's table begins.
FAULTS = (
    "PostgreSQL away", "failover that lost its tail", "a replica killed", "worker partitioned", "certificate expired",
    "LISTEN dead", "all workers reconnect", "a spec that kills workers", "a worker's disk lost", "clocks an hour off",
    "version skew", "a stolen worker certificate",
)


def simulated() -> set[str]:
    """Returns the faults of the simulation."""
    source = (ROOT / "crates/testkit/src/sim/faults.rs").read_text()
    body = source.split("faults! {", 1)[1].split("\n}", 1)[0]
    return set(re.findall(r"^    (\w+),$", body, re.M))


def problems(document: str) -> list[str]:
    """Returns a line for each fault of the document."""
    found, functions, faults = [], tests(), simulated()
    table = document.split("| fault | must happen |", 1)[1].split("\n\n", 1)[0]
    rows = [[c.strip() for c in row.strip("| \n").split(" | ")] for row in table.splitlines()[2:]]
    for fault in FAULTS:
        if not any(row[0].startswith(fault) for row in rows):
            found.append(f"{fault} has no row")
    for name, _, simulation, real in rows:
        for fault in re.findall(r"`(\w+)`", simulation):
            if fault not in faults:
                found.append(f"{name} names {fault}, which is no fault of the simulation")
        real = re.sub(r"\([^)]*\)", "", real)
        shown = re.findall(r"`([^`]+)`", real)
        found += [f"{name} names {test}, which does not exist" for test in shown if test not in functions]
        if not shown:
            found.append(f"{name} names no test with real parts")
    return found


def main() -> int:
    found = problems((ROOT / "docs/reliability/nodes.md").read_text())
    for line in found:
        print(f"docs/reliability/nodes.md: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
