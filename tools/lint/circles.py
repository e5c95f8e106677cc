"""Finds circles between the files of our crates: file A names an item of file B, and B one of A.

Reads every `.rs` file under `src/`, resolves `use crate::…`, `use super::…`, `use self::…` and paths of
the same forms in code to the file that defines the module, and prints each strongly connected set of files.
A file and the module declarations in it (`mod x;`) are no arrow, and neither is a re-export
(`pub use x::Item;`): they say what exists, not what is used. Tests (`#[cfg(test)]` modules and files named
tests) may name anything. Only the standard library (Python 3.11).
"""

import re
import sys
from pathlib import Path

from rust_source import ROOT, crates, strip, without_tests


def modules(src: Path) -> dict[tuple[str, ...], Path]:
    """Returns the crate's modules by path; the root is the empty path."""
    found = {}
    for file in sorted(src.rglob("*.rs")):
        parts = list(file.relative_to(src).with_suffix("").parts)
        if parts[-1] in ("mod", "lib", "main"):
            if parts[-1] == "main" and len(parts) == 1 and (src / "lib.rs").exists():
                continue
            parts.pop()
        if parts and ("tests" in parts):
            continue
        found[tuple(parts)] = file
    return found


def expand(tree: str) -> list[list[str]]:
    """Expands `a::{b, c::{d, e}}` to lists of segments."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        return [[s.strip() for s in re.split(r'\s+as\s+', tree)[0].split("::") if s.strip()]]
    head = [s.strip() for s in tree[:brace].split("::") if s.strip()]
    body, depth, start, out = tree[brace + 1 : tree.rfind("}")], 0, 0, []
    for i, c in enumerate(body + ","):
        depth += {"{": 1, "}": -1}.get(c, 0)
        if c == "," and depth == 0:
            if body[start:i].strip():
                out += [head + rest for rest in expand(body[start:i])]
            start = i + 1
    return out


def definitions(code: str) -> set[str]:
    """Returns the names a file defines at its top level (or anywhere: more is harmless)."""
    return set(re.findall(r'\b(?:struct|enum|trait|fn|type|const|static|union|macro_rules!)\s+(?:mut\s+)?(\w+)', code))


def check(crate: Path) -> list[str]:
    """Returns a line for each circle in one crate."""
    files = modules(crate / "src")
    code = {m: without_tests(strip(f.read_text())) for m, f in files.items()}
    own = {m: definitions(c) for m, c in code.items()}
    reexports: dict[tuple[str, ...], list[list[str]]] = {}
    uses: dict[tuple[str, ...], list[list[str]]] = {}
    for m, text in code.items():
        reexports[m], uses[m] = [], []
        for public, tree in re.findall(r'(?:^|[;{}\]\s])(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);', text):
            (reexports if public else uses)[m] += expand(tree)
        body = re.sub(r'(?:pub(?:\([^)]*\))?\s+)?use\s+[^;]+;', ';', text)
        for path in re.findall(r'\b((?:crate|super|self)(?:::\w+)+)', body):
            uses[m].append(path.split("::"))
        # A child named without a prefix: `child::item` after `mod child;`.
        for child in re.findall(r'\bmod\s+(\w+)\s*;', text):
            for path in re.findall(r'(?<![:\w])(' + child + r'(?:::\w+)+)', body):
                uses[m].append(["self", *path.split("::")])

    def absolute(module: tuple[str, ...], path: list[str]) -> tuple[str, ...] | None:
        if not path:
            return None
        base = list(module)
        head, rest = path[0], path[1:]
        if head == "crate":
            base = []
        elif head == "super":
            if not base:
                return None
            base.pop()
            while rest and rest[0] == "super":
                if base:
                    base.pop()
                rest = rest[1:]
        elif head != "self":
            if tuple([*module, head]) in files:
                rest = path
            else:
                return None
        return tuple(base + rest)

    def resolve(full: tuple[str, ...], depth: int = 0) -> tuple[str, ...] | None:
        """Follows re-exports to the file that defines the item."""
        module = full
        while module not in files:
            if not module:
                return None
            module = module[:-1]
        rest = full[len(module) :]
        if not rest or depth > 8:
            return module
        name = rest[0]
        if name in own[module] or name == "*":
            return module
        for path in reexports[module]:
            if path[-1] == name and (target := absolute(module, path)) is not None and target != full:
                return resolve(target + rest[1:], depth + 1)
        for path in reexports[module]:
            if path[-1] == "*" and (target := absolute(module, path[:-1])) is not None and name in own.get(target, ()):
                return target
        for path in uses[module]:
            if path and path[-1] == name and (target := absolute(module, path)) is not None and target != full:
                return resolve(target + rest[1:], depth + 1)
        return module

    arrows: dict[tuple[str, ...], set[tuple[str, ...]]] = {m: set() for m in files}
    for m in files:
        for path in uses[m]:
            full = absolute(m, path)
            target = resolve(full) if full is not None else None
            if target is not None and target != m:
                arrows[m].add(target)
    return [
        f"{crate.relative_to(ROOT)}: " + " <-> ".join(str(files[m].relative_to(crate / "src")) for m in sorted(group))
        for group in circles(arrows)
    ]


def circles(arrows: dict) -> list[list]:
    """Returns the strongly connected sets of two or more (Tarjan's algorithm)."""
    index, low, stack, on, found, count = {}, {}, [], set(), [], 0

    def visit(v) -> None:
        nonlocal count
        index[v] = low[v] = count
        count += 1
        stack.append(v)
        on.add(v)
        for w in arrows[v]:
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            group = []
            while True:
                w = stack.pop()
                on.discard(w)
                group.append(w)
                if w == v:
                    break
            if len(group) > 1:
                found.append(group)

    for v in arrows:
        if v not in index:
            visit(v)
    return found


def main() -> int:
    """Prints every circle, or one line that says what was checked."""
    sys.setrecursionlimit(10_000)
    ours = crates()
    found = [line for crate in ours for line in check(crate)]
    for line in found:
        print(f"circles: {line}", file=sys.stderr)
    if not found:
        print(f"circles: none between the files of {len(ours)} crates")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
