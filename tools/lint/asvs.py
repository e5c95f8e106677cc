"""Checks docs/SECURITY-ASVS.md: each requirement of level 2 has a row, and what a row names exists.

A row's last column names tests (as functions) and paths, in backticks. Requirements that the standard has
deleted are left out. Only the standard library (Python 3.11).
"""

import re
import sys

from rust_source import ROOT

# The requirements of OWASP ASVS 4.0.3 that level 2 asks for (2.4.6 is an alternative to 2.4.5), by section.
LEVEL_2 = {
    "1.1": "1-7", "1.2": "1-4", "1.4": "1 4 5", "1.5": "1-4", "1.6": "1-4", "1.7": "1 2", "1.8": "1 2",
    "1.9": "1 2", "1.10": "1", "1.11": "1 2", "1.12": "2", "1.14": "1-6",
    "2.1": "1-12", "2.2": "1-3", "2.3": "1-3", "2.4": "1-6", "2.5": "1-7", "2.6": "1-3", "2.7": "1-6",
    "2.8": "1-7", "2.9": "1-3", "2.10": "1-4",
    "3.1": "1", "3.2": "1-4", "3.3": "1-4", "3.4": "1-5", "3.5": "1-3", "3.7": "1",
    "4.1": "1 2 3 5", "4.2": "1 2", "4.3": "1-3",
    "5.1": "1-5", "5.2": "1-8", "5.3": "1-10", "5.4": "1-3", "5.5": "1-4",
    "6.1": "1-3", "6.2": "1-6", "6.3": "1 2", "6.4": "1 2",
    "7.1": "1-4", "7.2": "1 2", "7.3": "1 3 4", "7.4": "1-3",
    "8.1": "1-4", "8.2": "1-3", "8.3": "1-8",
    "9.1": "1-3", "9.2": "1-4",
    "10.2": "1 2", "10.3": "1-3",
    "11.1": "1-8",
    "12.1": "1-3", "12.2": "1", "12.3": "1-6", "12.4": "1 2", "12.5": "1 2", "12.6": "1",
    "13.1": "1 3 4 5", "13.2": "1 2 3 5 6", "13.3": "1 2", "13.4": "1 2",
    "14.1": "1-4", "14.2": "1-6", "14.3": "2 3", "14.4": "1-7", "14.5": "1-4",
}


def requirements() -> set[str]:
    """Returns the numbers of all requirements."""
    numbers = set()
    for section, items in LEVEL_2.items():
        for item in items.split():
            first, _, last = item.partition("-")
            numbers |= {f"{section}.{n}" for n in range(int(first), int(last or first) + 1)}
    return numbers


def tests() -> set[str]:
    """Returns the names of all functions below our folders, among which the tests are."""
    names = set()
    for folder in ("app", "crates", "frontend", "server"):
        for file in (ROOT / folder).rglob("*.rs"):
            names |= set(re.findall(r"\bfn (\w+)", file.read_text()))
    return names


def problems(document: str) -> list[str]:
    """Returns a line for each fault of the document."""
    found, seen, functions = [], set(), tests()
    for row in re.findall(r"^\| \d[^\n]*", document, re.M):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        number, shown = cells[0], cells[-1]
        if number in seen:
            found.append(f"{number} has two rows")
        seen.add(number)
        names = re.findall(r"`([^`]+)`", shown)
        if not names and shown != "n/a":
            found.append(f"{number} names nothing that shows it, and is not n/a")
        for name in names:
            is_path = "/" in name or "." in name
            if not ((ROOT / name).exists() if is_path else name in functions):
                found.append(f"{number} names {name}, which does not exist")
    found += [f"{number} is missing" for number in sorted(requirements() - seen)]
    found += [f"{number} is no requirement of level 2" for number in sorted(seen - requirements())]
    return found


def main() -> int:
    found = problems((ROOT / "docs/SECURITY-ASVS.md").read_text())
    for line in found:
        print(f"docs/SECURITY-ASVS.md: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
