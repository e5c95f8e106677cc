"""The figures of `./dev bench scale`, measured inside a test bed: a full node of 1,000 tenants with 20 devices each over
simulated containers (crates/control/examples/full_node), then as many real ones as the machine holds. Trust the ratios.

Run as: end2end/bed/bed.sh python3 -B end2end/bed/scale.py [--tenants N] [--json FILE]; MALIKNODE_BIN is the server,
MALIKNODE_FULL_NODE the example. Standard library only. The status is 0 when everything could be measured.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass

import bench as usual
from scale_containers import LEAST, containers, crowd, latency, prepare
from scale_node import full_node

LIMIT = 900  # seconds for each part; what is not measured by then counts as not measured


@dataclass
class Bench(usual.Bench):
    """What has been measured so far, and how many real tenants there may be."""

    most: int = 1000


def main():
    parser = argparse.ArgumentParser(description="The figures of MalikNode at size; ./dev bench scale runs it.")
    parser.add_argument("--tenants", type=int, metavar="N", help=f"real tenants at most, from {LEAST}; otherwise what memory and four minutes hold")
    parser.add_argument("--json", metavar="FILE", help="write every single measurement too")
    options = parser.parse_args()
    if options.tenants is not None and not LEAST <= options.tenants <= 1000:
        parser.error(f"--tenants: from {LEAST} to 1000")
    if os.environ.get("MALIKNODE_BED") != "1" or not {"MALIKNODE_BIN", "MALIKNODE_FULL_NODE"} <= os.environ.keys():
        sys.exit("scale.py runs inside a test bed: ./dev bench scale")
    begun, load = time.monotonic(), os.getloadavg()[0]
    bench = Bench(server=0, most=options.tenants or 1000)
    failed = usual.measure(bench, [full_node], LIMIT)
    prepare()
    server, log = usual.start()
    bench.server = server.pid
    try:
        failed += usual.measure(bench, [crowd, containers, latency], LIMIT)
    finally:
        usual.end(server)
    machine = usual.machine_since(begun, load)
    print()
    usual.show(bench.rows)
    print("{cores} cores, Linux {kernel}, load {load_at_start:.1f} at the start, measured in {seconds} s.".format(**machine))
    if options.json:
        usual.write(options.json, machine, bench)
    usual.complain(failed, log)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
