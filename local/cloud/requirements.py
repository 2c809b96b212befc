"""Business Unit: local cloud | Status: current.

Read the hash-pinned requirement files, so that a layer holds exactly what is pinned for the interpreter it is built for and
nothing that the shared layer has already. pip itself judges markers by the interpreter it runs in, not by the one it builds
for; so markers are judged here and left out of what pip is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.cloud.errors import BuildFailed

_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned distribution: its canonical name, its version, and the hashes of the files allowed for it."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        """Write it as pip reads it, without a marker."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={digest}" for digest in self.hashes)])


def pins(path: Path, markers: Mapping[str, str]) -> dict[str, Pin]:
    """Read the pins of `path` that hold where `markers` holds. Raises BuildFailed on a line without a pin or a hash."""
    found: dict[str, Pin] = {}
    for block in _blocks(path.read_text()):
        requirement = Requirement(block.split("--hash", 1)[0].strip())
        if requirement.marker is not None and not requirement.marker.evaluate(dict(markers)):
            continue
        versions = [spec.version for spec in requirement.specifier if spec.operator == "=="]
        hashes = tuple(_HASH.findall(block))
        if len(versions) != 1 or not hashes:
            raise BuildFailed(f"{path.name}: expected one exact version with hashes, was {block[:80]!r}")
        name = canonicalize_name(requirement.name)
        found[name] = Pin(name, versions[0], hashes)
    return found


def without(wanted: Mapping[str, Pin], present: Mapping[str, Pin], what: str) -> dict[str, Pin]:
    """Leave out of `wanted` what is `present` already. Raises BuildFailed where the two disagree on a version."""
    for name in wanted.keys() & present.keys():
        if wanted[name].version != present[name].version:
            raise BuildFailed(
                f"{what}: expected {name} {present[name].version} as in the shared layer, was {wanted[name].version}"
            )
    return {name: pin for name, pin in wanted.items() if name not in present}


def _blocks(text: str) -> list[str]:
    """Join continued lines, and drop comments and options."""
    lines = [line.split(" #", 1)[0].rstrip() for line in text.splitlines()]
    joined = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    return [block.strip() for block in joined.splitlines() if block.strip() and not block.strip().startswith("-")]
