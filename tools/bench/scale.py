"""Measures the figures of `./dev bench scale` inside a test bed: a full node of 1,000 tenants with 20 devices each and
simulated containers (crates/control/examples/full_node), then as many real tenants as the machine holds. The ratios are
reliable, the absolute figures depend on the machine.

Usage: tools/bed/bed.sh python3 -B tools/bench/scale.py [--tenants N] [--json FILE]. MALIKNODE_BIN is the server,
MALIKNODE_FULL_NODE the example. Only the standard library is used. The exit status is 0 if everything could be measured.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass

import bench as common
from scale_containers import MIN_TENANTS, containers, crowd, latency, prepare
from scale_node import full_node

TIME_LIMIT = 900  # seconds for each part; what takes longer counts as not measured


@dataclass
class Bench(common.Bench):
    """The results so far, and the limit on real tenants."""

    max_tenants: int = 1000


def main():
    parser = argparse.ArgumentParser(description="Measures the figures of MalikNode at scale; ./dev bench scale runs it.")
    parser.add_argument("--tenants", type=int, metavar="N", help=f"limit on real tenants, from {MIN_TENANTS}; the default is what memory and four minutes allow")
    parser.add_argument("--json", metavar="FILE", help="also write every single measurement")
    options = parser.parse_args()
    if options.tenants is not None and not MIN_TENANTS <= options.tenants <= 1000:
        parser.error(f"--tenants: from {MIN_TENANTS} to 1000")
    if os.environ.get("MALIKNODE_BED") != "1" or not {"MALIKNODE_BIN", "MALIKNODE_FULL_NODE"} <= os.environ.keys():
        sys.exit("scale.py runs inside a test bed: ./dev bench scale")
    started_at, load = time.monotonic(), os.getloadavg()[0]
    bench = Bench(server=0, max_tenants=options.tenants or 1000)
    failed = common.measure(bench, [full_node], TIME_LIMIT)
    prepare()
    server, log = common.start()
    bench.server = server.pid
    try:
        failed += common.measure(bench, [crowd, containers, latency], TIME_LIMIT)
    finally:
        common.end(server)
    machine = common.machine_since(started_at, load)
    print()
    common.print_table(bench.rows)
    print("{cores} cores, Linux {kernel}, load {load_at_start:.1f} at the start, measured in {seconds} s.".format(**machine))
    if options.json:
        common.write(options.json, machine, bench)
    common.report_problems(failed, log)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
