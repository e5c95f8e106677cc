"""Writes the bill of materials of the program: what it is made of, as CycloneDX 1.5 (JSON).

cargo-cyclonedx does the same for one crate and takes minutes to build; this also has the browser's part, the image that
the program starts, and the tools of the build. It needs no network where the crates are downloaded. The same lock files
give the same bytes.

  sbom.py [--out FILE]    without it, to standard output
  sbom.py --check         says what is wrong with it, and writes nothing

Components that are part of the program are `required`; those that only build it are `excluded`. Only the standard library
(Python 3.11).
"""

import argparse
import base64
import json
import platform
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
# The crates that are the product, each with the target that it is built for.
PRODUCTS = {"server": f"{platform.machine()}-unknown-linux-gnu", "frontend": "wasm32-unknown-unknown"}
SETTINGS = ROOT / "server/src/config/settings.rs"


def metadata(target: str) -> dict:
    """Returns what cargo knows of the crates of a target."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(ran.stdout)


def reached(edges: dict[str, set[str]], first: str) -> set[str]:
    """Returns what can be reached, with the first one."""
    found, waiting = set(), [first]
    while waiting:
        ref = waiting.pop()
        if ref not in found:
            found.add(ref)
            waiting += edges.get(ref, set())
    return found


def purl(kind: str, name: str, version: str) -> str:
    return f"pkg:{kind}/{quote(name, safe='/')}@{quote(version, safe='.-_~')}"


def licences(expression: str | None) -> list[dict]:
    # The slash of old crates means "or".
    return [{"expression": expression.replace("/", " OR ")}] if expression else []


def is_macro(package: dict) -> bool:
    """Returns whether a crate runs in the compiler only."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def crates() -> tuple[dict[str, dict], dict[str, set[str]]]:
    """Returns the components that are crates, and what each depends on."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock}
    components, needs = {}, {}
    for product, target in PRODUCTS.items():
        known = metadata(target)
        packages = {p["id"]: p for p in known["packages"]}
        root = next(p["id"] for p in known["packages"] if p["name"] == product and p["source"] is None)
        runs, builds = {}, {}
        for node in known["resolve"]["nodes"]:
            kinds = [(d["pkg"], {k["kind"] for k in d["dep_kinds"]}) for d in node["deps"]]
            runs[node["id"]] = {pkg for pkg, kind in kinds if None in kind and not is_macro(packages[pkg])}
            builds[node["id"]] = {pkg for pkg, kind in kinds if kind & {None, "build"}}
        required = reached(runs, root)
        refs = {i: purl("cargo", packages[i]["name"], packages[i]["version"]) for i in packages}
        for i in reached(builds, root):
            package, ref = packages[i], refs[i]
            component = {
                "type": "library",
                "bom-ref": ref,
                "name": package["name"],
                "version": package["version"],
                "scope": "required" if i in required else "excluded",
                "purl": ref,
                "licenses": licences(package["license"]),
            }
            if checksum := checksums.get((package["name"], package["version"])):
                component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
            if package["description"]:
                component["description"] = " ".join(package["description"].split())
            former = components.get(ref)
            if former and former["scope"] == "required":
                component["scope"] = "required"
            components[ref] = component
            needs.setdefault(ref, set()).update(refs[d] for d in builds[i])
    return components, needs


def node_tools() -> dict[str, dict]:
    """Returns the tools of the build that are npm packages; nothing of them is part of the program."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    tools = {}
    for path, package in lock["packages"].items():
        if not path or "version" not in package:
            continue
        name = path.rsplit("node_modules/", 1)[-1]
        ref = purl("npm", name.replace("@", "%40", 1) if name.startswith("@") else name, package["version"])
        ref = ref.replace("%2540", "%40")
        tools[ref] = {
            "type": "application",
            "bom-ref": ref,
            "name": name,
            "version": package["version"],
            "scope": "excluded",
            "purl": ref,
            "licenses": licences(package.get("license")),
        }
        if integrity := package.get("integrity"):
            algorithm, _, digest = integrity.partition("-")
            content = base64.b64decode(digest).hex()
            tools[ref]["hashes"] = [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": content}]
    return tools


def image() -> dict:
    """Returns the image that the program starts for each tenant."""
    name = re.search(r'DEFAULT_IMAGE: &str = "([^"]+)"', SETTINGS.read_text())[1]
    path, _, rest = name.partition(":")
    tag, _, digest = rest.partition("@")
    ref = f"pkg:docker/{path}@{quote(digest, safe='')}?tag={tag}"
    return {
        "type": "container",
        "bom-ref": ref,
        "name": path,
        "version": tag,
        "scope": "required",
        "purl": ref,
        "licenses": [{"expression": "GPL-3.0-only"}],
        "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
    }


def document() -> dict:
    """Returns the bill of materials."""
    components, needs = crates()
    components |= node_tools()
    adguard = image()
    components[adguard["bom-ref"]] = adguard
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    version = manifest["version"]
    parts = {purl("cargo", name, version) for name in PRODUCTS}
    main = f"pkg:generic/maliknode@{version}"
    needs[main] = parts | {adguard["bom-ref"]}
    ordered = [components[ref] for ref in sorted(components)]
    edges = [{"ref": ref, "dependsOn": sorted(needs.get(ref, set()))} for ref in sorted({main, *components})]
    content = json.dumps([ordered, edges], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # Of the content, so that the same lock files give the same bytes.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": main,
                "name": "maliknode",
                "version": version,
                "purl": main,
                "licenses": licences(manifest["license"]),
            },
            "tools": {"components": [{"type": "application", "name": "tools/sbom.py", "version": version}]},
        },
        "components": ordered,
        "dependencies": edges,
    }


def problems(bom: dict) -> list[str]:
    """Returns a line for each fault."""
    found = []
    components = {c["bom-ref"]: c for c in bom["components"]}
    if len(components) != len(bom["components"]):
        found.append("two components have one reference")
    own = {ref for ref in components if ref.startswith("pkg:cargo/") and "hashes" not in components[ref]}
    for ref, component in components.items():
        if not component["licenses"]:
            found.append(f"{ref} has no licence")
        # An npm package that another one brings along is in the other's hash.
        if "hashes" not in component and ref not in own and not ref.startswith("pkg:npm/"):
            found.append(f"{ref} has no hash")
    workspace = {p.parent.name for p in ROOT.glob("crates/**/Cargo.toml")} | {"app", "server", "frontend"}
    foreign = {components[ref]["name"] for ref in own} - workspace
    if foreign:
        found.append(f"crates without a checksum that are not ours: {sorted(foreign)}")
    for edge in bom["dependencies"]:
        for ref in edge["dependsOn"]:
            if ref not in components:
                found.append(f"{edge['ref']} depends on {ref}, which is not listed")
    # What a build of the program cannot be without.
    names = {c["name"]: c["scope"] for c in bom["components"]}
    for name, scope in (("axum", "required"), ("leptos", "required"), ("sqlx", "required"),
                        ("adguard/adguardhome", "required"), ("binaryen", "excluded")):
        if names.get(name) != scope:
            found.append(f"{name} is {names.get(name)}, and not {scope}")
    listed = {(c["name"], c["version"]) for c in bom["components"] if c["purl"].startswith("pkg:cargo/")}
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    for name, version in listed - {(p["name"], p["version"]) for p in locked}:
        found.append(f"{name} {version} is not in Cargo.lock")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    bom = document()
    found = problems(bom)
    for line in found:
        print(f"sbom: {line}", file=sys.stderr)
    if found:
        return 1
    if arguments.check:
        required = sum(c["scope"] == "required" for c in bom["components"])
        print(f"The bill of materials has {len(bom['components'])} components, of which {required} are part of the program.")
        return 0
    text = json.dumps(bom, indent=1, ensure_ascii=False) + "\n"
    if arguments.out:
        arguments.out.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
