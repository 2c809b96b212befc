"""Business Unit: tests | Status: current.

What a new user can do wrong with a plan file: every faulty field is named, the exit code is 2, and nothing is published.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shadow.cli import pairs, publishing
from shadow.cli.output import FunctionFailed
from shadow.cli.target import Target
from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from tests.factories.comparisons import comparison_of
from tests.factories.pairs import pair_behind
from tests.fakes.cli_cloud import shadow
from tests.fakes.plans import plan_of
from tests.strategies.outcomes import DAY

TARGET = Target("dev", {"PublishPlanFunctionName": "alchemiser-dev-publish-plan"}, "http://127.0.0.1:1")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What reached the publishing function."""
    sent: list[object] = []

    def invoke(target: Target, output: str, payload: Any) -> dict[str, object]:
        assert target.name(output) == "alchemiser-dev-publish-plan"
        sent.append(payload)
        return {"planId": payload["plan_id"], "runId": "run", "tradeCount": 2}

    monkeypatch.setattr(pairs, "find_target", lambda *_args, **_kwargs: TARGET)
    monkeypatch.setattr(publishing, "invoke", invoke)
    return sent


def wire(**changes: object) -> dict[str, Any]:
    return plan_of(AAPL="-600", MSFT="1000").to_wire() | changes


def with_item(index: int, **changes: object) -> dict[str, Any]:
    plan = wire()
    plan["items"][index] |= changes
    return plan


def write(folder: Path, text: str | bytes | dict[str, Any]) -> str:
    path = folder / "plan.json"
    body = json.dumps(text) if isinstance(text, dict) else text
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return str(path)


def big_plan() -> dict[str, Any]:
    plan = wire()
    plan["items"] = [plan["items"][0] | {"symbol": f"S{number}"} for number in range(5_000)]
    return plan


BAD: dict[str, tuple[str | bytes | dict[str, Any], list[str]]] = {
    "an empty file": ("", ["(whole): expected a JSON object, was an empty text"]),
    "spaces only": ("  \n", ["(whole): expected a JSON object, was an empty text"]),
    "no JSON": ("{plan", ["(whole): expected a JSON object"]),
    "not UTF-8": (b"\xff\xfe{}", ["(whole): expected a JSON object"]),
    "a list": ("[]", ["(whole)"]),
    "a null": ("null", ["(whole)"]),
    "a constant JSON has not": (
        json.dumps(wire()).replace('"100000"', "NaN"),
        ["(whole): expected a JSON object", "NaN"],
    ),
    "NaN as a text": (with_item(0, trade_amount="NaN"), ["items.0 (AAPL).trade_amount: expected a finite decimal, was 'NaN'"]),
    "29 digits": (
        with_item(1, target_value="1." + "1" * 28),
        ["items.1 (MSFT).target_value: expected at most 28 significant digits"],
    ),
    "an unknown action": (with_item(0, action="SHORT"), ["items.0 (AAPL).action: expected 'BUY', 'SELL' or 'HOLD', was 'SHORT'"]),
    "a symbol twice": (with_item(1, symbol="AAPL"), ["expected one item a symbol, was more than one for AAPL"]),
    "no items": (wire(items=[]), ["items"]),
    "a wrong sign": (with_item(0, trade_amount="600"), ["items.0 (AAPL): expected trade_amount less than 0 for SELL, was 600"]),
    "a wrong total": (wire(total_trade_value="1"), ["total_trade_value"]),
    "a time without a zone": (wire(timestamp="2024-03-15T15:45:00"), ["timestamp: expected"]),
    "an unknown field": (wire(colour="blue"), ["colour: expected"]),
    "three faults at once": (
        with_item(0, action="SHORT", priority=9) | {"execution_urgency": "NOW"},
        ["items.0 (AAPL).action", "items.0 (AAPL).priority", "execution_urgency"],
    ),
    "a megabyte of wrong symbols": (big_plan() | {"total_trade_value": "0"}, ["total_trade_value"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_faulty_plan_is_refused_whole_with_every_faulty_field_named(name: str, tmp_path: Path, published: list[object]) -> None:
    text, expected = BAD[name]

    result = shadow("publish", write(tmp_path, text))

    assert result.exit_code == 2
    assert "Nothing was published." in result.stderr
    for words in expected:
        assert words in result.stderr
    assert result.stdout == ""
    assert published == []


@pytest.mark.parametrize("name", BAD)
def test_a_refusal_as_json_names_the_same_fields(name: str, tmp_path: Path, published: list[object]) -> None:
    text, expected = BAD[name]

    result = shadow("publish", write(tmp_path, text), "--json")

    answer = json.loads(result.stdout)
    assert result.exit_code == answer["exit_code"] == 2
    fields = [fault["field"] for fault in answer["faults"]]
    assert fields
    assert all({"field", "expected", "found"} == set(fault) for fault in answer["faults"])
    for words in expected:
        if words.startswith("items."):
            assert words.split(": ")[0] in fields
    assert published == []


def test_a_plan_of_holds_has_nothing_to_execute(tmp_path: Path, published: list[object]) -> None:
    plan = plan_of(holds=("AAPL", "MSFT")).to_wire()

    result = shadow("publish", write(tmp_path, plan))

    assert result.exit_code == 2
    assert "items: expected at least one BUY or SELL, was 2 HOLD: nothing to execute" in result.stderr
    assert published == []


@pytest.mark.parametrize(("path", "told"), [("missing.json", "no such file"), (".", "is a directory")])
def test_a_file_that_cannot_be_read_is_bad_input(path: str, told: str, tmp_path: Path, published: list[object]) -> None:
    result = shadow("publish", str(tmp_path / path))

    assert result.exit_code == 2
    assert told in result.stderr
    assert published == []


def test_a_good_plan_is_published_exactly_as_it_is(tmp_path: Path, published: list[object]) -> None:
    plan = plan_of(AAPL="-600.10", MSFT="1000")

    result = shadow("publish", write(tmp_path, plan.to_wire()))

    assert result.exit_code == 0
    assert [RebalancePlan.read(payload) for payload in published] == [plan]
    assert plan.plan_id in result.stdout
    assert "shadow status" in result.stdout


def test_a_large_plan_is_published_too(tmp_path: Path, published: list[object]) -> None:
    plan = big_plan()
    plan["total_trade_value"] = str(Decimal(600) * len(plan["items"]))
    path = write(tmp_path, plan)
    assert Path(path).stat().st_size > 1_000_000

    result = shadow("publish", path, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["plan_id"] == plan["plan_id"]
    assert len(published) == 1


@pytest.mark.parametrize(("kind", "code"), [("InvalidPlan", 2), ("StateUnavailable", 3)])
def test_what_the_function_raises_decides_the_exit_code(
    kind: str, code: int, tmp_path: Path, published: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def invoke(*_args: object) -> dict[str, object]:
        raise FunctionFailed("alchemiser-dev-publish-plan", kind, "why")

    monkeypatch.setattr(publishing, "invoke", invoke)

    result = shadow("publish", write(tmp_path, wire()), "--json")

    assert result.exit_code == json.loads(result.stdout)["exit_code"] == code
    assert published == []


def test_the_run_that_is_named_is_the_one_the_publisher_minted(tmp_path: Path, published: list[object]) -> None:
    result = shadow("publish", write(tmp_path, wire()))

    assert result.exit_code == 0
    assert len(published) == 1
    assert ": 2 trades, run run" in " ".join((result.stdout + result.stderr).split())


@pytest.mark.parametrize(("day", "weekend"), [("2026-11-27", False), ("2026-11-28", True), ("2026-11-29", True)])
def test_a_plan_of_a_weekend_is_warned_of(day: str, *, weekend: bool, tmp_path: Path, published: list[object]) -> None:
    plan = write(tmp_path, wire(timestamp=f"{day}T15:00:00-05:00"))

    assert json.loads(shadow("publish", plan, "--json").stdout)["on_a_weekend"] is weekend
    assert ("the exchange is closed" in shadow("publish", plan).stdout) is weekend
    assert len(published) == 2


def test_the_next_commands_can_be_copied(tmp_path: Path, published: list[object]) -> None:
    result = shadow("publish", write(tmp_path, wire(plan_id="a;$(plan)")))

    assert len(published) == 1
    assert "shadow status 'a;$(plan)'" in result.stdout


class Ledger:
    """A ledger whose pair comes after two questions, and its verdict after four."""

    def __init__(self, last: Verdict) -> None:
        self._answers = [None, None, Verdict.PENDING, Verdict.PENDING, last]
        self.asked = 0

    def get(self, plan_id: str) -> Pair | None:
        verdict = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return None if verdict is None else pair_behind(comparison_of(DAY), plan_id=plan_id, verdict=verdict)


@pytest.mark.parametrize(
    "case",
    [((), Verdict.MATCHED, 0, 3), (("--wait",), Verdict.MATCHED, 0, 5), (("--wait",), Verdict.DIVERGED, 1, 5)],
)
def test_publishing_returns_when_the_pair_is_there_and_with_wait_when_it_is_compared(
    published: list[object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    case: tuple[tuple[str, ...], Verdict, int, int],
) -> None:
    options, last, code, asked = case
    ledger = Ledger(last)
    target = Target("dev", {**TARGET.outputs, "PairLedgerTableName": "pairs"}, TARGET.endpoint)
    monkeypatch.setattr(pairs, "find_target", lambda *_args, **_kwargs: target)
    monkeypatch.setattr(publishing.StackStore, "ledger", ledger)
    monkeypatch.setattr(publishing, "sleep", lambda _: None)
    result = shadow("publish", write(tmp_path, wire()), "--json", *options)

    assert result.exit_code == code, result.output
    assert len(published) == 1
    assert ledger.asked == asked
    assert json.loads(result.stdout)["verdict"] == (last if options else Verdict.PENDING)
