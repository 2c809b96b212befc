"""The pages made from the policy's models and the table of kinds are fresh and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.pages import policy_reference
from local.pages.policy_reference import main, pages
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Rules


def test_the_pages_in_docs_are_fresh() -> None:
    assert main(["--check"]) == 0


def test_every_kind_and_every_rule_stands_on_its_page() -> None:
    made = pages()
    assert all(f"| `{name}` |" in made["difference-kinds.md"] for name in KINDS)
    assert all(f"| `{name}` |" in made["policy-reference.md"] for name in Rules.model_fields)


def test_a_stale_page_is_told_and_made_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_reference, "DOCS", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
