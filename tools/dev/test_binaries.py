"""Reads the output of `cargo test --no-run --message-format=json`. Prints one line for each test program: crate, target,
folder of the crate and program, separated by tabs. So each program can be run as the user, or as root in a test bed."""

import json
import sys
from pathlib import Path

for line in sys.stdin:
    if not line.startswith("{"):
        continue
    message = json.loads(line)
    if message.get("reason") == "compiler-message":
        print(message["message"].get("rendered") or "", end="", file=sys.stderr)
    if message.get("reason") != "compiler-artifact" or not message.get("executable"):
        continue
    if not message["profile"]["test"]:
        continue
    folder = Path(message["manifest_path"]).parent
    target = message["target"]
    # The unit tests of a crate have no target name of their own.
    name = target["name"] if target["kind"] == ["test"] else "unit"
    print(folder.name, name, folder, message["executable"], sep="\t")
