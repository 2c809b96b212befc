"""Business Unit: tests | Status: current.

`shadow.open`: the examples in its docstrings hold, floats are the exact decimals rounded once, and `import shadow` is light.
"""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

import shadow
from shadow.opened import Opened, open_place
from tests.factories.comparisons import comparison_of, diverged, write_jsonl

DAY = date(2026, 11, 24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(DAY), diverged(comparison_of(DAY, number=1))])
    return tmp_path


@pytest.mark.parametrize("documented", [open_place, Opened.comparisons, Opened.frames])
def test_the_examples_in_the_docstrings_hold(documented: object, folder: Path) -> None:
    (found,) = doctest.DocTestFinder(recurse=False).find(documented, "shadow.open", globs={"shadow": shadow, "folder": folder})
    ran = doctest.DocTestRunner().run(found)

    assert (ran.failed, ran.attempted > 0) == (0, True)


def test_floats_are_the_decimals_and_what_is_not_known_stays_so(folder: Path) -> None:
    exact = shadow.open(folder).frames()
    floats = exact.as_float()

    for column in ("gross_impact", "impact_cash", "money_net"):
        for one, other in zip(exact.pairs[column], floats.pairs[column], strict=True):
            assert math.isnan(other) if one is None else float(one) == other
    assert list(floats.trades.columns) == list(exact.trades.columns)


def test_what_there_is_to_use_is_listed_and_what_is_not_installed_is_told_with_its_cure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"open", "__version__"} <= set(dir(shadow))
    for name in [name for name in sys.modules if name.startswith("reports.data")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'shadow-lanes\[reports\]'"):
        shadow.open(folder).frames()


def test_importing_shadow_loads_nothing_of_it() -> None:
    asked = "import sys, shadow; print('shadow.opened' in sys.modules, 'pydantic' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603 - our own words

    assert answer.stdout.split() == ["False", "False"]
