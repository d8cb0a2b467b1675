#!/usr/bin/env python3
"""Writes down where each sample object lies: `locate.py DIR` searches every file of DIR for the exact
bytes of every object, and for nothing else. It knows no ELF; that is the point.

Next to this script:
  expected.json  every place of an object, [{host, offset, size, sha256, object, completeness}]
  rejected.json  every header that must be refused, [{host, offset, reason}]
  README.md      the sizes and hashes in the rows that begin with a file's name, and the table of places
"""

import hashlib
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
REASONS = {
    "rejected-name-index": "e_shstrndx is 200, past the last section",
    "rejected-name-section": "e_shstrndx names a section that is no string table",
    "rejected-class32": "EI_CLASS is ELFCLASS32",
    "rejected-byte-order": "EI_DATA is 3",
    "rejected-no-table": "e_shoff is 0: no section table",
}
FILE_ROW = r"^\| `(?P<name>[^`]+/[^`]+)` \|[^|]*\|[^|]*\|"
PLACES = r"(<!-- places, written by locate.py -->\n[^\n]*\n[^\n]*\n).*?(<!-- end of places -->)"
# The two decoys with a complete header, by their first 20 bytes (hosts/decoys.S).
DECOYS = {
    b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x01\x00\xf7\x00": "EI_CLASS is ELFCLASS32",
    b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01\x00\xf7\x00\x01\x00\x00\x00" + bytes(28): "e_shoff is 0: no section table",
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def occurrences(needle, data):
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


def completeness_of(name):
    return pathlib.PurePath(name).name.split("-")[0] if name.startswith("damaged/") else "whole"


def locate(files):
    """Every (host, offset, object); an object cut short or damaged is only looked for in its own file."""
    kinds = {name: completeness_of(name) for name in files if name.endswith(".bpf.o")}
    for name, kind in kinds.items():
        if kind != "rejected":
            hosts = files if kind == "whole" else [name]
            yield from ((host, at, name, kind) for host in hosts for at in occurrences(files[name], files[host]))


def expected(files):
    rows = [
        {"host": f"built/{host}", "offset": at, "size": len(files[name]), "sha256": sha256(files[name]),
         "object": f"built/{name}", "completeness": kind}
        for host, at, name, kind in locate(files)
    ]
    return sorted(rows, key=lambda row: (row["host"], row["offset"]))


def rejected(files):
    rows = [
        {"host": f"built/{name}", "offset": 0, "reason": reason}
        for name in files
        for damage, reason in REASONS.items()
        if name == f"damaged/{damage}.bpf.o"
    ]
    decoys = files["hosts/decoys"]
    rows += [
        {"host": "built/hosts/decoys", "offset": at, "reason": reason}
        for header, reason in DECOYS.items()
        for at in occurrences(header, decoys)
    ]
    return sorted(rows, key=lambda row: (row["host"], row["offset"]))


def write_json(name, rows):
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def refresh_readme(files):
    readme = HERE / "README.md"

    def row(match):
        data = files[match["name"].removeprefix("built/")]
        return f"| `{match['name']}` | {len(data)} | `{sha256(data)}` |"

    text = re.sub(FILE_ROW, row, readme.read_text(), flags=re.MULTILINE)
    readme.write_text(re.sub(PLACES, lambda match: match[1] + places(files) + match[2], text, flags=re.DOTALL))


def places(files):
    return "".join(
        f"| {row['host'].removeprefix('built/')} | {row['offset']} | {row['offset'] % 8} "
        f"| {row['object'].removeprefix('built/')} | {row['size']} | `{row['sha256'][:16]}…` |\n"
        for row in expected(files)
        if row["host"] != row["object"]
    )


def main(directory):
    files = {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.glob("*/*"))
        if path.parent.name != "generated"
    }
    contents = [data for name, data in files.items() if name.endswith(".bpf.o")]
    assert len(set(contents)) == len(contents), "two objects with the same bytes: their names would be ambiguous"
    write_json("expected.json", expected(files))
    write_json("rejected.json", rejected(files))
    refresh_readme(files)


main(pathlib.Path(sys.argv[1]))
