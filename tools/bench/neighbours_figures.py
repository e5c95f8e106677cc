"""The figures of neighbours.py: what the victim measures, and whether an attack changed them by more than a fifth."""

import http.client
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from bench import ms, percentile
from baselines import output
from browser import PORT
from devices import inside
from neighbours_bed import SERVER, VICTIM_IPERF

TOOL = str(Path(__file__).resolve().parent / "victim.py")
CHANGE = 0.2  # how much of a figure a hostile tenant may change
PAGES = 100
IPERF_SECONDS = 4


@dataclass
class Figure:
    """A figure of the victim. `of` computes it from the pooled measurements, `aim` is an absolute target."""

    name: str
    of: Callable
    show: Callable
    more_is_better: bool = False
    aim: float | None = None

    def ratio(self, value, quiet):
        return value / quiet if quiet else float("inf")

    def is_within(self, value, quiet):
        """Returns whether this is at most a fifth worse than without the attack."""
        ratio = self.ratio(value, quiet)
        return ratio >= 1 - CHANGE if self.more_is_better else ratio <= 1 + CHANGE

    def is_as_good(self, value, other):
        return value >= other if self.more_is_better else value <= other

    def verdict(self, quiet, attack, bypass, all_quiet):
        """Returns the mark of docs/PERFORMANCE.md. `all_quiet` are this figure's values of all acts without an attack."""
        worst = min(all_quiet) if self.more_is_better else max(all_quiet)
        if self.is_within(attack, quiet):
            mark = "ok"
        elif self.is_as_good(attack, worst):
            mark = "spread"
        elif self.is_within(attack, bypass):
            mark = "load"
        else:
            mark = "over"
        missed = self.aim is not None and not self.is_as_good(attack, self.aim)
        return f"{mark}, aim missed" if missed else mark


def part(key, share):
    return lambda pooled: percentile(pooled[key], share)


def mean(key):
    return lambda pooled: sum(pooled[key]) / len(pooled[key])


def figures(mbps):
    """Returns all figures. `mbps` is the plan's speed, of which four fifths have to be left."""
    count, speed = (lambda value: f"{value:.1f}".removesuffix(".0")), (lambda value: f"{value:.1f} Mb/s")
    return [
        Figure("DNS cached, p50", part("cached", 0.5), ms),
        Figure("DNS cached, p99", part("cached", 0.99), ms, aim=0.020),
        Figure("DNS uncached, p50", part("uncached", 0.5), ms),
        Figure("DNS uncached, p99", part("uncached", 0.99), ms, aim=0.020),
        Figure("new UDP flows, of 40", mean("udp"), count, True),
        Figure("new TCP connections, of 40", mean("tcp_count"), count, True),
        Figure("TCP connect, p50", part("tcp", 0.5), ms),
        Figure("throughput down", mean("down"), speed, True, aim=0.8 * mbps),
        Figure("sign-in page, p99", part("page", 0.99), ms),
    ]


class Victim:
    """A tenant and its device."""

    def __init__(self, tenant, device):
        self.tenant, self.device = tenant, device

    def measure(self):
        """Measures everything once, about twelve seconds. Returns lists, which `pool` joins."""
        enter = inside(self.device.namespace)
        got = json.loads(output(*enter, sys.executable, "-B", TOOL, self.device.gateway, SERVER))
        run = json.loads(output(*enter, "iperf3", "-c", SERVER, "-p", str(VICTIM_IPERF), "-R", "-t", str(IPERF_SECONDS), "-J", "--connect-timeout", "3000"))
        # A connection that was never made counts as its timeout.
        return {"cached": got["dns"]["cached"], "uncached": got["dns"]["uncached"], "lost": [got["dns"]["lost"]], "udp": [got["udp"]],
                "tcp": got["tcp"] or [1.0], "tcp_count": [len(got["tcp"])], "down": [run["end"]["sum_received"]["bits_per_second"] / 1e6],
                "page": self.pages()}

    def pages(self):
        """Returns the seconds of requests for the sign-in page, each with a new connection. A failed one counts as 5 s."""
        took = []
        for _ in range(PAGES):
            started_at = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            try:
                connection.request("GET", "/sign-in", headers={"Host": self.tenant.host})
                answer = connection.getresponse()
                if answer.status != 200 or b"password" not in answer.read():
                    raise RuntimeError(f"the sign-in page answered {answer.status}")
                took.append(time.perf_counter() - started_at)
            except (OSError, http.client.HTTPException):
                took.append(5.0)
                if took.count(5.0) > 5:
                    break
            finally:
                connection.close()
        return took


def pool(measurements):
    """Joins the measurements of several rounds."""
    return {key: [value for one in measurements for value in one[key]] for key in measurements[0]}
