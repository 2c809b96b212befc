"""The pages made from the policy's models and the table of kinds are fresh and whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.pages import policy_reference
from local.pages.policy_reference import main, pages
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Policy, Rules


def test_the_pages_in_docs_are_fresh() -> None:
    assert main(["--check"]) == 0


def test_every_kind_and_every_rule_stands_on_its_page() -> None:
    made = pages()
    assert all(f"| `{name}` |" in made["difference-kinds.md"] for name in KINDS)
    assert all(f"| `{name}` |" in made["policy-reference.md"] for name in Rules.model_fields)


def test_every_table_of_a_policy_has_its_section() -> None:
    sections = re.findall(r"^## `\[+(\w+)", pages()["policy-reference.md"], re.MULTILINE)

    assert set(sections) == set(Policy.model_fields) - {"version"}


def test_every_rule_that_a_field_takes_is_explained() -> None:
    page = pages()["policy-reference.md"]
    rows = [re.split(r"(?<!\\)\|", line) for line in page.split("## `[rules]`")[1].split("\n## ")[0].splitlines()]
    taken = {rule for cells in rows if len(cells) > 2 for rule in re.findall(r"`(\w+)`", cells[2])}
    explained = set(re.findall(r"^\| `(\w+)` \|", page.split("## `[rules]`")[0], re.MULTILINE))

    assert "drift" in taken
    assert taken == explained


@pytest.mark.parametrize("name", sorted(pages()))
def test_every_row_of_a_table_has_the_cells_of_its_head_and_no_text_of_the_code_itself(name: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", pages()[name], re.MULTILINE):
        widths = {len(re.split(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table[:200]
        assert "=(" not in table


def test_a_stale_page_is_told_and_made_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_reference, "DOCS", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
