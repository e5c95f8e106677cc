"""The bed of neighbours.py: the servers outside, the tunnels that bypass the node, load generators at the lowest priority,
and who used how much CPU.

The *bypass* is a second tunnel of each hostile device. It ends in the namespace c4, which does no filtering and discards
what is flooded. The same load generators at the bypass show what their own CPU costs the victim.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from baselines import output, pids_with_argument, userspace_pids
from browser import PORT
from devices import Device, inside, start_tunnel

HERE = Path(__file__).resolve().parent
SERVER = os.environ.get("MALIKNODE_BED_INTERNET", "")  # the server outside that everybody uses
WAN = os.environ.get("MALIKNODE_BED_WAN", "wan")
HOSTILE, BYPASS = "c2", "c4"  # namespaces
BYPASS_SERVER, BYPASS_GATEWAY, BYPASS_WEB = "203.0.113.90", "192.0.2.1", "127.0.0.1:8099"
ADGUARD = "/opt/adguardhome/AdGuardHome"
# The servers outside that only the load generators use.
HOSTILE_IPERF, BYPASS_IPERF, VICTIM_IPERF = 5202, 5203, 5201
# A device is a session of its own. The sessions of load generators and of hostile tenants' devices have a hundredth of
# the weight of those that are measured, as if they ran on other machines. Less than that, and programs outside the bed
# would leave them nothing.
ALONE = ("setsid",)
LOWEST = ("setsid", "chrt", "--idle", "0")


def weigh(pid, nice):
    """Sets the weight of a process's session among all sessions (sched(7), autogroup)."""
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))
    except OSError:
        pass  # the kernel has no autogroup, or the process has ended


def raise_all(victim):
    """Gives the server with the measuring programs, the tunnels, the DNS filters and the victim's device the same, highest
    weight, so that programs outside the bed matter less. The weights among them stay equal.
    """
    for pid in ("self", *userspace_pids(), *pids_with_argument(victim)):
        weigh(pid, -20)
    shares = Path(f"/sys/fs/cgroup/cpu{os.environ.get('MALIKNODE_BED_CGROUP', '/none')}/cpu.shares")
    if shares.exists():
        shares.write_text("88761")  # the weight of -20


def start(*command, lowest=False, **more):
    process = subprocess.Popen([*(LOWEST[1:] if lowest else ()), *command], start_new_session=True, stdin=subprocess.DEVNULL, **more)
    weigh(process.pid, 0 if lowest else -20)
    return process


def outside(namespace, *arguments, lowest=False):
    enter = inside(namespace) if namespace else []
    start(*enter, sys.executable, "-B", str(HERE / "outside.py"), *map(str, arguments), lowest=lowest)


def start_servers():
    """Starts what the victim and the load generators talk to. The latter have servers of their own at low priority."""
    output("ip", "-n", WAN, "route", "add", "local", "203.0.113.0/24", "dev", "lo")
    for arguments in (("dns", SERVER), ("echo", SERVER, 7), ("accept", SERVER, 80)):
        outside(WAN, *arguments)
    for arguments in (("echo", "0.0.0.0", 9), ("accept", "0.0.0.0", 81)):
        outside(WAN, *arguments, lowest=True)
    for port in (VICTIM_IPERF, HOSTILE_IPERF, BYPASS_IPERF):
        start(*inside(WAN), "iperf3", "-s", "-p", str(port), lowest=port != VICTIM_IPERF, stdout=subprocess.DEVNULL)


def start_bypass(devices, mbps):
    """Makes the second tunnel of each of the hostile devices. Returns the devices that it ends at."""
    output("ip", "link", "add", "by0", "netns", HOSTILE, "type", "veth", "peer", "name", "by0", "netns", BYPASS)
    output("ip", "link", "add", "by1", "netns", BYPASS, "type", "veth", "peer", "name", "by1", "netns", WAN)
    for namespace, link, address in ((HOSTILE, "by0", "198.19.0.1"), (BYPASS, "by0", "198.19.0.2"), (BYPASS, "by1", "198.19.1.1"), (WAN, "by1", "198.19.1.2")):
        output("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", link)
        output("ip", "-n", namespace, "link", "set", link, "up")
    output("ip", "-n", HOSTILE, "link", "set", "dev", "by0", "gso_max_segs", "1")  # as the bed's other links (topology.sh)
    output(*inside(BYPASS), "sysctl", "-qw", "net.ipv4.ip_forward=1")
    keys = [(key := output("wg", "genkey").strip(), public_key(key)) for _ in range(len(devices) + 1)]
    addresses = [f"192.0.2.{10 + n}" for n in range(len(devices))]
    peers = "".join(f"[Peer]\nPublicKey = {public}\nAllowedIPs = {address}/32\n" for (_, public), address in zip(keys[1:], addresses))
    start_tunnel(BYPASS, "bypass", f"[Interface]\nPrivateKey = {keys[0][0]}\nListenPort = 51820\n{peers}", BYPASS_GATEWAY, LOWEST)
    for target in (("192.0.2.0/24", "dev", "bypass"), (f"{BYPASS_SERVER}/32", "via", "198.19.1.2"), ("blackhole", "203.0.113.0/24")):
        output("ip", "-n", BYPASS, "route", "add", *target)
    output("ip", "-n", WAN, "route", "add", "192.0.2.0/24", "via", "198.19.1.1")
    for link in ("bypass", "by1"):  # the speeds of the plan
        output(*inside(BYPASS), "tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", f"{mbps}mbit", "burst", "64k", "latency", "50ms")
    result = []
    for n, ((key, _), address) in enumerate(zip(keys[1:], addresses)):
        name = f"b{n}"
        peer = f"[Peer]\nPublicKey = {keys[0][1]}\nEndpoint = 198.19.0.2:51820\nAllowedIPs = 0.0.0.0/0\n"
        start_tunnel(HOSTILE, name, f"[Interface]\nPrivateKey = {key}\n{peer}", address, LOWEST)
        route(name, 2000 + n, (f"{BYPASS_GATEWAY}/32", "203.0.113.0/24"))
        result.append(Device(name, HOSTILE, address, BYPASS_GATEWAY))
    outside(BYPASS, "dns", BYPASS_GATEWAY, lowest=True)
    outside(None, "accept", *BYPASS_WEB.split(":"), lowest=True)
    return result


def public_key(key):
    return subprocess.run(["wg", "pubkey"], input=key, capture_output=True, text=True, check=True).stdout.strip()


def route(name, metric, targets=("203.0.113.0/24",)):
    """Adds routes that only a socket bound to this device prefers: all hostile devices are in one namespace."""
    for target in targets:
        output("ip", "-n", HOSTILE, "route", "add", target, "dev", name, "metric", str(metric))


class Load:
    """A running act: a load generator, or iperf3."""

    def __init__(self, act, devices, past_the_node):
        target = BYPASS_SERVER if past_the_node else SERVER
        enter = inside(HOSTILE)
        self.is_iperf = act.program == "iperf3"
        if self.is_iperf:
            port = BYPASS_IPERF if past_the_node else HOSTILE_IPERF
            command = ["iperf3", "-c", target, "-p", port, "-B", f"{devices[0].address}%{devices[0].name}", "--bidir", "-P", 8, "-t", act.seconds, "-J"]
        else:
            if act.program == "idle_web":
                enter, target = [], BYPASS_WEB if past_the_node else f"127.0.0.1:{PORT}"
            names = [f"{d.name}={d.address}={d.gateway}" for d in devices[:act.devices]]
            command = [sys.executable, "-B", HERE / "hostile.py", act.program, act.seconds, act.limit, target, *names]
        self.process = start(*enter, *map(str, command), lowest=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        """Ends the act. Returns what was sent: packets, queries or connections; of iperf3 Mb/s in both directions."""
        if not self.is_iperf:
            self.process.terminate()
        try:
            out, err = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if self.process.returncode != 0:
            raise RuntimeError(f"a load generator ended with {self.process.returncode}: {(err or out)[-400:]}")
        if self.is_iperf:
            end = json.loads(out)["end"]
            return round((end["sum_received"]["bits_per_second"] + end["sum_received_bidir_reverse"]["bits_per_second"]) / 1e6)
        return int(out)


class Cpu:
    """The CPU that groups of processes used since this was made, in processors (proc(5), stat)."""

    def __init__(self, server, load, clock):
        self.clock, self.started_at = clock, clock()
        self.groups = {"tunnels": userspace_pids(), "server": [server], "DNS filters": pids_with_argument(ADGUARD),
                       "generators": [load.process.pid] if load else [], "devices": pids_with_argument("wireguard-go")}
        self.before = self.read()

    def read(self):
        machine = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return {name: sum(map(ticks, pids)) for name, pids in self.groups.items()} | {"idle": machine[3] + machine[4]}

    def used(self):
        took = (self.clock() - self.started_at) * os.sysconf("SC_CLK_TCK")
        return {name: round((value - self.before[name]) / took, 2) for name, value in self.read().items()}


def ticks(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it has ended
    return int(fields[11]) + int(fields[12])
