"""The baselines that bench.py compares with: a bare `docker run` of the same image, and fork + `wg set`. Also what it
measures from outside: the peers of a tunnel, and the memory of a process.
"""

import base64
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

BED = Path(os.environ.get("MALIKNODE_BED_DIR", "/nonexistent"))
IMAGE = os.environ.get("MALIKNODE_BED_IMAGE", "")
USERSPACE_SOCKET = "/run/maliknode/wg-userspace.sock"
# The bare container answers this query without an upstream, by the rewrite below.
QUESTION = bytes.fromhex("123401000001000000000000") + b"\x04left\x04test\x00\x00\x01\x00\x01"
BARE_CONFIG = """schema_version: 34
http: {address: 0.0.0.0:3000}
users: [{name: tenant, password: $2b$04$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu}]
dns: {bind_hosts: [0.0.0.0], port: 53, upstream_dns: [127.0.0.1:9], bootstrap_dns: [127.0.0.1:9], ratelimit: 0}
filtering: {rewrites: [{domain: left.test, answer: 192.0.2.1, enabled: true}], filtering_enabled: true, rewrites_enabled: true}
filters: []
"""


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return done.stdout


def raise_priority(pid="self"):
    """Gives a process's session the highest priority. Where the kernel groups by session (sched(7), autogroup), a nice
    value alone counts only within the session.
    """
    try:
        Path(f"/proc/{pid}/autogroup").write_text("-20")
        os.setpriority(os.PRIO_PROCESS, 0 if pid == "self" else pid, -20)
    except OSError:
        pass  # the kernel has no autogroup, or the process has ended: the priority stays as it is


def pids_with_argument(word):
    """Returns the ids of processes with this word on the command line. Only the bed's processes are visible."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (proc / "cmdline").read_bytes().split(b"\0"):
                found.append(int(proc.name))
        except OSError:
            continue  # the process has ended
    return found


def userspace_pids():
    """Returns the ids of the userspace WireGuard's processes; none where the kernel's WireGuard is used."""
    return pids_with_argument("wg-userspace")


def container_address(container):
    """Returns a container's address. Asks the engine: starting the docker command would count as waiting for DNS."""
    engine = http.client.HTTPConnection("docker", timeout=10)
    engine.sock = socket.socket(socket.AF_UNIX)
    engine.sock.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    engine.request("GET", f"/containers/{container}/json")
    settings = json.load(engine.getresponse())["NetworkSettings"]
    engine.close()
    return next(n["IPAddress"] for n in settings["Networks"].values() if n["IPAddress"])


def run_bare_container(n):
    """Runs a plain `docker run -d` of the same image. Returns the seconds until it runs, and until its DNS answers."""
    folder = BED / f"bare{n}"
    for name in ("conf", "work"):
        (folder / name).mkdir(parents=True)
    (folder / "conf/AdGuardHome.yaml").write_text(BARE_CONFIG)
    mounts = [f"-v{folder / name}:/opt/adguardhome/{name}" for name in ("conf", "work")]
    started_at = time.perf_counter()
    container = output("docker", "run", "-d", *mounts, IMAGE).strip()
    running = time.perf_counter() - started_at
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
        ask.settimeout(0.05)
        # Connected, so that a port on which nothing listens yet is an error at once.
        ask.connect((container_address(container), 53))
        while time.perf_counter() - started_at < 30:
            try:
                ask.send(QUESTION)
                if len(ask.recv(512)) > len(QUESTION):
                    break
            except OSError:
                time.sleep(0.001)
        else:
            raise RuntimeError("the bare container's DNS did not answer within 30 s")
    answered = time.perf_counter() - started_at
    output("docker", "rm", "-f", container)
    shutil.rmtree(folder)
    return {"running": running, "answered": answered}


class ForkedWg:
    """Does what a script does: fork and `wg set`, on a separate tunnel, of the kernel where it supports WireGuard."""

    def __enter__(self):
        link = ["ip", "link", "add", "bench0", "type", "wireguard"]
        self.kind = "kernel"
        if subprocess.run(link, capture_output=True).returncode != 0:
            self.kind = "wireguard-go"
            output("wireguard-go", "bench0")
            # It has a session of its own, like the process it is compared with.
            for pid in pids_with_argument("bench0"):
                raise_priority(pid)
        self.wg, self.count = shutil.which("wg"), 0
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "del", "bench0"], capture_output=True)

    def set(self):
        self.count += 1
        key = base64.b64encode(os.urandom(32)).decode()
        address = f"192.0.{self.count // 250}.{self.count % 250}/32"
        started_at = time.perf_counter()
        child = os.posix_spawn(self.wg, ["wg", "set", "bench0", "peer", key, "allowed-ips", address], os.environ)
        status = os.waitpid(child, 0)[1]
        took = time.perf_counter() - started_at
        if status != 0:
            raise RuntimeError(f"wg set ended with {status}")
        return took


def count_peers(slot):
    """Returns how many peers the tunnel really has, by the userspace process's socket or by the kernel."""
    if not os.path.exists(USERSPACE_SOCKET):
        return len(output("wg", "show", f"wg{slot}", "peers").split())
    after, found = None, 0
    while True:
        with socket.socket(socket.AF_UNIX) as child:
            child.settimeout(5)
            child.connect(USERSPACE_SOCKET)
            lines = child.makefile("rw")
            lines.readline()  # the greeting
            lines.write(json.dumps({"op": "statistics", "after": after}) + "\n")
            lines.flush()
            reply = json.loads(lines.readline())
        found += sum(counter["slot"] == slot for counter in reply["counters"])
        after = reply["next"]
        if after is None:
            return found


def pss_mb(pid):
    """Returns the MB of RAM of a process, shared pages counted by share (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) / 1024
