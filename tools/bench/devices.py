"""Connects devices of tenants by wireguard-go in the bed's namespaces, for the measurements that send packets."""

import re
from dataclasses import dataclass

from baselines import BED, output


@dataclass
class Device:
    """A connected device. `name` is its interface in `namespace`; packets to `gateway` go through it."""

    name: str
    namespace: str
    address: str
    gateway: str


def inside(namespace):
    """Returns the beginning of a command that runs in a namespace."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def start_tunnel(namespace, name, configuration, address, starter=()):
    """Starts a wireguard-go with this configuration (wg(8)). `starter` is the beginning of its command, e.g. setsid."""
    file = BED / f"{name}.conf"
    file.write_text(configuration)
    enter = inside(namespace)
    output(*enter, *starter, "wireguard-go", name)
    output(*enter, "wg", "setconf", name, str(file))
    output(*enter, "ip", "addr", "add", f"{address}/32", "dev", name)
    output(*enter, "ip", "link", "set", name, "mtu", "1420", "up")


def connect(tenant, namespace, name, starter=()):
    """Adds a device to a tenant by the form, and connects it in a namespace."""
    form = {"label": "asking", "routing": "everything", "policy": "standard"}
    tenant.browser.connection.close()  # the server closed the idle connection; the next request opens another
    device = re.search(r"/devices/(\d+)", tenant.post("add_device", form)[0])[1]
    conf = tenant.browser.get(tenant.host, f"/devices/{device}/config")[2]
    value = {k.strip(): v.strip() for k, _, v in (line.partition("=") for line in conf.splitlines())}
    address, gateway = value["Address"].split("/")[0], value["DNS"].split(",")[0].strip()
    known = "".join(line + "\n" for line in conf.splitlines() if not line.startswith(("Address", "DNS")))
    start_tunnel(namespace, name, known, address, starter)
    output(*inside(namespace), "ip", "route", "replace", f"{gateway}/32", "dev", name)
    return Device(name, namespace, address, gateway)
