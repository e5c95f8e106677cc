"""Reads Rust source as text, for the checks of this folder: code without comments, strings and tests."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def strip(text: str) -> str:
    """Removes comments and string literals, so that only code is left."""
    out = re.sub(r'//[^\n]*', '', text)
    out = re.sub(r'/\*.*?\*/', '', out, flags=re.S)
    out = re.sub(r'r(#+)".*?"\1', '""', out, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', out, flags=re.S)


def without_tests(code: str) -> str:
    """Removes `#[cfg(test)] mod … { … }` blocks and test-only items in braces."""
    while (m := re.search(r'#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{', code)):
        depth, i = 1, m.end()
        while depth and i < len(code):
            depth += {'{': 1, '}': -1}.get(code[i], 0)
            i += 1
        code = code[: m.start()] + code[i:]
    return code


def test_modules(src: Path) -> set[Path]:
    """Returns the files below `src` that only a test build compiles.

    Those are the modules declared as `#[cfg(test)] mod x;`, with every file in their folders.
    """
    found = set()
    for file in src.rglob("*.rs"):
        folder = file.parent if file.stem in ("mod", "lib", "main") else file.with_suffix("")
        declared = r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;"
        for name in re.findall(declared, strip(file.read_text())):
            found.add(folder / f"{name}.rs")
            found.update((folder / name).rglob("*.rs"))
    return found


def crates() -> list[Path]:
    """Returns the folders of our crates."""
    manifests = [*ROOT.glob("crates/**/Cargo.toml"), *ROOT.glob("*/Cargo.toml")]
    return sorted(p.parent for p in manifests if (p.parent / "src").is_dir())


def blank(match: re.Match) -> str:
    """Returns as many lines as the match had, so that line numbers stay right."""
    return "\n" * match.group(0).count("\n")


def without_comments_and_tests(text: str) -> str:
    """Returns code with its string literals and line numbers, without comments and test modules."""
    # Strings first, or `//` in one would be taken for a comment.
    token = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', flags=re.S)
    code = token.sub(lambda m: m.group(0) if m.group(0).startswith('"') else blank(m), text)
    while (m := re.search(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{", code)):
        depth, i = 1, m.end()
        while depth and i < len(code):
            depth += {"{": 1, "}": -1}.get(code[i], 0)
            i += 1
        code = code[: m.start()] + "\n" * code.count("\n", m.start(), i) + code[i:]
    return code
