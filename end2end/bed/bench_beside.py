"""What bench.py sets the product's figures beside: a bare `docker run` of the same image, and fork + `wg set`. And
what it looks at from outside: the peers a tunnel has, a process' memory.
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
CHILD = "/run/maliknode/wg-userspace.sock"
# A question that the bare container answers without an upstream, by the rewrite below.
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


def go_first(pid="self"):
    """Puts a process' session before whatever else the machine does; where the kernel groups by session (sched(7),
    autogroup), a nice value alone counts within the session only.
    """
    try:
        Path(f"/proc/{pid}/autogroup").write_text("-20")
        os.setpriority(os.PRIO_PROCESS, 0 if pid == "self" else pid, -20)
    except OSError:
        pass  # no such kernel, or ended meanwhile: then it takes its turn


def programs(word):
    """Process ids of what was started with this word on its command line. Only the bed's are seen in here."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (proc / "cmdline").read_bytes().split(b"\0"):
                found.append(int(proc.name))
        except OSError:
            continue  # ended meanwhile
    return found


def children():
    """Process ids of the userspace WireGuard; none where the kernel's serves."""
    return programs("wg-userspace")


def container_address(container):
    """Asked of the engine itself: starting the docker command again would count as waiting for DNS."""
    engine = http.client.HTTPConnection("docker", timeout=10)
    engine.sock = socket.socket(socket.AF_UNIX)
    engine.sock.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    engine.request("GET", f"/containers/{container}/json")
    settings = json.load(engine.getresponse())["NetworkSettings"]
    engine.close()
    return next(n["IPAddress"] for n in settings["Networks"].values() if n["IPAddress"])


def bare_run(n):
    """A plain `docker run -d` of the same image: seconds until it runs, and until its DNS answers."""
    folder = BED / f"bare{n}"
    for name in ("conf", "work"):
        (folder / name).mkdir(parents=True)
    (folder / "conf/AdGuardHome.yaml").write_text(BARE_CONFIG)
    mounts = [f"-v{folder / name}:/opt/adguardhome/{name}" for name in ("conf", "work")]
    begun = time.perf_counter()
    container = output("docker", "run", "-d", *mounts, IMAGE).strip()
    running = time.perf_counter() - begun
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
        ask.settimeout(0.05)
        # Connected, so that a port nobody listens at yet is an error at once.
        ask.connect((container_address(container), 53))
        while time.perf_counter() - begun < 30:
            try:
                ask.send(QUESTION)
                if len(ask.recv(512)) > len(QUESTION):
                    break
            except OSError:
                time.sleep(0.001)
        else:
            raise RuntimeError("the bare container's DNS did not answer within 30 s")
    answered = time.perf_counter() - begun
    output("docker", "rm", "-f", container)
    shutil.rmtree(folder)
    return {"running": running, "answered": answered}


class ForkedWg:
    """What a script does: fork and `wg set`, on a tunnel of its own, the kernel's where it has one."""

    def __enter__(self):
        link = ["ip", "link", "add", "bench0", "type", "wireguard"]
        self.kind = "kernel"
        if subprocess.run(link, capture_output=True).returncode != 0:
            self.kind = "wireguard-go"
            output("wireguard-go", "bench0")
            # Like the child it stands beside, it lives in a session of its own.
            for pid in programs("bench0"):
                go_first(pid)
        self.wg, self.count = shutil.which("wg"), 0
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "del", "bench0"], capture_output=True)

    def set(self):
        self.count += 1
        key = base64.b64encode(os.urandom(32)).decode()
        address = f"192.0.{self.count // 250}.{self.count % 250}/32"
        begun = time.perf_counter()
        child = os.posix_spawn(self.wg, ["wg", "set", "bench0", "peer", key, "allowed-ips", address], os.environ)
        status = os.waitpid(child, 0)[1]
        took = time.perf_counter() - begun
        if status != 0:
            raise RuntimeError(f"wg set ended with {status}")
        return took


def peers_of(slot):
    """How many peers the tunnel really has: of the userspace child's own socket, or of the kernel."""
    if not os.path.exists(CHILD):
        return len(output("wg", "show", f"wg{slot}", "peers").split())
    after, found = None, 0
    while True:
        with socket.socket(socket.AF_UNIX) as child:
            child.settimeout(5)
            child.connect(CHILD)
            lines = child.makefile("rw")
            lines.readline()  # the greeting
            lines.write(json.dumps({"op": "statistics", "after": after}) + "\n")
            lines.flush()
            reply = json.loads(lines.readline())
        found += sum(counter["slot"] == slot for counter in reply["counters"])
        after = reply["next"]
        if after is None:
            return found


def pss(pid):
    """MB of RAM that are a process' own, shared pages by share (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) / 1024
