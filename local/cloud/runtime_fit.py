"""Business Unit: local cloud | Status: current.

Whether what was built can be loaded by Lambda's runtime: the tags of its wheels, and what its shared objects were linked for.
Amazon Linux 2023 has glibc 2.34: https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
"""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag

_GLIBC_MINOR = 34
_ELF, _CLASS_64, _LITTLE, _X86_64 = b"\x7fELF", 2, 1, 62
_HEAD = struct.Struct("<4sBB10x2xH")  # the magic, the class and byte order of the identification, the type, the machine
_GLIBC = re.compile(rb"GLIBC_2\.(\d+)")
_ABI = re.compile(r"\.(?:cpython-(\d+)\w*-([\w-]+)|abi3)\.so$")


def unfit(archive: Path, python_version: str, platforms: tuple[str, ...]) -> list[str]:
    """Say what in the zip `archive` Lambda's Python `python_version` on x86_64 cannot load; `platforms` are pip's tags."""
    taken = _taken(python_version, platforms)
    wrong = []
    with zipfile.ZipFile(archive) as layer:
        for name in layer.namelist():
            if name.endswith(".dist-info/WHEEL"):
                tags = _tags(layer.read(name).decode())
                told = ", ".join(sorted(map(str, tags))) or "no tag"
                wrong += [] if tags & taken else [f"{name.split('/')[-2]}: its wheel is for {told}"]
                continue
            with layer.open(name) as file:
                head = file.read(_HEAD.size)
                if head.startswith(_ELF):
                    wrong += [f"{name}: {why}" for why in _unfit_object(name, head, file.read(), python_version)]
    return wrong


def _taken(python_version: str, platforms: tuple[str, ...]) -> frozenset[Tag]:
    major, minor = (int(part) for part in python_version.split("."))
    return frozenset(
        (
            *cpython_tags((major, minor), platforms=platforms),
            *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
        )
    )


def _tags(wheel: str) -> frozenset[Tag]:
    lines = [line.removeprefix("Tag: ").strip() for line in wheel.splitlines() if line.startswith("Tag: ")]
    return frozenset(tag for line in lines for tag in parse_tag(line))


def _unfit_object(name: str, head: bytes, rest: bytes, python_version: str) -> list[str]:
    _, width, order, machine = _HEAD.unpack(head)
    if (width, order, machine) != (_CLASS_64, _LITTLE, _X86_64):
        return [f"an object for machine {machine}, class {width}; Lambda's x86_64 is machine {_X86_64}, class {_CLASS_64}"]
    wrong = []
    named = _ABI.search(name)
    wanted = python_version.replace(".", "")
    if named and named[1] not in (None, wanted):
        wrong.append(f"built for CPython {named[1]}, not {wanted}")
    newest = max((int(minor) for minor in _GLIBC.findall(rest)), default=0)
    if newest > _GLIBC_MINOR:
        wrong.append(f"needs glibc 2.{newest}; the runtime has 2.{_GLIBC_MINOR}")
    return wrong
