"""Measures a full node, for scale.py. Runs crates/control/examples/full_node three times in one folder: creating everything,
restarting only the server, and starting server and tunnels. Adds its figures to the table.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from bench import ms, p50_p99, percentile
from baselines import output, pids_with_argument

TENANTS, DEVICES = 1000, 20


def run(*arguments):
    done = subprocess.run([os.environ["MALIKNODE_FULL_NODE"], *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"full_node {arguments[0]} ended with {done.returncode}")
    return json.loads(done.stdout)


def end_tunnels(socket):
    """Kills the userspace WireGuard of this socket and waits until its tunnels are removed."""
    for pid in pids_with_argument(socket):
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while any(name.startswith("wg") for _, name in links()):
        if time.monotonic() > end:
            raise RuntimeError("the tunnels outlived their process")
        time.sleep(0.05)


def links():
    return [(link["ifindex"], link["ifname"]) for link in json.loads(output("ip", "-j", "link"))]


def full_node(bench):
    # The folder is on the machine's disk, because SQLite waits for it. The rest of a bed is in memory.
    root = tempfile.mkdtemp(prefix="full-node.", dir=os.environ.get("MALIKNODE_CACHE", "/var/tmp"))
    socket = f"{root}/run/wg-userspace.sock"
    try:
        made = run("make", "--root", root, f"--tenants={TENANTS}", f"--devices={DEVICES}")
        bench.raw["full node"] = made
        rows(bench, made)
        again = run("start", "--root", root)
        end_tunnels(socket)
        cold = run("start", "--root", root)
        bench.raw |= {"server restarted": again, "cold start": cold}
        starts(bench, cold, again)
    finally:
        end_tunnels(socket)
        for family in ("inet", "bridge"):
            subprocess.run(["nft", "delete", "table", family, "maliknode"], capture_output=True)
        shutil.rmtree(root)


def cpu(figures, what):
    """Returns the CPU time of the server with the commands it ran, and of the tunnels' process, for each run."""
    by = {who: figures[f"{what}, cpu of {who}"] for who in ("server", "commands", "tunnels")}
    return [sum(pair) for pair in zip(by["server"], by["commands"])], by["tunnels"]


def ratio(figures, baseline):
    return ", ".join(f"{percentile(figures, s) / percentile(baseline, s):.2f} x" for s in (0.5, 0.99))


def rows(bench, f):
    median = statistics.median
    created, inserted = f["create"][0], f["rows"][0]
    bench.add(f"{TENANTS:,} x {DEVICES} created, until the tunnels are in force", f"{created:.1f} s", f"their rows: {inserted:.1f} s", f"{created / inserted:.2f} x")
    own, child = cpu(f, "pass")
    bench.add(f"pass without a change, CPU, median of {len(own)}", ms(median(own)), f"the tunnels' process: {ms(median(child))}",
              target="100 ms", ok=median(own) <= 0.1)
    bench.add("  the most expensive", ms(max(own)), f"the tunnels' process: {ms(max(child))}")
    for what, target in (("device added", 0.010), ("device added in the mesh", 0.010), ("device deleted", None), ("device deleted in the mesh", None)):
        full, one = f[f"{what} among all"], f[f"{what} at one tenant"]
        goal = {"target": "p99 10 ms", "ok": percentile(full, 0.99) <= target} if target else {}
        bench.add(f"{what}, request to tunnel, {len(full)} times", p50_p99(full), f"at one tenant: {p50_p99(one)}", ratio(full, one), **goal)
    for how in ("", " in the mesh"):
        own, child = cpu(f, f"100 devices added{how} among all")
        bench.add(f"  CPU of each{how}", ms(own[0] / 100), f"the tunnels' process: {ms(child[0] / 100)}")
    if min(f["counters"]) < TENANTS * DEVICES:
        raise RuntimeError(f"statistics of {min(f['counters']):.0f} devices only")
    read, stored = f["statistics read"], f["statistics stored"]
    for what, times, target in (("read", read, 0.06), ("stored, all changed", stored, 0.1)):
        own, child = cpu(f, f"statistics {what.split(',')[0]}")
        bench.add(f"{TENANTS * DEVICES:,} counters {what}, median of {len(times)}", ms(median(times)),
                  f"CPU: server {ms(median(own))}, tunnels {ms(median(child))}", target=f"{target * 1000:.0f} ms", ok=median(times) <= target)
    for verb in ("added", "deleted"):
        own, nft = f[f"firewall element {verb}"], f[f"firewall element {verb}, nft"]
        bench.add(f"firewall element {verb}, {len(own)} times", p50_p99(own), f"nft -f - alone: {p50_p99(nft)}", ratio(own, nft),
                  "p99 10 ms", percentile(own, 0.99) <= 0.010)
    for what in ("made", "removed"):
        times = f[f"firewall tenant {what}"]
        bench.add(f"  a tenant's elements {what}, {len(times)} times", p50_p99(times))
    bench.add("  all written again, median of 3", ms(median(f["firewall rebuilt"])))
    for who in ("server", "tunnels"):
        full, one = f[f"memory of {who} at all tenants"][0], f[f"memory of {who} at one tenant"][0]
        bench.add(f"memory of {who}", f"{full:.0f} MB", f"at one tenant: {one:.0f} MB", f"{full / one:.1f} x")


def starts(bench, cold, again):
    first, second = cold["start"][0], again["start"][0]
    bench.add("cold start, until all tunnels are in force", f"{first:.1f} s", f"tunnels stayed, server restarted: {second:.1f} s", f"{first / second:.1f} x")
