"""The load generators of `./dev bench neighbours`. Prints how much was sent, when SECONDS are over or SIGTERM arrives.

  hostile.py ACT SECONDS LIMIT TARGET DEVICE=ADDRESS=GATEWAY…   sends at most LIMIT packets, queries or connections

TARGET is an address outside, or the web server's. A device is an interface of this namespace.
"""

import ctypes
import itertools
import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bed"))
from dns_tool import query

NETWORK = "203.0.113."  # the addresses of the bed's internet
FIRST_PORT, LAST_PORT = 10_240, 51_799  # the ports that the node gives tenants (crates/machine/firewall/src/ports.rs)


class Over(Exception):
    """The time is over."""


@dataclass
class Device:
    name: str
    address: str
    gateway: str

    def socket(self, kind, protocol=0):
        s = socket.socket(socket.AF_INET, kind, protocol)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.name.encode())
        s.setblocking(False)
        return s


class Act:
    """What the acts have in common: the end, and the count of what was sent."""

    def __init__(self, seconds, limit):
        self.end, self.limit, self.sent = time.monotonic() + seconds, limit, 0

    def count(self, sent):
        self.sent += sent
        if self.sent >= self.limit or time.monotonic() > self.end:
            raise Over


def send(s, data, to):
    """Sends a packet if there is room for it. Returns whether."""
    try:
        s.sendto(data, to)
        return 1
    except OSError:
        return 0


def udp(source, to, data=b""):
    """Returns a UDP packet without a checksum (RFC 768)."""
    return struct.pack("!4H", source, to, 8 + len(data), 0) + data


def udp_to_one(act, devices, target, port=7):
    """Empty packets from every source port to one destination."""
    s = devices[0].socket(socket.SOCK_RAW, socket.IPPROTO_UDP)
    while True:
        for first in range(1, 65_536, 64):
            act.count(sum(send(s, udp(source, port), (target, 0)) for source in range(first, min(first + 64, 65_536))))


def udp_to_resolver(act, devices, target):
    udp_to_one(act, devices, target, 53)


def many_destinations(act, devices, _):
    """TCP connections, as many as there are descriptors, then UDP packets; all to many destinations that answer."""
    device, held, most = devices[0], [], resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100
    raw = device.socket(socket.SOCK_RAW, socket.IPPROTO_UDP)
    for n in itertools.count():
        if len(held) + 32 < most:
            for host in range(1, 33):
                held.append(device.socket(socket.SOCK_STREAM))
                held[-1].connect_ex((f"{NETWORK}{host}", 81))
            act.count(32)
        act.count(sum(send(raw, udp(random.randint(1024, 65_535), 9), (f"{NETWORK}{1 + (n + k) % 254}", 0)) for k in range(64)))


def dns_flood(act, devices, _):
    """Queries at each device's gateway: half of one name, half of different ones."""
    sockets = [(d.socket(socket.SOCK_DGRAM), (d.gateway, 53)) for d in devices]
    for n in itertools.count():
        for s, gateway in sockets:
            names = ("cached.example", f"f{os.urandom(6).hex()}.example") * 4
            act.count(sum(send(s, query(n % 65_536, name), gateway) for name in names))


def big_answers(act, devices, _):
    """Queries of 60 kB answers over TCP, so that each fills the query log."""
    device, ended = devices[0], threading.Event()

    def ask():
        while not ended.is_set():
            try:
                with device.socket(socket.SOCK_STREAM) as s:
                    s.settimeout(3)
                    s.connect((device.gateway, 53))
                    answers = s.makefile("rb")
                    for n in range(100):
                        text = query(n, f"big{os.urandom(6).hex()}.example")[:-3] + b"\x10\0\1"
                        s.sendall(len(text).to_bytes(2, "big") + text)
                        size = int.from_bytes(answers.read(2), "big")
                        if size == 0 or len(answers.read(size)) < size:
                            break  # the resolver closed the connection
                        act.sent += 1
            except OSError:
                time.sleep(0.02)

    for _ in range(8):
        threading.Thread(target=ask, daemon=True).start()
    try:
        while True:
            time.sleep(0.1)
            act.count(0)
    finally:
        ended.set()


def icmp_errors(act, devices, target):
    """Errors that quote flows of the node's address to the victim's server: of every port that a tenant can have."""
    node = os.environ["MALIKNODE_BED_HOST"]
    s = devices[0].socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def error(code, mtu, protocol, port, to):
        quoted = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 60, 1, 0, 63, protocol, 0, socket.inet_aton(node), socket.inet_aton(target))
        body = struct.pack("!HH", 0, mtu) + quoted + struct.pack("!HHI", port, to, 0)
        return struct.pack("!BBH", 3, code, checksum(struct.pack("!BBH", 3, code, 0) + body)) + body

    while True:
        for port in range(FIRST_PORT, LAST_PORT + 1):
            errors = (error(3, 0, 17, port, 7), error(4, 552, 6, port, 5201), error(3, 0, 6, port, 80))
            act.count(sum(send(s, data, (to, 0)) for data in errors for to in (target, devices[0].gateway)))


def checksum(data):
    """Returns the Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def idle_web(act, _, target):
    """4,096 connections from one address to the web server, without a request; those that it closes are opened again."""
    host, port = target.split(":")
    held = []
    while True:
        for s in [s for s in held if not is_open(s)]:
            held.remove(s)
            s.close()
        while len(held) < 4096:
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(s)
            s.setblocking(False)
            s.bind(("127.0.0.9", 0))
            s.connect_ex((host, int(port)))
            act.count(1)
        time.sleep(0.05)
        act.count(0)


def is_open(s):
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def everything(act, devices, target):
    """Of each device: empty packets to one destination, packets of 1,200 bytes to many, and DNS."""
    raw = [d.socket(socket.SOCK_RAW, socket.IPPROTO_UDP) for d in devices]
    asking = [d.socket(socket.SOCK_DGRAM) for d in devices]
    large = b"x" * 1200
    for n in itertools.count():
        for d, r, a in zip(devices, raw, asking):
            source = 1 + 8 * n % 65_520
            act.count(sum(send(r, udp(source + k, 7), (target, 0)) for k in range(8)))
            act.count(sum(send(r, udp(source + k, 9, large), (f"{NETWORK}{1 + (n + k) % 254}", 0)) for k in range(8)))
            names = ("cached.example", f"e{os.urandom(6).hex()}.example") * 4
            act.count(sum(send(a, query(n % 65_536, name), (d.gateway, 53)) for name in names))


ACTS = {f.__name__: f for f in (udp_to_one, udp_to_resolver, many_destinations, dns_flood, big_answers, icmp_errors, idle_web, everything)}


def over(*_):
    raise Over


def main():
    name, seconds, limit, target, *devices = sys.argv[1:]
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG (prctl(2)): a generator does not outlive the bench
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, over)
    act = Act(float(seconds), int(limit))
    try:
        ACTS[name](act, [Device(*d.split("=")) for d in devices], target)
    except Over:
        pass
    print(act.sent)


if __name__ == "__main__":
    main()
