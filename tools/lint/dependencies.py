"""Checks Cargo.lock against deny.toml and our crates against the design's arrows.

cargo-deny does more and takes minutes to build; this reads the same deny.toml (licences, bans with
wrappers, sources) out of `cargo metadata`, and adds the one thing cargo-deny has no word for: which of
our crates may depend on which of our crates. Only the standard library (Python 3.11).
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# frontend -> app -> control -> {store, protocol} -> domain; agent -> the real sides -> provisioning -> protocol;
# server wires all. `control` does not name `provisioning`: it sees nodes through the port `protocol::Nodes`. What is not named here is not allowed.
REAL_SIDES = {"shaping", "wireguard", "containers", "firewall", "adguard", "folders", "conntrack"}
ALLOWED = {
    "domain": set(),
    "protocol": {"domain"},
    "texts": {"domain"},
    "provisioning": {"domain", "protocol"},
    "pki": {"domain"},
    "nameserver": {"domain"},
    "link": {"domain", "pki", "protocol"},
    "seal": {"domain"},
    "store": {"domain", "protocol", "seal"},
    "hostfs": {"domain", "provisioning"},
    **{name: {"domain", "protocol", "provisioning", "hostfs"} for name in REAL_SIDES},
    # It also reads what the containers and the userspace tunnels use.
    "memory": {"domain", "provisioning", "containers", "wireguard"},
    # No port of the node: it knows neither tenants nor containers.
    "dnsrelay": {"domain"},
    "agent": {"dnsrelay", "domain", "hostfs", "memory", "protocol", "provisioning", "seal", *REAL_SIDES},
    "control": {"domain", "protocol", "seal", "store"},
    "mail": {"domain", "control", "texts"},
    "api": {"domain", "control", "texts"},
    "app": {"domain", "control", "texts"},
    "frontend": {"app"},
    "server": {"agent", "api", "domain", "link", "mail", "nameserver", "pki", "protocol", "provisioning", "seal", "store", "control", "app", "texts", "hostfs", "memory", *REAL_SIDES},
    "testkit": {"domain", "protocol", "provisioning"},
    "fuzzing": {"domain", "pki", "protocol", "provisioning", "seal", "server", *REAL_SIDES},
}


def licence_allowed(expression: str, allowed: set[str]) -> bool:
    """Evaluates an SPDX expression; the old `MIT/Apache-2.0` means OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def term() -> bool:
        token = tokens.pop(0)
        if token == "(":
            value = either()
            tokens.pop(0)
            return value
        if tokens[:1] == ["WITH"]:
            tokens.pop(0)
            # An exception only ever permits more.
            return f"{token} WITH {tokens.pop(0)}" in allowed or token in allowed
        return token in allowed

    def both() -> bool:
        value = term()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            value = term() and value
        return value

    def either() -> bool:
        value = both()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            value = both() or value
        return value

    return either()


def problems(metadata: dict, deny: dict) -> list[str]:
    """Every rule that is broken, as a sentence each."""
    found = []
    ours = {p["id"] for p in metadata["packages"] if p["source"] is None}
    by_id = {p["id"]: p for p in metadata["packages"]}
    allowed = set(deny["licenses"]["allow"])
    exceptions = {e["crate"]: set(e["allow"]) for e in deny["licenses"].get("exceptions", [])}
    registries = {f"registry+{url}" for url in deny["sources"]["allow-registry"]}

    for package in metadata["packages"]:
        name = package["name"]
        if package["id"] in ours:
            continue
        licence = package["license"]
        if not licence:
            found.append(f"{name} {package['version']} names no licence")
        elif not licence_allowed(licence, allowed | exceptions.get(name, set())):
            found.append(f"{name} {package['version']} is under {licence}, which deny.toml does not allow")
        if package["source"] not in registries:
            found.append(f"{name} {package['version']} comes from {package['source']}")

    wrappers = {ban["crate"]: set(ban["wrappers"]) for ban in deny["bans"]["deny"]}
    for node in metadata["resolve"]["nodes"]:
        parent = by_id[node["id"]]
        for dep in node["deps"]:
            child = by_id[dep["pkg"]]
            allowed_parents = wrappers.get(child["name"])
            if allowed_parents is not None and parent["name"] not in allowed_parents:
                found.append(f"{parent['name']} names {child['name']}; only {', '.join(sorted(allowed_parents))} may")
            if node["id"] not in ours or dep["pkg"] not in ours:
                continue
            kinds = {kind["kind"] for kind in dep["dep_kinds"]}
            if kinds == {"dev"}:
                continue  # tests may look anywhere
            if parent["name"] not in ALLOWED:
                found.append(f"{parent['name']} is not in the table of tools/lint/dependencies.py")
            elif child["name"] not in ALLOWED[parent["name"]]:
                found.append(f"{parent['name']} depends on {child['name']}, against the direction of docs/ARCHITECTURE.md")
    return found


def picture() -> list[str]:
    """Returns the lines of the picture in docs/ARCHITECTURE.md: what ships, without the arrows to `domain`."""
    shipped = [name for name in sorted(ALLOWED) if name not in ("testkit", "fuzzing")]
    return [f"  {name} --> {' & '.join(sorted(ALLOWED[name] - {'domain'}))}" for name in shipped if ALLOWED[name] - {"domain"}]


def is_pictured() -> bool:
    """Tells whether the picture in docs/ARCHITECTURE.md is the table above."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    inside = text.partition("%% arrows: begin")[2].partition("%% arrows: end")[0]
    return inside.splitlines()[1:] == picture()


def main() -> int:
    """Prints what is wrong, or one line that says what was checked."""
    if "--picture" in sys.argv:
        print("\n".join(picture()))
        return 0
    command = ["cargo", "metadata", "--format-version", "1", "--all-features", *sys.argv[1:]]
    cargo = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE)  # its complaints go to our stderr
    if cargo.returncode != 0:
        return 1
    metadata = json.loads(cargo.stdout)
    deny = tomllib.loads((ROOT / "deny.toml").read_text())
    found = problems(metadata, deny)
    if not is_pictured():
        found.append("the picture in docs/ARCHITECTURE.md is not the table: python3 tools/lint/dependencies.py --picture")
    for line in found:
        print(f"dependencies: {line}", file=sys.stderr)
    if not found:
        print(f"dependencies: {len(metadata['packages'])} crates are as deny.toml and the design say")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
