"""Measures the figures of `./dev bench` inside a test bed, with the real binary, Docker engine and AdGuard Home image.
A figure and its baseline are measured in the same minutes on the same machine, so the ratios are reliable.

Usage: tools/bed/bed.sh python3 -B tools/bench/bench.py [--json FILE]. With -B, root leaves no compiled files in the
checkout. MALIKNODE_BIN is the server. Only the standard library is used. The exit status is 0 if everything could be
measured, whether or not targets were met.
"""

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from baselines import BED, ForkedWg, run_bare_container, userspace_pids, raise_priority, output, count_peers, pss_mb
from browser import BASE, PORT, Browser, sign_up

TIME_LIMIT = 290  # seconds for everything; what takes longer counts as not measured
ROUNDS = 10  # tenants that are compared with a bare `docker run`
TENANTS = 20
FULL_TENANTS = 4  # tenants that get as many devices as their plan allows
DEVICES = 50
DEVICES_ON_PAGE = 20  # devices on the measured pages


class Overrun(BaseException):
    """TIME_LIMIT is over. Not an `Exception`, so that it ends all sections and not one."""


@dataclass
class Row:
    """A line of the table. `ok` is None where there is no target."""

    what: str
    figure: str
    baseline: str = "-"
    ratio: str = "-"
    target: str = "-"
    ok: bool | None = None


@dataclass
class Bench:
    """The results so far."""

    server: int
    rows: list = field(default_factory=list)
    raw: dict = field(default_factory=dict)
    tenants: list = field(default_factory=list)
    memory: dict = field(default_factory=dict)

    def add(self, *cells, **more):
        self.rows.append(Row(*cells, **more))


# --- numbers --------------------------------------------------------------------------------------------


def ms(seconds):
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def p50_p99(values):
    return f"p50 {ms(percentile(values, 0.5))}, p99 {ms(percentile(values, 0.99))}"


def median(samples, key):
    return statistics.median(sample[key] for sample in samples)


def note_memory(bench, when):
    time.sleep(2)  # lets running work finish
    bench.memory[when] = {"server": pss_mb(bench.server), "child": sum(map(pss_mb, userspace_pids()))}


# --- the sections ---------------------------------------------------------------------------------------


def tenants(bench):
    made, bare = [], []
    note_memory(bench, "start")
    for n in range(TENANTS):
        if n < ROUNDS:
            bare.append(run_bare_container(n))
        tenant, took = sign_up(f"bench{n}")
        bench.tenants.append(tenant)
        if n < ROUNDS:
            made.append(took)
        if n == 0:
            note_memory(bench, "1 tenant")
    note_memory(bench, f"{TENANTS} tenants")
    bench.raw["tenants"], bench.raw["docker_run"] = made, bare
    total, own = median(made, "total"), median(made, "made")
    running, answered = median(bare, "running"), median(bare, "answered")
    for what, figure in (("tenant from nothing", total), ("  without the account's part", own)):
        bench.add(f"{what}, median of {ROUNDS}", ms(figure), f"docker run -d, running: {ms(running)}",
                  f"{figure / running:.2f} x", "1.5 x", figure <= 1.5 * running)
    bench.add("  until its DNS answers", ms(total), f"docker run, first DNS answer: {ms(answered)}", f"{total / answered:.2f} x")


def devices(bench):
    # From here on, milliseconds matter. Not before: containers have no raised priority, so tenants have none either.
    for pid in ("self", bench.server, *userspace_pids()):
        raise_priority(pid)
    added, deleted, forked, plain = [], [], [], []
    with ForkedWg() as wg:
        forked_with = wg.kind
        for tenant in bench.tenants[:FULL_TENANTS + 1]:
            # One more tenant without the mesh shows the cost of the firewall's part.
            mesh = {} if tenant is bench.tenants[FULL_TENANTS] else {"mesh": "on"}
            ids = []
            for n in range(DEVICES):
                form = {"label": f"device {n}", "routing": "everything", "policy": "standard", **mesh}
                location, took = tenant.post("add_device", form)
                (added if mesh else plain).append(took)
                ids.append(re.search(r"/devices/(\d+)", location)[1])
                if mesh:
                    forked.append(wg.set())
                if n % 10 == 9 and (present := count_peers(tenant.slot)) != n + 1:
                    raise RuntimeError(f"{n + 1} devices were confirmed, the tunnel has {present}")
            for id in ids[DEVICES_ON_PAGE if tenant is bench.tenants[0] else 0:]:
                deleted.append(tenant.post("delete_device", {"id": id, "back": "devices"})[1])
    bench.raw |= {"add_device": added, "add_device_without_mesh": plain, "delete_device": deleted, "wg_set": forked}
    p99, baseline = percentile(added, 0.99), f"fork + wg set ({forked_with}): {p50_p99(forked)}"

    def ratios(values):
        return f"{percentile(values, 0.5) / percentile(forked, 0.5):.2f} x, {percentile(values, 0.99) / percentile(forked, 0.99):.2f} x"

    bench.add(f"device, request to tunnel, {len(added)} times", p50_p99(added), baseline, ratios(added), "p99 15 ms", p99 <= 0.015)
    bench.add(f"  without mesh, {len(plain)} times", p50_p99(plain), ratio=ratios(plain))
    bench.add(f"  deleted, request to cut-off, {len(deleted)} times", p50_p99(deleted), ratio=ratios(deleted))


def wrk(host, path, cookie):
    """Returns requests a second and the 99th percentile in seconds."""
    command = ["wrk", "-t1", "-c32", "--latency", "--timeout", "10s", "-H", f"Host: {host}", "-H", f"Cookie: {cookie}", f"http://127.0.0.1:{PORT}{path}"]
    output(*command, "-d1s")  # warm-up
    text = output(*command, "-d5s")
    if "Non-2xx" in text:
        raise RuntimeError(f"wrk at {path}: {text}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return rate, float(value) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def pages(bench):
    tenant = bench.tenants[0]
    rates = {}
    for path in ("/robots.txt", "/", "/devices"):
        text = tenant.browser.get(tenant.host, path)[2]
        missing = [n for n in range(DEVICES_ON_PAGE) if f"device {n}" not in text]
        if path != "/robots.txt" and missing:
            raise RuntimeError(f"{path} does not show devices {missing}")
        rates[path] = (*wrk(tenant.host, path, tenant.browser.cookie(tenant.host)), len(text.encode()))
    bench.raw["pages"] = {path: dict(zip(("per_second", "p99_seconds", "bytes"), r)) for path, r in rates.items()}
    files, files_p99, _ = rates["/robots.txt"]
    for what, path in (("dashboard page", "/"), ("list of devices", "/devices")):
        rate, p99, size = rates[path]
        bench.add(f"{what}, {DEVICES_ON_PAGE} devices, {size / 1000:.0f} kB", f"{rate:,.0f}/s, p99 {ms(p99)}",
                  f"a small file: {files:,.0f}/s, p99 {ms(files_p99)}", f"{rate / files:.2f} x", "1,500/s", rate >= 1500)
    note_memory(bench, "load")


def memory(bench):
    bench.raw["memory_mb"] = bench.memory
    figures = bench.memory
    one, many = figures["1 tenant"], figures[f"{TENANTS} tenants"]
    for when, figure in ((f"at {TENANTS} tenants", many), ("after all of the above", figures.get("load", many))):
        bench.add(f"control plane {when}", f"{figure['server']:.1f} MB", f"at 1 tenant: {one['server']:.1f} MB",
                  f"{figure['server'] / one['server']:.2f} x", "40 MB", figure["server"] <= 40)
    if one["child"]:
        bench.add(f"userspace tunnels at {TENANTS} tenants", f"{many['child']:.1f} MB", f"at 1 tenant: {one['child']:.1f} MB",
                  f"{many['child'] / one['child']:.2f} x")


def sizes(bench):
    site = Path(os.environ["MALIKNODE_BIN"]).parent / "site/pkg"
    sent = [f for kind in ("js", "wasm") for f in site.rglob(f"*.{kind}.br")]
    if len(sent) < 2:
        raise RuntimeError(f"{site} holds no compressed script or WASM")
    bench.raw["bytes"] = {f.name: f.stat().st_size for f in sorted(site.rglob("*")) if f.is_file()}
    compressed = sum(f.stat().st_size for f in sent) / 1024
    uncompressed = sum(f.with_suffix("").stat().st_size for f in sent) / 1024
    bench.add("script and WASM, brotli", f"{compressed:.0f} KB", f"uncompressed: {uncompressed:.0f} KB", f"{compressed / uncompressed:.2f} x", "260 KB", compressed <= 260)


# --- from start to table --------------------------------------------------------------------------------


def start():
    log, internet = BED / "server.log", os.environ["MALIKNODE_BED_INTERNET"]
    command = [os.environ["MALIKNODE_BIN"], "serve", "--root", str(BED / "root"), "--listen", f"127.0.0.1:{PORT}",
               "--base", BASE, "--public-host", os.environ["MALIKNODE_BED_HOST"], "--sign-ups-per-hour", "0", "--sign-ups-per-hour-total", "0",
               "--dns-upstreams", internet, "--dns-bootstrap", internet, "--dns-fallback", internet]
    with open(log, "w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while time.monotonic() < end and server.poll() is None:
        try:
            if Browser().request("GET", BASE, "/healthz")[0] == 200:
                return server, log
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise SystemExit(f"bench: the server did not answer within 30 s:\n{log.read_text()[-3000:]}")


def overrun(*_):
    raise Overrun


def print_table(rows):
    verdict = {None: "", True: "ok", False: "over"}
    table = [("what", "figure", "baseline, in the same run", "ratio", "target", ""),
             *[(r.what, r.figure, r.baseline, r.ratio, r.target, verdict[r.ok]) for r in rows]]
    widths = [max(len(row[i]) for row in table) for i in range(6)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print("\n".join(lines))


def measure(bench, sections, limit):
    """Runs the sections one after another, for at most `limit` seconds. Returns what could not be measured."""
    failed, left = [], list(sections)
    signal.signal(signal.SIGALRM, overrun)
    signal.alarm(limit)
    try:
        while left:
            section = left.pop(0)
            print(f"… {section.__name__}", flush=True)
            try:
                section(bench)
            except Exception as e:
                failed.append(f"{section.__name__}: {type(e).__name__}: {e}")
    except Overrun:
        failed += [f"{s.__name__}: {limit} s were over" for s in (section, *left)]
    finally:
        signal.alarm(0)
    return failed


def end(server):
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()


def machine_since(started_at, load):
    return {"cores": os.cpu_count(), "kernel": platform.release(), "load_at_start": load, "seconds": round(time.monotonic() - started_at)}


def write(file, machine, bench):
    Path(file).write_text(json.dumps({"machine": machine, "rows": [asdict(r) for r in bench.rows], "raw": bench.raw}, indent=1) + "\n")


def report_problems(failed, log):
    """Prints what was not measured, and the warnings in the server's log."""
    complaints = [line for line in log.read_text().splitlines() if " WARN " in line or " ERROR " in line] if log.exists() else []
    for line in failed:
        print(f"not measured: {line}", file=sys.stderr)
    if complaints:
        print(f"{len(complaints)} warnings in the server's log, the last:", *complaints[-8:], sep="\n  ", file=sys.stderr)


def with_tenants(section):
    """Returns the section with a check that all tenants exist."""

    def checked(bench):
        if len(bench.tenants) < TENANTS:
            raise RuntimeError(f"it needs {TENANTS} tenants")
        section(bench)

    checked.__name__ = section.__name__
    return checked


def main():
    parser = argparse.ArgumentParser(description="Measures the figures of MalikNode; ./dev bench runs it.")
    parser.add_argument("--json", metavar="FILE", help="also write every single measurement")
    options = parser.parse_args()
    if os.environ.get("MALIKNODE_BED") != "1" or "MALIKNODE_BIN" not in os.environ:
        sys.exit("bench.py runs inside a test bed: ./dev bench")
    os.setsid()  # for raise_priority(): a session of only this program and the server
    started_at, load = time.monotonic(), os.getloadavg()[0]
    server, log = start()
    bench = Bench(server.pid)
    try:
        failed = measure(bench, [sizes, tenants, *map(with_tenants, (devices, pages, memory))], TIME_LIMIT)
    finally:
        end(server)
    machine = machine_since(started_at, load)
    print()
    print_table(bench.rows)
    if bench.raw.get("tenants"):
        parts = {k: ms(median(bench.raw["tenants"], k)) for k in ("answer", "redirect", "wait", "firewall", "tunnel", "dns")}
        print("\nA tenant from nothing: the sign-up's response (with the password's hash) {answer}, redirect to the progress page {redirect}, "
              "wait there {wait}.\nThe account's part ends with the response. From then on the node counts: firewall {firewall}, "
              "tunnel {tunnel}, DNS {dns}.".format(**parts))
    print("{cores} cores, Linux {kernel}, load {load_at_start:.1f} at the start, measured in {seconds} s, devices and pages at the highest priority.".format(**machine))
    if options.json:
        write(options.json, machine, bench)
    report_problems(failed, log)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
