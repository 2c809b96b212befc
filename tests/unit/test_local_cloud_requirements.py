from __future__ import annotations

from pathlib import Path

import pytest

from local.cloud.build import lambda_runtime, this_machine
from local.cloud.errors import BuildFailed
from local.cloud.requirements import pins, without

HASH = "sha256:" + "0" * 64
TEXT = f"""\
# a comment
Some-Package==1.2.3 \\
    --hash={HASH} \\
    --hash={HASH[:-1]}1
    # via something
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash={HASH}
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash={HASH}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash={HASH}
"""


def _file(folder: Path, text: str = TEXT) -> Path:
    path = folder / "some.txt"
    path.write_text(text)
    return path


def test_pins_are_those_of_the_interpreter_built_for_and_not_of_the_one_that_builds(tmp_path: Path) -> None:
    found = pins(_file(tmp_path), lambda_runtime("3.14").markers)
    assert {name: pin.version for name, pin in found.items()} == {"some-package": "1.2.3", "numpy": "2.5.5"}
    older = pins(_file(tmp_path), lambda_runtime("3.11").markers)
    assert older["numpy"].version == "2.4.6"


def test_a_pin_is_written_with_all_its_hashes_and_without_its_marker(tmp_path: Path) -> None:
    found = pins(_file(tmp_path), this_machine().markers)
    assert str(found["some-package"]) == f"some-package==1.2.3 --hash={HASH} --hash={HASH[:-1]}1"


@pytest.mark.parametrize("line", ["numpy==2.4.6", f"numpy>=2 --hash={HASH}", f"numpy --hash={HASH}"])
def test_a_line_without_an_exact_version_and_a_hash_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildFailed, match="expected one exact version with hashes"):
        pins(_file(tmp_path, line), this_machine().markers)


def test_what_the_shared_layer_has_is_left_out_and_a_different_version_of_it_refused(tmp_path: Path) -> None:
    found = pins(_file(tmp_path), this_machine().markers)
    assert set(without(found, {"numpy": found["numpy"]}, "x")) == {"some-package"}
    other = pins(_file(tmp_path, f"some-package==9 --hash={HASH}"), this_machine().markers)
    with pytest.raises(BuildFailed, match=r"expected some-package 9 as in the shared layer, was 1\.2\.3"):
        without(found, other, "x")
