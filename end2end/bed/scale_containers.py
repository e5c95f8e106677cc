"""Real tenants, for scale.py: as many as the machine holds, what each takes, how long a sign-up takes among others, and how
long DNS takes through a tunnel beside the container asked directly.
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
from bench_beside import BED, container_address, output, programs, pss
from bench_browser import sign_up

LEAST = 50  # tenants that a machine should hold
ALONE = 5  # sign-ups before the crowd, one by one
AT_ONCE = 8  # people who sign up at the same time
SECONDS = 240  # how long people keep coming
KEEP = 1536  # MB that stay free
RULES = 50_000  # of the shared block list
ASKED = 4  # tenants whose DNS is timed; a namespace each
ROUNDS, QUESTIONS = 5, 100  # for each of them, name and way
ADGUARD = "/opt/adguardhome/AdGuardHome"
TOOL = str(Path(__file__).with_name("dns_tool.py"))
INTERNET = os.environ.get("MALIKNODE_BED_INTERNET", "")
KNOWN = "cached.example"


def rule_names():
    """As long as real lists' names are; the same every time."""
    draw = random.Random(4)
    return ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(6, 16))) + f"{n}.example" for n in range(RULES)]


def prepare():
    """A shared list of a usual length, as a file of this machine, and an upstream."""
    names = rule_names()
    source = BED / "blocked.txt"
    source.write_text("! Title: bench\n" + "".join(f"||{name}^\n" for name in names))
    folder = BED / "root/central_api"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "config.toml").write_text(f'[[dns.lists]]\nid = 1\nname = "bench"\npath = "{source}"\n')
    subprocess.Popen(["nsenter", f"--net=/run/netns/{os.environ['MALIKNODE_BED_WAN']}", sys.executable, "-B", TOOL, "serve", INTERNET])


def available():
    """MB that could still be used (proc(5), meminfo)."""
    return int(re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)[1]) / 1024


def list_in_force():
    there = BED / "root/lists/1.txt"
    end = time.monotonic() + 30
    while not there.exists() or there.stat().st_size < RULES * 10:
        if time.monotonic() > end:
            raise RuntimeError("the shared block list did not come into force")
        time.sleep(0.1)


def crowd(bench):
    list_in_force()
    alone, together, refused = [], [], []
    before = available()
    for n in range(ALONE):
        tenant, took = sign_up(f"alone{n}")
        bench.tenants.append(tenant)
        alone.append(took)
    until, each = time.monotonic() + SECONDS, threading.Lock()
    numbers = iter(range(bench.most - ALONE))

    def person(_):
        while time.monotonic() < until and not refused:
            with each:
                n = next(numbers, None)
            if n is None or available() < KEEP:
                return
            try:
                tenant, took = sign_up(f"crowd{n}")
            except Exception as e:
                refused.append(f"{type(e).__name__}: {e}")
                return
            with each:
                bench.tenants.append(tenant)
                together.append(took)

    with ThreadPoolExecutor(AT_ONCE) as people:
        list(people.map(person, range(AT_ONCE)))
    time.sleep(5)  # what is still under way ends
    bench.raw |= {"sign_up_alone": alone, "sign_up_among_others": together, "available_mb": {"before": before, "after": available()}}
    count = len(bench.tenants)
    if together:
        total, one = [t["total"] for t in together], [t["total"] for t in alone]
        bench.add(f"sign-up to DNS answering, {AT_ONCE} at a time, {len(total)} times", p50_p99(total), f"one at a time: {ms(statistics.median(one))}",
                  f"{percentile(total, 0.5) / statistics.median(one):.2f} x")
    if refused:
        raise RuntimeError(f"sign-up {count + 1} failed: {refused[0]}")
    if count < LEAST:
        raise RuntimeError(f"{count} tenants only, {available():.0f} MB left; {LEAST} are the least")


def private(pid):
    """MB that nobody shares (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", text, re.M)) / 1024


def containers(bench):
    count = len(bench.tenants)
    adguards, shims = programs(ADGUARD), [p for p in programs("-namespace") if "shim" in Path(f"/proc/{p}/cmdline").read_text()]
    if len(adguards) != count:
        raise RuntimeError(f"{count} tenants, {len(adguards)} AdGuard Homes")
    each, shared, shim = [private(p) for p in adguards], [pss(p) for p in adguards], [pss(p) for p in shims]
    free = bench.raw["available_mb"]
    whole = (free["before"] - free["after"]) / count
    bench.raw["adguard_mb"] = {"private": each, "pss": shared, "shim_pss": shim}
    bench.add(f"AdGuard Home's own memory, {count} of them, {RULES:,} rules shared", f"p50 {statistics.median(each):.1f} MB, max {max(each):.1f} MB",
              f"with its share of what is shared: {statistics.median(shared):.1f} MB", aim="20 MB", ok=statistics.median(each) <= 20)
    bench.add("  the engine's process beside each", f"{statistics.median(shim):.1f} MB")
    bench.add("  all that a tenant takes of the machine", f"{whole:.1f} MB", "the bed's disk is in memory too")
    bench.add(f"control plane at {count} real tenants", f"{pss(bench.server):.0f} MB")


def connect(tenant, namespace):
    """A device of this tenant in a namespace of its own; its gateway's address."""
    form = {"label": "asking", "routing": "everything", "policy": "standard"}
    tenant.browser.connection.close()  # the server has hung up on who was idle for so long; the next request connects anew
    device = re.search(r"/devices/(\d+)", tenant.post("add_device", form)[0])[1]
    conf = tenant.browser.get(tenant.host, f"/devices/{device}/config")[2]
    value = {k.strip(): v.strip() for k, _, v in (line.partition("=") for line in conf.splitlines())}
    name, file = f"dev{tenant.slot}", BED / f"dev{tenant.slot}.conf"
    file.write_text("".join(line + "\n" for line in conf.splitlines() if not line.startswith(("Address", "DNS"))))
    inside = ["nsenter", f"--net=/run/netns/{namespace}"]
    output(*inside, "wireguard-go", name)
    output(*inside, "wg", "setconf", name, str(file))
    output(*inside, "ip", "addr", "add", value["Address"].split("/")[0] + "/32", "dev", name)
    output(*inside, "ip", "link", "set", name, "mtu", "1420", "up")
    gateway = value["DNS"].split(",")[0].strip()
    output(*inside, "ip", "route", "replace", f"{gateway}/32", "dev", name)
    return gateway


def ask(server, name, count, namespace=None):
    inside = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
    return json.loads(output(*inside, sys.executable, "-B", TOOL, "ask", server, name, str(count)))


def latency(bench):
    blocked = rule_names()[RULES // 2]
    spaces = os.environ["MALIKNODE_BED_CLIENTS"].split()[:ASKED]
    asked = []
    for tenant, namespace in zip(bench.tenants, spaces):
        gateway = connect(tenant, namespace)
        direct = container_address(f"adguard_user_{tenant.host.split('.')[0]}")
        asked.append((gateway, direct, namespace))
    for what, name, wanted in (("cached", KNOWN, INTERNET), ("blocked", blocked, "0.0.0.0")):
        through, beside = [], []
        for gateway, direct, namespace in asked:
            # The first ones make the tunnel's session and fill the cache.
            ask(gateway, name, 5, namespace)
            ask(direct, name, 5)
            for _ in range(ROUNDS):
                for took, server, space in ((through, gateway, namespace), (beside, direct, None)):
                    got = ask(server, name, QUESTIONS, space)
                    if set(got["answers"]) != {wanted}:
                        raise RuntimeError(f"{name} at {server}: {got['answers']}, not only {wanted}")
                    took += got["seconds"]
        bench.raw |= {f"dns_{what}_tunnel": through, f"dns_{what}_direct": beside}
        ratios = ", ".join(f"{percentile(through, s) / percentile(beside, s):.2f} x" for s in (0.5, 0.99))
        bench.add(f"DNS through the tunnel, {what}, {len(through)} times", p50_p99(through), f"the container asked directly: {p50_p99(beside)}", ratios)
