"""Measures the figures of `./dev bench neighbours` inside a test bed: what hostile tenants change of another tenant's
figures. Real server, AdGuard Homes and sign-ups; devices by wireguard-go. docs/PERFORMANCE.md has the method.

Usage: tools/bed/bed.sh python3 -B tools/bench/neighbours.py [--rounds N] [--only PATTERN] [--json FILE]. MALIKNODE_BIN is the server. Only
the standard library is used. The exit status is 0 if everything could be measured, whether or not targets were met.
"""

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass, field

import bench as common
from baselines import BED, output
from browser import sign_up
from devices import connect
from neighbours_bed import ALONE, HOSTILE, LOWEST, Cpu, Load, raise_all, route, start_bypass, start_servers
from neighbours_figures import Victim, figures, pool
from scale_containers import RESERVE_MB, available_mb, prepare_list, wait_for_list

TIME_LIMIT = 1500  # seconds for everything; what takes longer counts as not measured
ROUNDS = 2  # for each act: quiet, under attack, the same generators at the bypass
WARM_UP = 2  # seconds from the start of an act to the first measurement
FLOODERS = 20
TENANT_MB = 120  # the most that a tenant and the tunnels of its device take
PLAN, PLAN_MBPS = "personal", 50
VICTIM = "c1"


@dataclass
class Act:
    """What hostile tenants do, for at most `seconds` and `limit` packets, queries or connections, with `devices` devices."""

    title: str
    program: str
    limit: int = 10_000_000
    devices: int = 1
    seconds: int = 60


ACTS = [
    Act("empty UDP packets to one destination", "udp_to_one"),
    Act("empty UDP packets to the resolver", "udp_to_resolver"),
    Act("connections to many destinations", "many_destinations"),
    Act("DNS flood of one device", "dns_flood"),
    Act("answers of 60 kB for the query log", "big_answers"),
    Act("iperf3, 8 flows each way", "iperf3", seconds=20),
    Act("forged ICMP errors about the victim's flows", "icmp_errors"),
    Act("4,096 idle connections to the web server", "idle_web"),
    Act("DNS flood of {} tenants", "dns_flood", devices=FLOODERS),
    Act("{} tenants flood with everything", "everything", devices=FLOODERS),
]


@dataclass
class Row:
    """A line of the table."""

    figure: str
    act: str
    quiet: str
    attack: str
    ratio: str
    bypass: str
    verdict: str


@dataclass
class Bench:
    """The results so far."""

    server: int
    rounds: int
    rows: list = field(default_factory=list)
    raw: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    pooled: dict = field(default_factory=dict)
    victim: Victim | None = None
    hostile: list = field(default_factory=list)
    bypass: list = field(default_factory=list)


def make(bench):
    """Signs the tenants up and connects their devices."""
    wait_for_list()
    tenant, _ = sign_up("victim", PLAN)
    bench.victim = Victim(tenant, connect(tenant, VICTIM, "victim", ALONE))
    output("ip", "-n", VICTIM, "route", "add", "203.0.113.0/24", "dev", "victim")
    room = int((available_mb() - RESERVE_MB) / TENANT_MB)
    if room < 1:
        raise RuntimeError(f"{available_mb():.0f} MB of memory are too little for a hostile tenant")
    for n in range(min(FLOODERS, room)):
        tenant, _ = sign_up(f"hostile{n}", PLAN)
        bench.hostile.append(connect(tenant, HOSTILE, f"h{n}", LOWEST))
        route(f"h{n}", 1000 + n)
    bench.bypass = start_bypass(bench.hostile, PLAN_MBPS)
    raise_all("victim")
    bench.victim.measure()  # establishes the sessions and fills the cache


def measure(bench, act=None, devices=(), past_the_node=False):
    """Measures the victim, during an act if there is one. Returns the measurements, what was sent a second, and the CPU used."""
    started_at = time.monotonic()
    load = Load(act, devices, past_the_node) if act else None
    try:
        if load:
            time.sleep(WARM_UP)
        cpu = Cpu(bench.server, load, time.monotonic)
        got = bench.victim.measure()
        used = cpu.used()
        ended_early = load is not None and not load.is_running()
    finally:
        took = time.monotonic() - started_at
        sent = load.stop() if load else 0
    if ended_early:
        raise RuntimeError(f"the load generator ended before the measurement, after {sent:,}")
    return got, sent if load is None or load.is_iperf else round(sent / took), used


def attack(bench, act):
    """Measures the victim quiet, under an act, and with the same load generators at the bypass, in turn."""
    count = min(act.devices, len(bench.hostile))
    title = act.title.format(count)
    states = {"quiet": [], "attack": [], "bypass": []}
    for _ in range(bench.rounds):
        states["quiet"].append(measure(bench))
        states["attack"].append(measure(bench, act, bench.hostile[:count]))
        states["bypass"].append(measure(bench, act, bench.bypass[:count], past_the_node=True))
    pooled = {state: pool([got for got, _, _ in runs]) for state, runs in states.items()}
    bench.raw[title] = {state: {"measured": pooled[state], "sent_per_second": [r[1] for r in runs], "cpu": [r[2] for r in runs]} for state, runs in states.items()}
    bench.pooled[title] = pooled
    unit = "Mb/s" if act.program == "iperf3" else "a second"
    for state in ("attack", "bypass"):
        sent = ", ".join(f"{r[1]:,}" for r in states[state])
        used = "; ".join(", ".join(f"{name} {value}" for name, value in r[2].items()) for r in states[state])
        bench.notes.append(f"{title}, {state}: {sent} {unit}; lost DNS {pooled[state]['lost']}; processors: {used}")


def rows(pooled):
    """Returns the table's lines, all acts of one figure together."""
    result = []
    for figure in figures(PLAN_MBPS):
        all_quiet = [figure.of(states["quiet"]) for states in pooled.values()]
        for title, states in pooled.items():
            quiet, attack, bypass = (figure.of(states[state]) for state in ("quiet", "attack", "bypass"))
            result.append(Row(figure.name, title, figure.show(quiet), figure.show(attack), f"{figure.ratio(attack, quiet):.2f} x",
                              f"{figure.ratio(bypass, quiet):.2f} x", figure.verdict(quiet, attack, bypass, all_quiet)))
    return result


def disk(bench):
    """Notes how much the hostile tenant's query log took."""
    sizes = {}
    for folder in sorted((BED / "root/users").iterdir()):
        sizes[folder.name] = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20
    bench.raw["disk_mb"] = sizes
    bench.notes.append("disk, the largest: " + ", ".join(f"{n} {mb:.0f} MB" for n, mb in sorted(sizes.items(), key=lambda i: -i[1])[:3]))


def sections(pattern):
    """Returns `make`, one section for each act whose title has the pattern, and `disk`."""

    def section(act):
        def run(bench):
            if not bench.bypass:
                raise RuntimeError("it needs the tenants")
            attack(bench, act)

        run.__name__ = act.title.format(FLOODERS)
        return run

    return [make, *(section(act) for act in ACTS if re.search(pattern, act.title)), disk]


def print_table(rows):
    names = ("figure", "act", "quiet", "attack", "ratio", "generators alone", "")
    table = [names, *[tuple(vars(row).values()) for row in rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(names))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description="Measures what hostile tenants change for another; ./dev bench neighbours runs it.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how often each act is measured, by default {ROUNDS}")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only the acts whose title has this pattern")
    parser.add_argument("--json", metavar="FILE", help="also write every single measurement")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    if os.environ.get("MALIKNODE_BED") != "1" or "MALIKNODE_BIN" not in os.environ:
        sys.exit("neighbours.py runs inside a test bed: ./dev bench neighbours")
    started_at, load = time.monotonic(), os.getloadavg()[0]
    prepare_list()
    start_servers()
    server, log = common.start()
    bench = Bench(server.pid, options.rounds)
    try:
        failed = common.measure(bench, sections(options.only), TIME_LIMIT)
    finally:
        common.end(server)
    machine = common.machine_since(started_at, load) | {"flooding": len(bench.hostile), "rounds": bench.rounds}
    print()
    bench.rows = rows(bench.pooled)
    print_table(bench.rows)
    print("\nok: at most 20 % worse than quiet. spread: more, but not worse than the worst quiet value of this run. load: more, but not"
          "\nthan with the same load generators past the node. over: more than all of these.")
    print(*bench.notes, sep="\n")
    print("{cores} cores, Linux {kernel}, load {load_at_start:.1f} at the start, {flooding} flooding tenants, measured in {seconds} s.".format(**machine))
    if options.json:
        common.write(options.json, machine, bench)
    common.report_problems(failed, log)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
