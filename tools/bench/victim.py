"""The victim of `./dev bench neighbours`: what one device of a tenant measures in its namespace. Prints JSON.

  victim.py GATEWAY SERVER     DNS at GATEWAY, UDP echo at port 7 and TCP at port 80 of SERVER

DNS is asked below the limit of a device, 100 queries a second (deploy/config.example.toml).
"""

import json
import os
import select
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bed"))
from dns_tool import address_in, query

QUERIES = 400  # half of a name that is cached, half of names that are not
PER_SECOND = 80
DNS_TIMEOUT = 1.0
FLOWS = 40  # new UDP flows, and TCP connections
FLOW_TIMEOUT = 1.0


def ask(gateway):
    """Asks one query after another at a fixed rate. A query without an answer counts as the timeout."""
    took, lost = {"cached": [], "uncached": []}, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(DNS_TIMEOUT)
        s.connect((gateway, 53))
        first = time.perf_counter()
        for n in range(QUERIES):
            time.sleep(max(0.0, first + n / PER_SECOND - time.perf_counter()))
            kind, name = ("uncached", f"u{os.urandom(8).hex()}.example") if n % 2 else ("cached", "cached.example")
            text = query(n, name)
            started_at = time.perf_counter()
            try:
                s.send(text)
                answer = s.recv(1500)
                while answer[:2] != text[:2]:  # a late answer to an earlier query
                    answer = s.recv(1500)
                answered = bool(address_in(answer))
            except OSError:
                answered = False
            took[kind].append(time.perf_counter() - started_at if answered else DNS_TIMEOUT)
            lost += not answered
            if not answered:
                first = time.perf_counter() - n / PER_SECOND
            if lost > 20:
                break  # bounded: lost queries take a second each
    return {**took, "lost": lost}


def udp_flows(server):
    """Counts new flows of which both packets, half a second apart, are answered. An ICMP error is a failure."""
    flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(FLOWS)]
    good = set(range(FLOWS))
    for part in (b"first", b"second"):
        waiting = {}
        for n in sorted(good):
            try:
                flows[n].connect((server, 7))
                flows[n].send(part)
                waiting[flows[n]] = n
            except OSError:
                good.discard(n)
        end = time.monotonic() + FLOW_TIMEOUT
        while waiting and (left := end - time.monotonic()) > 0:
            for s in select.select(list(waiting), [], [], left)[0]:
                n = waiting.pop(s)
                try:
                    s.recv(100)
                except OSError:
                    good.discard(n)
        good -= set(waiting.values())
        time.sleep(0.5)
    for s in flows:
        s.close()
    return len(good)


def tcp_connections(server):
    """Returns the seconds of each new connection, one after another; those that fail are missing."""
    took, end = [], time.monotonic() + 5
    for _ in range(FLOWS):
        if time.monotonic() > end:
            break
        started_at = time.perf_counter()
        try:
            socket.create_connection((server, 80), FLOW_TIMEOUT).close()
            took.append(time.perf_counter() - started_at)
        except OSError:
            continue
    return took


if __name__ == "__main__":
    gateway, server = sys.argv[1:]
    print(json.dumps({"dns": ask(gateway), "udp": udp_flows(server), "tcp": tcp_connections(server)}))
