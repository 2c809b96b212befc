"""What Lambda's runtime could not load is found in a built layer before it is deployed."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from local.cloud.build import lambda_runtime
from local.cloud.runtime_fit import unfit

TARGET = lambda_runtime("3.14")
ANY = "python/numpy-2.dist-info/WHEEL"


def wheel(*tags: str) -> bytes:
    return "".join(f"Tag: {tag}\n" for tag in tags).encode()


def shared_object(machine: int = 62, width: int = 2, glibc: int = 34) -> bytes:
    return struct.pack("<4sBB10x2xH", b"\x7fELF", width, 1, machine) + f"\0GLIBC_2.17\0GLIBC_2.{glibc}\0".encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (ANY, wheel("py3-none-any")),
        (ANY, wheel("py2-none-any", "py3-none-any")),
        (ANY, wheel("cp314-cp314-manylinux_2_27_x86_64", "cp314-cp314-manylinux_2_28_x86_64")),
        (ANY, wheel("cp39-abi3-manylinux_2_28_x86_64")),
        ("python/numpy/core.cpython-314-x86_64-linux-gnu.so", shared_object()),
        ("python/x/_rust.abi3.so", shared_object()),
        ("python/numpy.libs/libgfortran-8f1e.so.5.0.0", shared_object(glibc=27)),
        ("python/x/text.so", b"no object at all"),
        ("python/x/empty.py", b""),
    ],
)
def test_what_the_runtime_loads_is_left_alone(name: str, content: bytes, tmp_path: Path) -> None:
    assert told(name, content, tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            ANY,
            wheel("cp311-cp311-manylinux_2_28_x86_64"),
            "numpy-2.dist-info: its wheel is for cp311-cp311-manylinux_2_28_x86_64",
        ),
        (
            ANY,
            wheel("cp314-cp314-manylinux_2_28_aarch64"),
            "numpy-2.dist-info: its wheel is for cp314-cp314-manylinux_2_28_aarch64",
        ),
        (ANY, wheel("cp314-cp314-musllinux_1_2_x86_64"), "numpy-2.dist-info: its wheel is for cp314-cp314-musllinux_1_2_x86_64"),
        (ANY, wheel(), "numpy-2.dist-info: its wheel is for no tag"),
        (
            "a/b.cpython-313-x86_64-linux-gnu.so",
            shared_object(),
            "a/b.cpython-313-x86_64-linux-gnu.so: built for CPython 313, not 314",
        ),
        ("a/b.so", shared_object(glibc=35), "a/b.so: needs glibc 2.35; the runtime has 2.34"),
        (
            "a/b.so",
            shared_object(machine=183),
            "a/b.so: an object for machine 183, class 2; Lambda's x86_64 is machine 62, class 2",
        ),
        ("a/b.so", shared_object(width=1), "a/b.so: an object for machine 62, class 1; Lambda's x86_64 is machine 62, class 2"),
    ],
)
def test_what_the_runtime_cannot_load_is_named_with_its_reason(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    assert told(name, content, tmp_path) == [why]


def told(name: str, content: bytes, folder: Path) -> list[str]:
    with zipfile.ZipFile(folder / "layer.zip", "w") as layer:
        layer.writestr(name, content)
    return unfit(folder / "layer.zip", TARGET.python_version, TARGET.platforms)
