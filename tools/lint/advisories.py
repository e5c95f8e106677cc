"""Compares Cargo.lock with the RustSec advisory database.

cargo-deny does the same and takes minutes to build. The database is fetched where github.com is reachable, at most once a
day, into the cache; elsewhere the dated copy beside this file serves: of each advisory the id, the crate and the
versions. A vulnerability fails; what is unsound or unmaintained is printed. deny.toml names what is ignored, with the
reason, as cargo-deny reads it.

  advisories.py [--lock FILE]… [--database FOLDER] [--write]

--write makes the copy of the fetched database. Only the standard library (Python 3.11).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = Path(__file__).with_suffix(".json")
URL = "https://github.com/RustSec/advisory-db"
CACHE = Path(os.environ.get("MALIKNODE_CACHE", Path.home() / ".cache/maliknode")) / "advisory-db"
DAY = 86_400
FETCH_SECONDS = 30

Version = tuple[int, int, int, bool, str]


def version(text: str) -> Version:
    """A version as something to compare: a pre-release is before its release."""
    core, _, pre = text.split("+")[0].partition("-")
    numbers = [int(n) for n in core.split(".")] + [0, 0]
    return (*numbers[:3], not pre, pre)


def matches(found: Version, requirement: str) -> bool:
    """Whether a version fulfils a requirement as Cargo writes it: `>= 1.2, < 2`, `^1.2`, `~1.2`, `=1.2.3`."""
    return all(fulfils(found, part.strip()) for part in requirement.split(","))


def fulfils(found: Version, comparator: str) -> bool:
    operator, text = re.fullmatch(r"(>=|<=|>|<|=|\^|~)?\s*(\S+)", comparator).groups()
    if text == "*":
        return True
    wanted = version(text)
    match operator:
        case ">=":
            return found >= wanted
        case ">":
            return found > wanted
        case "<=":
            return found <= wanted
        case "<":
            return found < wanted
        case "=":
            return found == wanted
    given = text.split("-")[0].count(".") + 1
    if operator == "~":
        fixed = min(given, 2)
    else:
        # ^: up to the first number that is not 0.
        fixed = next((i + 1 for i, n in enumerate(wanted[:3]) if n), given)
    return found >= wanted and found[:fixed] == wanted[:fixed]


def is_affected(found: str, advisory: dict) -> bool:
    """Whether a version has what the advisory is about."""
    parsed = version(found)
    return not any(matches(parsed, r) for r in advisory["patched"] + advisory["unaffected"])


def git(*arguments: str) -> str:
    run = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=FETCH_SECONDS, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    run.check_returncode()
    return run.stdout


def fetched() -> Path | None:
    """The fetched database, or None where it cannot be fetched."""
    stamp = CACHE / ".git/FETCH_HEAD"
    try:
        if not (CACHE / "crates").is_dir():
            CACHE.parent.mkdir(parents=True, exist_ok=True)
            git("clone", "--quiet", "--depth", "1", URL, str(CACHE))
            stamp.touch()
        elif time.time() - stamp.stat().st_mtime > DAY:
            git("-C", str(CACHE), "fetch", "--quiet", "--depth", "1", "origin", "HEAD")
            git("-C", str(CACHE), "reset", "--quiet", "--hard", "FETCH_HEAD")
    except (OSError, subprocess.SubprocessError):
        return CACHE if (CACHE / "crates").is_dir() else None
    return CACHE


def read(folder: Path) -> dict:
    """Reads a database."""
    advisories = []
    for path in sorted((folder / "crates").glob("*/*.md")):
        head = path.read_text().split("```toml", 1)[1].split("```", 1)[0]
        parsed = tomllib.loads(head)
        advisory, versions = parsed["advisory"], parsed.get("versions", {})
        if advisory.get("withdrawn") or advisory.get("informational") == "notice":
            continue
        advisories.append({
            "id": advisory["id"],
            "crate": advisory["package"],
            "kind": advisory.get("informational", "vulnerability"),
            "patched": versions.get("patched", []),
            "unaffected": versions.get("unaffected", []),
        })
    as_of = git("-C", str(folder), "log", "-1", "--format=%cs").strip()
    return {"source": URL, "licence": "CC0-1.0", "as_of": as_of, "advisories": advisories}


def findings(database: dict, lock: dict) -> list[tuple[str, str, str]]:
    """What is wrong with the packages of a lock file, as id, kind and text."""
    by_crate: dict[str, list[dict]] = {}
    for advisory in database["advisories"]:
        by_crate.setdefault(advisory["crate"], []).append(advisory)
    found = []
    for package in lock["package"]:
        if "registry" not in package.get("source", ""):
            continue
        for advisory in by_crate.get(package["name"], []):
            if is_affected(package["version"], advisory):
                text = f"{advisory['id']} {package['name']} {package['version']}: {advisory['kind']}"
                found.append((advisory["id"], advisory["kind"], text))
    return sorted(set(found))


def check_matching() -> None:
    """Checks the comparison itself, on examples of the Cargo book."""
    for requirement, yes, no in [
        (">= 1.2, < 1.5", ["1.2.0", "1.4.9"], ["1.1.9", "1.5.0", "1.2.0-rc.1"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "1.2.3"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("=1.2.3", ["1.2.3"], ["1.2.4"]),
    ]:
        for text in yes:
            assert matches(version(text), requirement), (requirement, text)
        for text in no:
            assert not matches(version(text), requirement), (requirement, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, action="append")
    parser.add_argument("--database", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    check_matching()
    folder = arguments.database or fetched()
    if folder:
        database = read(folder)
    else:
        database = json.loads(COPY.read_text())
        print(f"The advisories are those of {database['as_of']}: {URL} is not reachable.")
    if arguments.write:
        if not folder:
            print("There is no database to copy.")
            return 1
        lines = ",\n".join(json.dumps(a, separators=(",", ":")) for a in database.pop("advisories"))
        COPY.write_text(json.dumps(database)[:-1] + ',\n"advisories": [\n' + lines + "\n]}\n")
        return 0
    ignored = tomllib.loads((ROOT / "deny.toml").read_text()).get("advisories", {}).get("ignore", [])
    ignored = {entry["id"] if isinstance(entry, dict) else entry for entry in ignored}
    failed, used = False, set()
    for lock in arguments.lock or [ROOT / "Cargo.lock", ROOT / "fuzz/Cargo.lock"]:
        for identity, kind, text in findings(database, tomllib.loads(lock.read_text())):
            if identity in ignored:
                used.add(identity)
                continue
            print(f"{lock.name}: {text} (https://rustsec.org/advisories/{identity})")
            failed |= kind == "vulnerability"
    for identity in sorted(ignored - used) if not arguments.lock else []:
        print(f"deny.toml ignores {identity}, which nothing has")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
