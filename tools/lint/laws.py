"""Checks the laws of docs/ARCHITECTURE.md that are about words and not about crates.

1. No prose for people below `app` and `server`: those crates give codes and arguments, and the edges render
   them. A string literal that reads like a sentence is refused outside tests, log calls and panics.
2. Only `crates/control/src/auth` issues a scope.
3. Names that docs/GLOSSARY.md replaced do not come back.

Only the standard library (Python 3.11).
"""

import re
import sys
from pathlib import Path

from rust_source import ROOT, crates, test_modules, without_comments_and_tests

# The edges, and what never ships.
MAY_HOLD_PROSE = {"api", "app", "frontend", "server", "testkit", "fuzzing", "texts"}

# A capital, a small letter, and at least three words: "Choose one of the plans."
SENTENCE = re.compile(r'^["“]?[A-Z][a-z’\']*(?:\s+\S+){2,}')
# What developers and logs read. The text of an `#[error("…")]` may end up before a person.
FOR_DEVELOPERS = re.compile(
    r'(?:\b(?:(?:trace|debug|info|warn|error|event|span|panic|assert|assert_eq|assert_ne|debug_assert|unreachable|'
    r'compile_error)!|expect)\s*\((?:[^()]|\([^()]*\))*$)|#\[(?!error\()[^\]]*$'
)
# What another program says, which is only compared with: `text.contains("No such file")`.
COMPARED = re.compile(r'\b(?:\w*contains\w*|starts_with|ends_with|strip_prefix|strip_suffix)\(\s*(?:&?\[[^\]]*)?$')

# Old name -> new one. As Rust or TypeScript identifiers, anywhere.
OLD_NAMES = {
    "KeptSpec": "SpecCheckpoint", "KeepingSpecs": "FeedSource", "stand_in": "degraded",
    "until_there": "wait_for_database", "onward": "return_to", "mn_onward": "mn_return_to", "Arrival": "SignInTicket",
    "OperatorArrival": "OperatorSession", "LateWireGuard": "LazyWireGuard", "let_go": "fix_cookie_removal",
    "OwnChanges": "OwnPids", "mend": "fix", "first-light": "smoke", "z-limits": "sign-in-limits",
    "sentence": "message", "signing_in": "auth/password", "until_there ": "wait_for_database",
}
# Members of formats that other versions read and write: in quotes they keep their name.
ON_THE_WIRE = {"sentence"}
# Common words that may stand in text and must not name a type.
OLD_TYPES = {
    "Told", "Board", "Doubt", "Touched", "Sources", "Lanes", "Turns", "Seen", "Mark", "Room", "Found", "Watching",
    "Troubles", "Thing", "Of", "Pace", "Try", "Places", "Untold", "Held", "Ends", "Passage", "Look", "Stands", "Desk",
    "Here", "Full", "NeedsYou", "Follow", "EventSort", "Watched", "Trouble", "Asked", "Asking", "Kept",
}


def literals(code: str) -> list[tuple[int, str]]:
    """Returns string literals with the offset where each begins."""
    return [(m.start(), m.group(1)) for m in re.finditer(r'"((?:\\.|[^"\\])*)"', code, flags=re.S)]


def prose(file: Path, code: str) -> list[str]:
    """Returns a line for each literal of a file that reads like a sentence."""
    found = []
    for at, text in literals(code):
        before = code[max(0, at - 600) : at]
        if SENTENCE.match(text) and not FOR_DEVELOPERS.search(before) and not COMPARED.search(before):
            line = code.count("\n", 0, at) + 1
            found.append(f"{file.relative_to(ROOT)}:{line}: prose below the edges: {text[:70]!r}")
    return found


# Where scopes are defined.
ISSUERS = (ROOT / "crates/domain/src/scope.rs", ROOT / "crates/domain/src/admission.rs")


def scopes(file: Path, code: str) -> list[str]:
    """Returns a line for each scope that is issued outside `control/auth`."""
    if file.is_relative_to(ROOT / "crates/control/src/auth") or file in ISSUERS:
        return []
    return [
        f"{file.relative_to(ROOT)}:{code.count(chr(10), 0, m.start()) + 1}: only control/auth issues a scope"
        for m in re.finditer(r'\b(?:TenantScope|OperatorScope|OwnerScope|OperatorPermission|OperatorAdmission)::issue\(', code)
    ]


def old_names(file: Path, text: str) -> list[str]:
    """Returns a line for each name that the glossary replaced."""
    found = []
    for old, new in OLD_NAMES.items():
        for m in re.finditer(rf'(?<![\w-]){re.escape(old)}(?![\w-])', text):
            if old in ON_THE_WIRE and text[m.start() - 1] == '"':
                continue
            line = text.count("\n", 0, m.start()) + 1
            found.append(f"{file.relative_to(ROOT)}:{line}: {old} is called {new}")
    for m in re.finditer(r'\b(?:struct|enum|trait|type)\s+(\w+)', text):
        if m.group(1) in OLD_TYPES:
            line = text.count("\n", 0, m.start()) + 1
            found.append(f"{file.relative_to(ROOT)}:{line}: a type called {m.group(1)} says nothing to a stranger")
    return found


def main() -> int:
    """Prints every breach, or one line that says what was checked."""
    found, count = [], 0
    for crate in crates():
        only_tests = test_modules(crate / "src")
        for file in sorted(crate.rglob("*.rs")):
            text = file.read_text()
            count += 1
            found += old_names(file, text)
            if not file.is_relative_to(crate / "src") or file in only_tests:
                continue
            code = without_comments_and_tests(text)
            if crate.name not in MAY_HOLD_PROSE:
                found += prose(file, code)
            if crate.name not in ("testkit", "fuzzing"):
                found += scopes(file, code)
    for file in sorted(ROOT.glob("end2end/tests/*.ts")):
        found += old_names(file, file.read_text())
    for line in found:
        print(f"laws: {line}", file=sys.stderr)
    if not found:
        print(f"laws: {count} files hold no prose below the edges, no scope outside control/auth, no old name")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
