#!/usr/bin/env python3
"""Breaks good objects in known places: `damage.py DIR` reads DIR/bpfel and writes DIR/damaged.

The first word of each name is what a carver should make of the file: whole, truncated, salvaged or rejected.
Every change is one line of DAMAGES; offsets are those of Elf64_Ehdr and Elf64_Shdr.
"""

import pathlib
import struct
import sys

SHDR = 64


def put(image, at, code, *values):
    struct.pack_into("<" + code, image, at, *values)


def section_table(image):
    (offset,) = struct.unpack_from("<Q", image, 40)
    (count,) = struct.unpack_from("<H", image, 60)
    return offset, count


def header_of(image, name):
    """Where the section header of the section called `name` lies."""
    table, count = section_table(image)
    (names_index,) = struct.unpack_from("<H", image, 62)
    (names,) = struct.unpack_from("<Q", image, table + SHDR * names_index + 24)
    for at in range(table, table + SHDR * count, SHDR):
        (name_offset,) = struct.unpack_from("<I", image, at)
        start = names + name_offset
        if bytes(image[start : image.index(0, start)]) == name.encode():
            return at
    raise ValueError(f"no section {name}")


def table_first(image):
    """Moves the section header table from the end to directly behind the ELF header, and with it goes the
    padding that aligned it: the file ends where its last section does."""
    table, count = section_table(image)
    size = SHDR * count
    headers = image[table : table + size]
    assert table + size == len(image), "the table is not last"
    end = 0
    for at in range(SHDR, size, SHDR):
        offset, length = struct.unpack_from("<QQ", headers, at + 24)
        put(headers, at + 24, "Q", offset + size)
        end = max(end, offset + length)  # the objects used here have no .bss, which would occupy no bytes
    moved = image[:SHDR] + headers + image[SHDR:end]
    put(moved, 40, "Q", SHDR)
    return moved


def section_size(name, value):
    return lambda image: put(image, header_of(image, name) + 32, "Q", value)


def section_offset(name, value):
    return lambda image: put(image, header_of(image, name) + 24, "Q", value)


def odd_header(image):
    put(image, 7, "BB", 0x61, 3)  # EI_OSABI, EI_ABIVERSION
    put(image, 9, "7s", b"padding")  # EI_PAD
    put(image, 20, "I", 9)  # e_version
    put(image, 24, "QQ", 0x1234, 0)  # e_entry
    put(image, 48, "I", 0xF1A65)  # e_flags
    put(image, 52, "HHH", 0, 56, 0)  # e_ehsize, e_phentsize
    put(image, 58, "H", 0)  # e_shentsize


DAMAGES = {
    "whole-table-first": ("filter", table_first),
    "whole-odd-header": ("filter", odd_header),
    "whole-machine-none": ("uprobe", lambda image: put(image, 18, "H", 0)),
    "truncated-table": ("openat", lambda image: image[:-200]),
    "truncated-before-table": ("openat", lambda image: image[: section_table(image)[0] - 100]),
    "truncated-section": ("filter", lambda image: table_first(image)[:-40]),
    "salvaged-huge-section": ("openat", section_size(".llvm_addrsig", 1 << 40)),
    "salvaged-wrapping-section": ("openat", section_offset(".llvm_addrsig", (1 << 64) - 4)),
    "rejected-name-index": ("openat", lambda image: put(image, 62, "H", 200)),
    "rejected-name-section": ("openat", lambda image: put(image, 62, "H", 2)),
    "rejected-class32": ("openat", lambda image: put(image, 4, "B", 1)),
    "rejected-byte-order": ("openat", lambda image: put(image, 5, "B", 3)),
    "rejected-no-table": ("allow", lambda image: put(image, 40, "Q", 0)),
}


def main(directory):
    out = directory / "damaged"
    out.mkdir(exist_ok=True)
    for name, (source, damage) in DAMAGES.items():
        image = bytearray((directory / "bpfel" / f"{source}.bpf.o").read_bytes())
        (out / f"{name}.bpf.o").write_bytes(damage(image) or image)


main(pathlib.Path(sys.argv[1]))
