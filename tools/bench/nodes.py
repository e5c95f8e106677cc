"""Measures the figures of `./dev bench nodes` inside a test bed: a control plane on PostgreSQL with many virtual workers and
their tenants (nodes_rig.py says what is real). The aims are those of the design; docs/PERFORMANCE.md has the method.

Usage: tools/bed/bed.sh python3 -B tools/bench/nodes.py [--workers N] [--tenants N] [--devices N] [--json FILE].
MALIKNODE_BIN is the server, MALIKNODE_VIRTUAL_WORKERS and MALIKNODE_FLEET_ROWS are the examples. Only the standard
library is used. The exit status is 0 if everything could be measured.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import bench as common
from baselines import raise_priority
from bench import ms, p50_p99, percentile
from browser import BASE, Browser
from nodes_rig import FIRST_NODE, ControlPlane, Pages, Postgres, Workers, load, network, sign_up, wire_bytes

TIME_LIMIT = 600  # seconds for everything
SYNC_LIMIT = 180  # seconds for all workers to have their spec
MAX_TENANTS = 980  # loaded on each worker; the other 20 of its 1,000 slots are for those who sign up
PLACED = 200  # requests that show what placement costs
COMPARED = 20  # sign-ups at one worker, and one after another at all
IDLE_SECONDS = 60
CHANGES_A_SECOND, CHANGE_SECONDS, BURST = 12, 20, 120
SIGNING_UP = 8  # sign-ups at a time


@dataclass
class Bench(common.Bench):
    """The results so far, and what they are measured on."""

    options: argparse.Namespace = None
    postgres: Postgres = None
    control: ControlPlane = None
    workers: Workers = None
    first: list = None

    @property
    def nodes(self):
        return range(FIRST_NODE, FIRST_NODE + self.options.workers)


def size(n):
    return f"{n / 1e6:,.1f} MB" if n >= 1e5 else f"{n / 1e3:.1f} kB"


def sent_since(before):
    return {name: n - before[name] for name, n in wire_bytes().items()}


# --- the sections ---------------------------------------------------------------------------------------


def one_worker(bench):
    """Signs tenants up while there is one worker, full like the others later, which placement at many is compared with.
    Then joins the others."""
    control, options = bench.control, bench.options
    control.start()
    control.command("node", "close", "local")
    Workers.join(control, ["virtual-1"])
    control.stop()
    load(control, bench.postgres, FIRST_NODE, 1, options.tenants, options.devices)
    control.start()
    bench.workers = Workers()
    bench.workers.until(1, [FIRST_NODE], SYNC_LIMIT)
    heard(bench, 1)
    bench.first = [sign_up(f"first{n}") for n in range(COMPARED)]
    bench.raw["home_page_at_one_worker"] = home_page()
    bench.workers.end()
    if options.workers > 1:
        took = Workers.join(control, [f"virtual-{n}" for n in range(2, options.workers + 1)])
        bench.raw["joined_seconds"] = took
        bench.add(f"{options.workers - 1} workers join, a token each", f"{took:.1f} s", f"{ms(took / (options.workers - 1))} each")
    control.stop()


def home_page():
    """Returns how long the page with the sign-up's form takes: it asks for all nodes and their room, as placement does."""
    browser, took = Browser(), []
    for _ in range(PLACED):
        started_at = time.perf_counter()
        browser.get(BASE, "/")
        took.append(time.perf_counter() - started_at)
    return took


def heard(bench, count):
    """Waits until so many workers count as heard."""
    end = time.monotonic() + SYNC_LIMIT
    while int(bench.postgres.sql(f"SELECT COUNT(*) FROM nodes WHERE id >= {FIRST_NODE} AND last_heard IS NOT NULL")) < count:
        if time.monotonic() > end:
            raise RuntimeError("the workers were not heard")
        time.sleep(0.1)


def whole_specs(bench):
    """Starts everything at full size: each worker is sent its whole spec."""
    options = bench.options
    started_at = time.monotonic()
    if options.workers > 1:
        load(bench.control, bench.postgres, FIRST_NODE + 1, options.workers - 1, options.tenants, options.devices)
    bench.raw["loaded_seconds"] = time.monotonic() - started_at
    print(f"  loaded in {bench.raw['loaded_seconds']:.0f} s", flush=True)
    bench.control.start()
    bench.raw["memory_without_workers_mb"] = bench.control.memory()[0]
    before, cpu = wire_bytes(), bench.control.cpu()
    pages = Pages([tenant for tenant, _ in bench.first[:2]])
    started_at = time.monotonic()
    bench.workers = Workers()
    there = bench.workers.until(1, bench.nodes, SYNC_LIMIT)
    took, sent, cpu = max(there) - started_at, sent_since(before), bench.control.cpu() - cpu
    time.sleep(1)
    page_times = pages.end()
    memory, most = bench.control.memory()
    bench.raw["whole_specs"] = {"seconds": [t - started_at for t in there], "bytes": sent, "cpu_seconds": cpu, "memory_mb": memory, "most_mb": most, "pages": page_times}
    bench.add(f"whole specs to all {options.workers} workers", f"{took:.1f} s, first after {min(there) - started_at:.1f} s",
              f"{size(sent['sent'])}, CPU {cpu:.1f} s", target="60 s", ok=took <= 60)
    bench.add("  most memory of the control plane meanwhile", f"{most:.0f} MB")
    pages_row(bench, page_times, pages.failed)


def pages_row(bench, times, failed):
    if not times:
        raise RuntimeError("no page was answered")
    p99 = percentile(times, 0.99)
    bench.add(f"  pages meanwhile, {len(times)} times", p50_p99(times), f"{failed} not answered" if failed else "-", target="p99 100 ms", ok=p99 <= 0.1)


def settle(bench):
    """Waits until the control plane uses as little as it will: what it read of the workers is stored then."""
    end, last = time.monotonic() + 90, None
    while time.monotonic() < end:
        before = bench.control.cpu() + bench.postgres.cpu()
        time.sleep(10)
        now = bench.control.cpu() + bench.postgres.cpu() - before
        if last is not None and now > 0.8 * last:
            return
        last = now


def idle(bench):
    """Measures what nothing costs: no change, no page, and counters that stand still."""
    settle(bench)
    control, postgres, workers = bench.control, bench.postgres, bench.workers
    before, cpu = wire_bytes(), (control.cpu(), postgres.cpu(), workers.cpu())
    time.sleep(IDLE_SECONDS)
    sent = sent_since(before)
    used = [100 * (now - then) / IDLE_SECONDS for now, then in zip((control.cpu(), postgres.cpu(), workers.cpu()), cpu)]
    memory = control.memory()[0]
    bench.raw["idle"] = {"cpu_percent": dict(zip(("control_plane", "postgresql", "workers"), used)), "bytes": sent, "seconds": IDLE_SECONDS, "memory_mb": memory}
    bench.add("idle control plane, CPU", f"{used[0]:.1f} % of a core", f"the virtual workers: {used[2]:.1f} %", target="3 %", ok=used[0] <= 3)
    bench.add("  PostgreSQL's", f"{used[1]:.1f} % of a core")
    bench.add("  bytes each second, from and to workers", size(sent["received"] / IDLE_SECONDS), size(sent["sent"] / IDLE_SECONDS))
    bench.add("control plane's memory", f"{memory:.0f} MB", f"before workers connect: {bench.raw['memory_without_workers_mb']:.0f} MB", target="80 MB", ok=memory <= 80)


def sign_ups(bench):
    """Signs tenants up: one after another, to compare with one worker, then several at a time."""
    one, all_ = [took for _, took in bench.first], []
    for n in range(COMPARED):
        tenant, took = sign_up(f"later{n}")
        bench.tenants.append(tenant)
        all_.append(took)
    bench.raw["sign_ups"] = {"at_one_worker": one, "at_all": all_}
    pages = bench.raw["home_page_at_one_worker"], home_page()
    bench.raw["home_page_at_all"] = pages[1]
    added = statistics.median(pages[1]) - statistics.median(pages[0])
    bench.add(f"sign-up's answer at {bench.options.workers} workers, {COMPARED} times", p50_p99(all_), f"at one worker: {p50_p99(one)}")
    bench.add("  what placement adds: the list of nodes, their room and order", ms(max(added, 0)), target="5 ms", ok=added <= 0.005)
    started_at = time.monotonic()
    with ThreadPoolExecutor(SIGNING_UP) as pool:
        made = list(pool.map(lambda n: sign_up(f"many{n}"), range(BURST)))
    rate = BURST / (time.monotonic() - started_at)
    bench.tenants += [tenant for tenant, _ in made]
    bench.raw["sign_ups"] |= {"together": [took for _, took in made], "per_second": rate}
    bench.add(f"sign-ups a second, {SIGNING_UP} at a time, with the first page", f"{rate:.1f}/s", f"the answer: {p50_p99([took for _, took in made])}")


def change(bench, tenant, n, results):
    try:
        results.append(tenant.post("add_device", {"label": f"device {n}", "routing": "everything", "policy": "standard"})[1])
    except Exception as e:
        results.append(e)


def at_times(bench, tenants, times, label):
    """Makes a change of each tenant at its time. Returns the seconds of each, from the request to the answer, which comes
    once the worker has reported that the change is in force."""
    results, threads, begin = [], [], time.monotonic() + 0.2
    for n, (tenant, at) in enumerate(zip(tenants, times)):
        # A connection that may be closed is opened again before.
        if time.monotonic() - tenant.browser.answered > 2:
            tenant.browser.connection.close()
        time.sleep(max(0, begin + at - time.monotonic()))
        thread = threading.Thread(target=change, args=(bench, tenant, f"{label} {n}", results))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(60)
    if problems := [r for r in results if isinstance(r, Exception)]:
        raise RuntimeError(f"{len(problems)} of {len(results)} changes: {problems[0]}")
    return results


def changes(bench):
    """Measures from a change's request until the worker has it in force and has said so."""
    tenants, count = bench.tenants[:BURST], CHANGES_A_SECOND * CHANGE_SECONDS
    before, cpu, changed = wire_bytes(), (bench.control.cpu(), bench.postgres.cpu()), bench.workers.changed
    steady = at_times(bench, [tenants[n % len(tenants)] for n in range(count)], [n / CHANGES_A_SECOND for n in range(count)], "steady")
    sent, used = sent_since(before), (bench.control.cpu() - cpu[0], bench.postgres.cpu() - cpu[1])
    if bench.workers.changed - changed < count:
        raise RuntimeError(f"{bench.workers.changed - changed} of {count} changes have reached a worker")
    time.sleep(3)
    burst = at_times(bench, tenants, [0] * len(tenants), "burst")
    time.sleep(3)
    second = at_times(bench, tenants, [n / BURST for n in range(len(tenants))], "second")
    bench.raw["changes"] = {"steady": steady, "burst": burst, "in_a_second": second, "bytes": sent, "cpu_seconds": used}
    for what, times in ((f"change to applied, {CHANGES_A_SECOND} a second, {count} times", steady), (f"  {BURST} within a second", second), (f"  {BURST} at the same moment", burst)):
        bench.add(what, p50_p99(times), target="p99 100 ms", ok=percentile(times, 0.99) <= 0.1)
    bench.add("  bytes of a change, to and from its worker", size(sent["sent"] / count), size(sent["received"] / count))
    bench.add("  CPU of a change, control plane", ms(used[0] / count), f"PostgreSQL: {ms(used[1] / count)}")


def restart(bench):
    """Restarts the control plane, with a change on every worker meanwhile, until each has it in force."""
    control, postgres = bench.control, bench.postgres
    control.stop()
    before = wire_bytes()
    last = f"SELECT MAX(generation) FROM nodes WHERE id >= {FIRST_NODE}"
    generation = int(postgres.sql(last)) + 1
    # As another control plane would have changed one tenant of each.
    postgres.sql(f"UPDATE nodes SET generation = {generation} WHERE id >= {FIRST_NODE}",
                 f"UPDATE users SET generation = {generation}, state = 'suspended' WHERE node_id >= {FIRST_NODE} AND slot = 1")
    bench.workers.streams.clear()
    started_at = control.start()
    answered = time.monotonic()
    pages = Pages(bench.tenants[:2] + bench.tenants[-2:])
    there = bench.workers.until(generation, bench.nodes, SYNC_LIMIT)
    took, sent = max(there) - started_at, sent_since(before)
    cpu = control.cpu()
    times = pages.end()
    streams = [bench.workers.streams.get(n, float("inf")) - started_at for n in bench.nodes]
    memory, most = control.memory()
    offsets = sorted(t - started_at for t in there)
    bench.raw["restart"] = {"seconds": offsets, "streams": streams, "answers_after": answered - started_at, "bytes": sent, "cpu_seconds": cpu, "memory_mb": memory, "most_mb": most, "pages": times}
    bench.add("control plane restarted, until all workers have what changed", f"{took:.1f} s, half after {percentile(offsets, 0.5):.1f} s",
              f"it answers after {answered - started_at:.1f} s; {size(sent['sent'])}, CPU {cpu:.1f} s", target="60 s", ok=took <= 60)
    bench.add("  most memory of the control plane meanwhile", f"{most:.0f} MB")
    pages_row(bench, times, pages.failed)


def with_workers(section):
    """Returns the section with a check that the workers run."""

    def checked(bench):
        if not bench.workers or bench.workers.process.poll() is not None:
            raise RuntimeError("the workers do not run")
        section(bench)

    checked.__name__ = section.__name__
    return checked


def main():
    parser = argparse.ArgumentParser(description="Measures a control plane with many workers; ./dev bench nodes runs it.")
    parser.add_argument("--workers", type=int, default=200, metavar="N", help="from 1 to 200, the default")
    parser.add_argument("--tenants", type=int, default=MAX_TENANTS, metavar="N", help=f"on each worker, at most {MAX_TENANTS}, the default")
    parser.add_argument("--devices", type=int, default=5, metavar="N", help="of each tenant, at most 50; the default is 5")
    parser.add_argument("--json", metavar="FILE", help="also write every single measurement")
    options = parser.parse_args()
    for name, most in (("workers", 200), ("tenants", MAX_TENANTS), ("devices", 50)):
        if not 1 <= getattr(options, name) <= most:
            parser.error(f"--{name}: from 1 to {most}")
    needed = {"MALIKNODE_BIN", "MALIKNODE_VIRTUAL_WORKERS", "MALIKNODE_FLEET_ROWS"}
    if os.environ.get("MALIKNODE_BED") != "1" or not needed <= os.environ.keys():
        sys.exit("nodes.py runs inside a test bed: ./dev bench nodes")
    os.setsid()  # for raise_priority(): a session of only this program and those it starts
    raise_priority()
    started_at, load_at_start = time.monotonic(), os.getloadavg()[0]
    network()
    postgres = Postgres()
    control = ControlPlane(postgres)
    bench = Bench(server=0, options=options, postgres=postgres, control=control)
    sections = [one_worker, whole_specs, *map(with_workers, (idle, sign_ups, changes, restart))]
    try:
        failed = common.measure(bench, sections, TIME_LIMIT)
    finally:
        if bench.workers:
            bench.workers.end()
        if control.process:
            control.stop()
        postgres.end()
    machine = common.machine_since(started_at, load_at_start)
    print()
    common.print_table(bench.rows)
    print("{cores} cores, Linux {kernel}, load {load_at_start:.1f} at the start, measured in {seconds} s.".format(**machine))
    print(f"{options.workers} workers with {options.tenants} tenants each and {options.devices} devices each. Everything shares the cores.")
    bench.raw["options"] = vars(options)
    if options.json:
        common.write(options.json, machine, bench)
    common.report_problems(failed, control.log)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
