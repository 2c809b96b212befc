"""Business Unit: tests | Status: current.

`shadow rule` and `shadow accept`: the entry that is written covers what was pointed at and nothing wider.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from reports.register import entry_for, with_entry
from shadow.cli.main import app
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Attribution
from shadow.contracts.vocabulary import Lane
from tests.factories.comparisons import comparison_of, difference, diverged, write_jsonl
from tests.strategies.policies import TEXT

DAY = date(2026, 11, 24)
PAIR = diverged(comparison_of(DAY))
REST = ("--folder", "store", "--owner", "ana", "--reason", 'says "ten"\nticket 12', "--until", "2026-12-31")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "store" / "comparisons.jsonl", [PAIR])


def answer(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)


def test_the_entry_covers_the_difference_that_was_pointed_at_and_no_other_lane_or_symbol() -> None:
    code, _ = answer("accept", PAIR.plan_id, "order_quantity", *REST)

    assert code == 0
    policy = Policy.read(Path("policy.toml").read_text())
    entry, found = policy.known[-1], PAIR.differences[0]
    assert (entry.owner, entry.reason, entry.expires) == ("ana", 'says "ten"\nticket 12', date(2026, 12, 31))
    assert entry.covers(found, DAY)
    assert not entry.covers(found, date(2027, 1, 4))
    assert not entry.covers(found.model_copy(update={"attribution": Attribution.CONTROL, "lane": Lane.LEGACY}), DAY)
    assert not entry.covers(found.model_copy(update={"symbol": "OTHER"}), DAY)
    assert not entry.covers(found.model_copy(update={"field": "other"}), DAY)
    assert policy.rules == default_policy().rules


def test_a_policy_that_is_there_keeps_its_text_and_a_second_entry_gets_an_id_of_its_own() -> None:
    Path("mine.toml").write_text(TEXT)
    assert answer("accept", PAIR.plan_id, "ORDER_QUANTITY", *REST, "--policy", "mine.toml")[0] == 0
    assert answer("accept", PAIR.plan_id, "ORDER_QUANTITY", *REST, "--policy", "mine.toml")[0] == 0

    assert Path("mine.toml").read_text().startswith(TEXT.rstrip("\n"))
    assert [entry.id for entry in Policy.read(Path("mine.toml").read_text()).known][-2:] == [
        "order_quantity-2026-11-24",
        "order_quantity-2026-11-24-2",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("FILLED_QUANTITY", *REST), "ORDER_QUANTITY"),
        (("DOUBLE_ORDER", *REST), "never"),
        (("ORDER_QUANTITIES", *REST), "did you mean ORDER_QUANTITY"),
        (("ORDER_QUANTITY", *REST, "--until", "2026-11-23"), "before"),
        (("ORDER_QUANTITY", *REST, "--until", "soon"), "YYYY-MM-DD"),
        (("ORDER_QUANTITY", *REST, "--owner", ""), "known.0.owner"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_the_reason_and_nothing_is_written(change: tuple[str, ...], told: str) -> None:
    code, said = answer("accept", PAIR.plan_id, *change)

    assert code == 2
    assert told in json.dumps(said)
    assert sorted(path.name for path in Path().iterdir()) == ["store"]


def test_several_trades_leave_open_only_what_they_do_not_share() -> None:
    first, second = difference(PAIR, 0), difference(PAIR, 1)
    values = entry_for([first, second], owner="a", reason="b", until=DAY, budget=2)

    assert "symbol" not in values
    assert (values["field"], values["lane"]) == ("quantity", "workflow")


@given(owner=st.text(min_size=1, max_size=20), reason=st.text(min_size=1, max_size=20))
def test_any_text_a_policy_takes_is_read_back_as_it_was_given(owner: str, reason: str) -> None:
    values = entry_for(PAIR.differences, owner=f"o{owner}o", reason=f"r{reason}r", until=DAY, budget=1)

    entry = Policy.read(with_entry(TEXT, {"id": "x", **values}, "policy")).known[-1]
    assert (entry.owner, entry.reason) == (f"o{owner}o", f"r{reason}r")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_explained_and_its_runbook_is_there(kind: str) -> None:
    code, said = answer("rule", kind)

    assert code == 0
    assert said["meaning"] == KINDS[kind].meaning
    assert (Path(__file__).parents[2] / said["runbook"]).is_file()


def test_an_unknown_kind_is_bad_input() -> None:
    assert answer("rule", "NOPE")[0] == 2
