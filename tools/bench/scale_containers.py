"""Measures real tenants, for scale.py: as many as the machine holds. Measures the memory of each, how long a sign-up takes
among others, and how long DNS takes through a tunnel, compared with asking the container directly.
"""

import json
import os
import random
import re
import statistics
import string
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import ms, p50_p99, percentile
from baselines import BED, container_address, output, pids_with_argument, pss_mb
from browser import sign_up
from devices import connect, inside

MIN_TENANTS = 50  # how many tenants a machine should hold at least
ALONE = 5  # sign-ups before the crowd, one after another
PARALLEL = 8  # sign-ups at the same time
SECONDS = 240  # how long sign-ups continue
RESERVE_MB = 1536  # memory that stays free
RULES = 50_000  # rules of the shared block list
MEASURED = 4  # tenants whose DNS is measured; a namespace each
ROUNDS, QUERIES = 5, 100  # for each of them, each name, and through the tunnel and directly
ADGUARD = "/opt/adguardhome/AdGuardHome"
TOOL = str(Path(__file__).resolve().parents[1] / "bed" / "dns_tool.py")
INTERNET = os.environ.get("MALIKNODE_BED_INTERNET", "")
CACHED_NAME = "cached.example"


def rule_names():
    """Returns names as long as those of real lists. They are the same in every run."""
    draw = random.Random(4)
    return ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(6, 16))) + f"{n}.example" for n in range(RULES)]


def prepare_list():
    """Writes a shared list of a common length as a local file."""
    names = rule_names()
    source = BED / "blocked.txt"
    source.write_text("! Title: bench\n" + "".join(f"||{name}^\n" for name in names))
    folder = BED / "root/central_api"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "config.toml").write_text(f'[[dns.lists]]\nid = 1\nname = "bench"\npath = "{source}"\n')


def prepare():
    """Writes the list and starts an upstream."""
    prepare_list()
    subprocess.Popen([*inside(os.environ["MALIKNODE_BED_WAN"]), sys.executable, "-B", TOOL, "serve", INTERNET])


def available_mb():
    """Returns the MB of memory that are available (proc(5), meminfo)."""
    return int(re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)[1]) / 1024


def wait_for_list():
    file = BED / "root/lists/1.txt"
    end = time.monotonic() + 30
    while not file.exists() or file.stat().st_size < RULES * 10:
        if time.monotonic() > end:
            raise RuntimeError("the shared block list did not come into force")
        time.sleep(0.1)


def crowd(bench):
    wait_for_list()
    alone, together, refused = [], [], []
    before = available_mb()
    for n in range(ALONE):
        tenant, took = sign_up(f"alone{n}")
        bench.tenants.append(tenant)
        alone.append(took)
    until, lock = time.monotonic() + SECONDS, threading.Lock()
    numbers = iter(range(bench.max_tenants - ALONE))

    def sign_ups(_):
        while time.monotonic() < until and not refused:
            with lock:
                n = next(numbers, None)
            if n is None or available_mb() < RESERVE_MB:
                return
            try:
                tenant, took = sign_up(f"crowd{n}")
            except Exception as e:
                refused.append(f"{type(e).__name__}: {e}")
                return
            with lock:
                bench.tenants.append(tenant)
                together.append(took)

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(sign_ups, range(PARALLEL)))
    time.sleep(5)  # lets running work finish
    bench.raw |= {"sign_up_alone": alone, "sign_up_among_others": together, "available_mb": {"before": before, "after": available_mb()}}
    count = len(bench.tenants)
    if together:
        total, one = [t["total"] for t in together], [t["total"] for t in alone]
        bench.add(f"sign-up to DNS answering, {PARALLEL} at a time, {len(total)} times", p50_p99(total), f"one at a time: {ms(statistics.median(one))}",
                  f"{percentile(total, 0.5) / statistics.median(one):.2f} x")
    if refused:
        raise RuntimeError(f"sign-up {count + 1} failed: {refused[0]}")
    if count < MIN_TENANTS:
        raise RuntimeError(f"{count} tenants only, {available_mb():.0f} MB left; at least {MIN_TENANTS} are needed")


def private_mb(pid):
    """Returns the MB of private memory of a process (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", text, re.M)) / 1024


def containers(bench):
    count = len(bench.tenants)
    adguards, shims = pids_with_argument(ADGUARD), [p for p in pids_with_argument("-namespace") if "shim" in Path(f"/proc/{p}/cmdline").read_text()]
    if len(adguards) != count:
        raise RuntimeError(f"{count} tenants, {len(adguards)} AdGuard Homes")
    each, shared, shim = [private_mb(p) for p in adguards], [pss_mb(p) for p in adguards], [pss_mb(p) for p in shims]
    free = bench.raw["available_mb"]
    total = (free["before"] - free["after"]) / count
    bench.raw["adguard_mb"] = {"private": each, "pss": shared, "shim_pss": shim}
    bench.add(f"AdGuard Home's own memory, {count} of them, {RULES:,} rules shared", f"p50 {statistics.median(each):.1f} MB, max {max(each):.1f} MB",
              f"with its share of what is shared: {statistics.median(shared):.1f} MB", target="20 MB", ok=statistics.median(each) <= 20)
    bench.add("  the engine's process for each", f"{statistics.median(shim):.1f} MB")
    bench.add("  everything that a tenant takes", f"{total:.1f} MB", "includes the bed's disk, which is in memory")
    bench.add(f"control plane at {count} real tenants", f"{pss_mb(bench.server):.0f} MB")


def ask(server, name, count, namespace=None):
    enter = inside(namespace) if namespace else []
    return json.loads(output(*enter, sys.executable, "-B", TOOL, "ask", server, name, str(count)))


def container_of(tenant):
    """Returns the id of a tenant's container. Its name in the engine says nothing."""
    label = f"label=maliknode.name=adguard_user_{tenant}"
    return output("docker", "ps", "-q", "--filter", label).strip()


def latency(bench):
    blocked = rule_names()[RULES // 2]
    spaces = os.environ["MALIKNODE_BED_CLIENTS"].split()[:MEASURED]
    targets = []
    for tenant, namespace in zip(bench.tenants, spaces):
        gateway = connect(tenant, namespace, f"dev{tenant.slot}").gateway
        direct = container_address(container_of(tenant.host.split(".")[0]))
        targets.append((gateway, direct, namespace))
    for what, name, wanted in (("cached", CACHED_NAME, INTERNET), ("blocked", blocked, "0.0.0.0")):
        through, direct_times = [], []
        for gateway, direct, namespace in targets:
            # The first queries establish the tunnel's session and fill the cache.
            ask(gateway, name, 5, namespace)
            ask(direct, name, 5)
            for _ in range(ROUNDS):
                for took, server, space in ((through, gateway, namespace), (direct_times, direct, None)):
                    got = ask(server, name, QUERIES, space)
                    if set(got["answers"]) != {wanted}:
                        raise RuntimeError(f"{name} at {server}: {got['answers']}, not only {wanted}")
                    took += got["seconds"]
        bench.raw |= {f"dns_{what}_tunnel": through, f"dns_{what}_direct": direct_times}
        ratios = ", ".join(f"{percentile(through, s) / percentile(direct_times, s):.2f} x" for s in (0.5, 0.99))
        bench.add(f"DNS through the tunnel, {what}, {len(through)} times", p50_p99(through), f"the container asked directly: {p50_p99(direct_times)}", ratios)
