"""What nodes.py measures with: PostgreSQL, a control plane, virtual workers, and what each of them takes.

The control plane and PostgreSQL are the real programs. The workers' end of the wire is real too, with TLS, certificates
and join tokens (crates/link/examples/virtual_workers); only their machines are virtual. Each connection of a worker has
one of many source addresses, by nftables, because the control plane limits what one address may do.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from baselines import BED, output, pss_mb, raise_priority
from browser import BASE, PASSWORD, PORT, Browser, Tenant, resolve

ADDRESS, NODES_PORT = "10.99.0.1", 8443
SOURCES = 250
FIRST_NODE = 2  # the local one is 1
# Parts of these are for the tenants that sign up: a node has 1,000 slots.
RESERVED_SLOTS = 20
TICK = os.sysconf("SC_CLK_TCK")


# --- the network ----------------------------------------------------------------------------------------


def network():
    """Gives the loopback interface the addresses, and makes workers' connections come from one after another."""
    addresses = [f"10.99.1.{n}" for n in range(1, SOURCES + 1)]
    for address in (ADDRESS, *addresses):
        output("ip", "address", "add", f"{address}/32", "dev", "lo")
    choices = ", ".join(f"{n} : {address}" for n, address in enumerate(addresses))
    rules = f"""table ip virtual_workers {{
 counter sent {{ }}
 counter received {{ }}
 chain count {{ type filter hook output priority 0; tcp sport {NODES_PORT} counter name sent; tcp dport {NODES_PORT} counter name received; }}
 chain source {{ type nat hook postrouting priority 100; ip daddr {ADDRESS} tcp dport {NODES_PORT} snat to numgen inc mod {SOURCES} map {{ {choices} }}; }}
}}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def wire_bytes():
    """Returns the bytes that the control plane has sent to workers and received from them, with TCP's headers."""
    text = output("nft", "list", "counters", "table", "ip", "virtual_workers")
    return {name: int(n) for name, n in re.findall(r"counter (\w+) \{\s*packets \d+ bytes (\d+)", text)}


# --- processes ------------------------------------------------------------------------------------------


def cpu_seconds(pid, with_children=False):
    """Returns the CPU time of a process; `with_children` also that of children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15 if with_children else 13])) / TICK


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # the process has ended
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


class Postgres:
    """A PostgreSQL of its own, with its default settings, on the machine's disk."""

    def __init__(self):
        bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        user = pwd.getpwnam("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="bench-nodes.", dir="/var/tmp"))
        shutil.chown(self.folder, user.pw_uid, user.pw_gid)
        self.url = f"postgres://postgres@localhost/postgres?host={self.folder}"
        options = {"cwd": "/", "user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "stdin": subprocess.DEVNULL}
        log = open(self.folder / "log", "w")
        subprocess.run([bin / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
                       check=True, stdout=log, stderr=log, **options)
        command = [bin / "postgres", "-D", self.folder / "data", "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}",
                   "-c", "max_wal_size=8GB"]  # no checkpoint because of the loading
        self.process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        end = time.monotonic() + 60
        while subprocess.run(["pg_isready", "-q", "-d", self.url]).returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit((self.folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def sql(self, *statements):
        commands = [part for statement in statements for part in ("-c", statement)]
        return output("psql", "-qAt", "-v", "ON_ERROR_STOP=1", *commands, self.url).strip()

    def cpu(self):
        pid = self.process.pid
        return cpu_seconds(pid, True) + sum(map(cpu_seconds, children(pid)))

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.folder)


class ControlPlane:
    """The real program, without a node of its own where it can do without."""

    def __init__(self, postgres):
        internet = os.environ["MALIKNODE_BED_INTERNET"]
        self.program, self.root, self.log = os.environ["MALIKNODE_BIN"], BED / "root", BED / "server.log"
        self.options = ["--root", str(self.root), "--listen", f"127.0.0.1:{PORT}", "--base", BASE, "--public-host", os.environ["MALIKNODE_BED_HOST"],
                        "--sign-ups-per-hour", "0", "--sign-ups-per-hour-total", "0", "--limits-web-connections", "4096", "--database-url", postgres.url,
                        "--dns-upstreams", internet, "--dns-bootstrap", internet, "--dns-fallback", internet,
                        "--nodes-listen", f"0.0.0.0:{NODES_PORT}", "--nodes-address", f"https://{ADDRESS}:{NODES_PORT}"]
        self.without_node = "--no-node" in output(self.program, "serve", "--help")
        self.process = None

    def start(self):
        """Starts it and waits until it answers. Returns when it was started."""
        started_at = time.monotonic()
        alone = ["--no-node"] if self.without_node else []
        with open(self.log, "a") as out:
            self.process = subprocess.Popen([self.program, "serve", *self.options, *alone], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        raise_priority(self.process.pid)
        while time.monotonic() < started_at + 60 and self.process.poll() is None:
            try:
                if Browser().request("GET", BASE, "/healthz")[0] == 200:
                    return started_at
            except OSError:
                time.sleep(0.02)
        self.process.kill()
        raise SystemExit(f"bench: the control plane did not answer within 60 s:\n{self.log.read_text()[-3000:]}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def command(self, *words):
        return output(self.program, *words, *self.options)

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def memory(self):
        """Returns the MB that it takes, and the most that it took since the start or the last call."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        most = int(re.search(r"^VmHWM:\s+(\d+)", status, re.M)[1]) / 1024
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return pss_mb(self.process.pid), most


class Workers:
    """The virtual workers. What they report is read as it comes: `in_force` has what each put in force when."""

    def __init__(self, first=None):
        self.folder = BED / "workers"
        self.log = BED / "workers.log"
        command = [os.environ["MALIKNODE_VIRTUAL_WORKERS"], "run", str(self.folder), f"https://{ADDRESS}:{NODES_PORT}"]
        self.in_force, self.streams, self.changed = {}, {}, 0
        self.news = threading.Condition()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([*command, *([str(first)] if first else [])], stdout=subprocess.PIPE, stderr=log, text=True)
        raise_priority(self.process.pid)
        threading.Thread(target=self.read, daemon=True).start()

    @staticmethod
    def join(control, names):
        """Joins machines of these names, each with a token of its own. Returns the seconds."""
        folder = BED / "workers"
        folder.mkdir(mode=0o700, exist_ok=True)
        started_at = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            tokens = pool.map(lambda _: re.search(r"mn1_\S+", control.command("worker", "token"))[0], names)
            lines = "".join(f"{name} {token}\n" for name, token in zip(names, tokens))
        command = [os.environ["MALIKNODE_VIRTUAL_WORKERS"], "join", str(folder), f"https://{ADDRESS}:{NODES_PORT}"]
        done = subprocess.run(command, input=lines, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"the workers did not join: {done.stderr[-2000:]}")
        return time.monotonic() - started_at

    def read(self):
        for line in self.process.stdout:
            now, words = time.monotonic(), line.split()
            with self.news:
                if words[0] == "stream":
                    self.streams[int(words[1])] = now
                else:
                    node, generation, tenants, changed = map(int, words)
                    self.in_force[node] = (generation, now, tenants)
                    self.changed += changed
                self.news.notify_all()

    def until(self, generation, nodes, limit):
        """Waits until each of these nodes has this generation or a later one in force. Returns when each had."""
        end = time.monotonic() + limit
        with self.news:
            while missing := [n for n in nodes if self.in_force.get(n, (0,))[0] < generation]:
                if not self.news.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise RuntimeError(f"{len(missing)} of {len(nodes)} workers were not there within {limit} s")
            return [self.in_force[n][1] for n in nodes]

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def end(self):
        self.process.kill()
        self.process.wait()


# --- rows -----------------------------------------------------------------------------------------------


def load(control, postgres, first, workers, tenants, devices):
    """Loads the rows of so many tenants on each of the workers from `first` on. The control plane is not running."""
    folder = postgres.folder / "rows"
    folder.mkdir()
    key = next(control.root.rglob("seal.key"))
    columns = output(os.environ["MALIKNODE_FLEET_ROWS"], str(key), str(folder), *map(str, (first, workers, tenants, devices)))
    for table in columns.strip().splitlines():
        name = table.split()[0]
        postgres.sql(f"\\copy {table} FROM '{folder / name}.copy'")
    shutil.rmtree(folder)
    postgres.sql(f"UPDATE nodes SET generation = generation + 1, tenants = (SELECT COUNT(*) FROM users WHERE node_id = nodes.id), "
                 f"last_slot = {tenants} WHERE id >= {first}",
                 f"UPDATE users SET generation = (SELECT generation FROM nodes WHERE id = node_id) WHERE node_id >= {first}", "VACUUM ANALYZE", "CHECKPOINT")


# --- tenants --------------------------------------------------------------------------------------------


def sign_up(name):
    """Signs a tenant up and opens its dashboard's host. Returns it, and the seconds that the sign-up's answer took."""
    browser, host = Browser(), f"{name}.{BASE}"
    form = {"name": name, "password": PASSWORD, "plan": "studio"}
    started_at = time.perf_counter()
    status, location, text = browser.request("POST", BASE, "/do/sign_up", form)
    took = time.perf_counter() - started_at
    if status not in (302, 303) or f"//{host}/" not in location:
        raise RuntimeError(f"sign-up of {name}: {status} {location} {text[:300]}")
    browser.get(*resolve(BASE, "/", location))
    return Tenant(host, browser), took


class Pages:
    """Asks for pages, one after another, while something else happens."""

    def __init__(self, tenants, paths=("/", "/devices")):
        self.tenants, self.paths = tenants, paths
        self.took, self.failed, self.going = [], 0, True
        self.threads = [threading.Thread(target=self.ask, args=(t,), daemon=True) for t in tenants]
        for thread in self.threads:
            thread.start()

    def ask(self, tenant):
        n = 0
        while self.going:
            started_at = time.perf_counter()
            try:
                status, _, text = tenant.browser.request("GET", tenant.host, self.paths[n % len(self.paths)])
                if status != 200:
                    raise RuntimeError(f"{status} {text[:200]}")
                self.took.append(time.perf_counter() - started_at)
            except Exception:
                self.failed += 1
                tenant.browser.connection.close()
            n += 1
            time.sleep(0.1)

    def end(self):
        self.going = False
        for thread in self.threads:
            thread.join(30)
        return self.took
