#!/usr/bin/env python3
"""Loads every little-endian object into this machine's kernel and records its answers in loaded.json.

Run as root: `load.py DIR`. bpftool pins what it loads, so a private mount namespace with a bpffs of its
own is used; nothing outlives the run.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def bpftool(*arguments):
    return subprocess.run(["bpftool", *arguments], capture_output=True, text=True)


def enter_private_bpffs():
    """Starts this script again inside its own mount namespace, then mounts a bpffs there."""
    if os.environ.get("SAMPLES_PRIVATE") != "1":
        os.environ["SAMPLES_PRIVATE"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    mount = pathlib.Path(tempfile.mkdtemp())
    subprocess.run(["mount", "-t", "bpf", "bpf", str(mount)], check=True)
    return mount


def load(path, pins):
    result = bpftool("prog", "loadall", str(path), str(pins))
    if result.returncode != 0:
        return [], result.stderr.splitlines()[0]
    return [describe(pin) for pin in sorted(pins.iterdir())], None


def describe(pin):
    """bpftool names a pin after its program, unshortened; the kernel's own name has 15 characters at most."""
    info = json.loads(bpftool("-j", "prog", "show", "pinned", str(pin)).stdout)
    return {"name": pin.name, "type": info["type"], "tag": info["tag"], "xlated": info["bytes_xlated"]}


def main(directory):
    mount = enter_private_bpffs()
    loaded, refused = [], []
    os.chdir(directory)  # libbpf quotes the path it was given
    for path in [*sorted(pathlib.Path("bpfel").iterdir()), *sorted(pathlib.Path("damaged").iterdir())]:
        name = f"built/{path}"
        programs, reason = load(path, mount / path.name.removesuffix(".bpf.o"))
        loaded += [{"object": name, **program} for program in programs]
        if reason:
            refused.append({"object": name, "reason": reason})
    subprocess.run(["umount", str(mount)], check=True)
    mount.rmdir()
    record = {
        "kernel": os.uname().release.split("-")[0],
        "machine": os.uname().machine,
        "loader": ", ".join(bpftool("version").stdout.splitlines()[:2]),
        "programs": loaded,
        "refused": refused,
    }
    (HERE / "loaded.json").write_text(one_row_a_line(record))


def one_row_a_line(record):
    def value(item):
        if not isinstance(item, list):
            return json.dumps(item)
        return "[\n" + ",\n".join("    " + json.dumps(row) for row in item) + "\n  ]"

    return "{\n" + ",\n".join(f'  "{key}": {value(item)}' for key, item in record.items()) + "\n}\n"


main(pathlib.Path(sys.argv[1]).resolve())
