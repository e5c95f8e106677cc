"""Measures the REST interface for `./dev bench api`: the list of 20 devices, beside the published design's daemon (FastAPI,
PostgreSQL, JWT; tools/bench/fastapi), on the same machine and in the same run.

Usage: python3 -B tools/bench/api.py [--json FILE], as root. MALIKNODE_BIN is the server, MALIKNODE_FASTAPI the folder of the
daemon's virtual environment. Each server has a network namespace of its own; nothing is sent anywhere else. A server and
its PostgreSQL run on the first core, the load generator (wrk) on the second. The servers take turns.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from baselines import output
from nodes_rig import Postgres

ROUNDS = 4
SECONDS = 4
DEVICES = 20
CONNECTIONS = 32
PORT = 8085
HOST = f"api.localhost:{PORT}"
PASSWORD = "correct horse battery staple"
HERE = Path(__file__).resolve().parent
SERVER_CORE, CLIENT_CORE = "0", "1"
# In the namespaces there is nothing but this machine, and the runtime folder is private.
INSIDE = "ip link set lo up && mkdir -p /run/maliknode && mount -t tmpfs none /run/maliknode && exec \"$@\""


class Server:
    """A program in its own network namespace, on the first core."""

    def __init__(self, name, command, log, **more):
        self.name, self.paths, self.log = name, [], log
        namespace = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh"]
        out = open(log, "w")
        self.process = subprocess.Popen([*namespace, "taskset", "-c", SERVER_CORE, *command], stdout=out, stderr=out,
                                        stdin=subprocess.DEVNULL, **more)

    def inside(self):
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]

    def wait(self, path):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if subprocess.run([*self.inside(), "curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{PORT}{path}"]).returncode == 0:
                return
            time.sleep(0.1)
        self.end()
        raise SystemExit(f"bench: {self.name} did not answer within 60 s:\n{Path(self.log).read_text()[-2000:]}")

    def call(self, method, path, body=None, token=None):
        command = [*self.inside(), "curl", "-sS", "--fail-with-body", "-X", method, "-H", f"Host: {HOST}"]
        if token:
            command += ["-H", f"Authorization: Bearer {token}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        return json.loads(output(*command, f"http://127.0.0.1:{PORT}{path}"))

    def load(self, path, token, connections):
        """Returns requests a second, and the 50th and 99th percentile in seconds."""
        text = output(*self.inside(), "taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency",
                      "-H", f"Host: {HOST}", "-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{PORT}{path}")
        if "Non-2xx" in text or "Socket errors" in text:
            raise RuntimeError(f"wrk at {self.name}{path}: {text}")
        unit = {"us": 1e-6, "ms": 1e-3, "s": 1}
        at = {p: float(n) * unit[u] for p, n, u in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", text, re.M)}
        return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), "p50": at["50"], "p99": at["99"]}

    def end(self):
        # unshare passes no other signal on; with it, all in its namespaces end.
        self.process.kill()
        self.process.wait()


def maliknode(name, folder, database):
    """Starts the server with a tenant that has 20 devices. Returns it, and the tenant's access token."""
    root = folder / name
    command = [os.environ["MALIKNODE_BIN"], "serve", "--root", str(root), "--listen", f"127.0.0.1:{PORT}", "--base", f"localhost:{PORT}",
               "--public-host", "127.0.0.1", *database]
    server = Server(f"MalikNode, {name}", command, folder / f"{name}.log")
    server.wait("/healthz")
    server.call("POST", "/v1/tenants", {"name": "bench", "password": PASSWORD, "plan": "studio"})
    grant = {"grant": "password", "name": "bench", "password": PASSWORD}
    token = server.call("POST", "/v1/auth/token", grant)["tokens"]["access_token"]
    for n in range(DEVICES):
        server.call("POST", "/v1/devices", {"label": f"device {n}", "mesh": True}, token)
    if len(server.call("GET", "/v1/devices", token=token)["items"]) != DEVICES:
        raise RuntimeError("the list has not all devices")
    return server, token


def fastapi(folder, postgres):
    """Starts the daemon, with the same rows."""
    postgres.sql("CREATE DATABASE fastapi")
    # asyncpg takes the folder of the socket only where the URL names no host.
    url = f"postgres://postgres@/fastapi?host={postgres.folder}"
    secret, bin = secrets.token_hex(32), Path(os.environ["MALIKNODE_FASTAPI"]) / "bin"
    environment = {**os.environ, "DATABASE_URL": url, "SECRET": secret, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [bin / "uvicorn", "daemon:app", "--app-dir", HERE / "fastapi", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
               "--workers", "1", "--port", str(PORT)]
    server = Server("FastAPI", list(map(str, command)), folder / "fastapi.log", env=environment)
    server.wait("/openapi.json")
    output("psql", "-qAt", "-v", "ON_ERROR_STOP=1", url, "-c", "INSERT INTO users (username, password_hash) VALUES ('bench', 'x')", "-c",
           f"""INSERT INTO peers (user_id, device_label, vpn_ip, public_key, private_key, mesh_routing, adguard_client_id,
               dns_filtering_policy, created_at) SELECT 1, 'device ' || n, '10.88.1.' || n, repeat('k', 40) || n, repeat('p', 44), true,
               'mn-' || n, 'standard', 1795478400000 FROM generate_series(1, {DEVICES}) n""")
    made = subprocess.run([bin / "python", "-c", "import daemon; print(daemon.create_access_token('bench'))"], cwd=HERE / "fastapi",
                          env=environment, capture_output=True, text=True, check=True)
    token = made.stdout.strip()
    if len(server.call("GET", "/api/peers", token=token)["peers"]) != DEVICES:
        raise RuntimeError("the list has not all devices")
    return server, token


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--json", type=Path)
    options = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="maliknode-bench-api.", dir="/var/tmp"))
    folder.chmod(0o755)
    os.sched_setaffinity(0, {int(SERVER_CORE)})  # PostgreSQL's processes inherit it
    postgres, servers, samples = Postgres(), [], {}
    os.sched_setaffinity(0, range(os.cpu_count()))
    try:
        postgres.sql("CREATE DATABASE maliknode")
        url = postgres.url.replace("/postgres?", "/maliknode?")
        starts = (lambda: maliknode("SQLite", folder, []), lambda: maliknode("PostgreSQL", folder, ["--database-url", url]),
                  lambda: fastapi(folder, postgres))
        for start in starts:
            server, token = start()
            servers.append(server)
            for path in ("/api/peers",) if server.name == "FastAPI" else ("/v1/devices", "/api/peers"):
                server.paths.append((path, token))
                server.load(path, token, CONNECTIONS)  # warm-up
        busy = []
        for _ in range(ROUNDS):
            busy.append(os.getloadavg()[0])
            for server in servers:
                for path, token in server.paths:
                    many, one = server.load(path, token, CONNECTIONS), server.load(path, token, 1)
                    samples.setdefault(f"{server.name} {path}", []).append({**many, "alone": one["p50"]})
    finally:
        for server in servers:
            server.end()
        postgres.end()
        shutil.rmtree(folder, ignore_errors=True)
    median = lambda of, what: statistics.median(s[what] for s in samples[of])
    baseline = median("FastAPI /api/peers", "rate")
    print(f"{DEVICES} devices, {CONNECTIONS} connections, medians of {ROUNDS} alternating runs of {SECONDS} s; load average {min(busy):.1f} to {max(busy):.1f}")
    print(f"{'':34}{'requests/s':>12}{'p50':>10}{'p99':>10}{'p50 alone':>12}{'ratio':>8}")
    for name in samples:
        rate = median(name, "rate")
        ms = [f"{median(name, what) * 1000:.2f} ms" for what in ("p50", "p99", "alone")]
        print(f"{name:34}{rate:>12,.0f}{ms[0]:>10}{ms[1]:>10}{ms[2]:>12}{rate / baseline:>7.1f}x")
    if options.json:
        options.json.write_text(json.dumps({"samples": samples, "load": busy}, indent=1) + "\n")


if __name__ == "__main__":
    if os.geteuid() != 0 or not {"MALIKNODE_BIN", "MALIKNODE_FASTAPI"} <= os.environ.keys():
        sys.exit(__doc__)
    main()
