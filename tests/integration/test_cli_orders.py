"""`shadow orders` against moto: what may be working is listed, and cancelled by the function that trades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import boto3
import pytest

from shadow.aws.table import item_of
from shadow.cli import orders
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, candidate_pk
from tests.factories.comparisons import comparison_of
from tests.factories.pairs import pair_behind
from tests.fakes.candidate import intent_of, trade
from tests.fakes.cli_cloud import STATE, CliCloud, cli_cloud, shadow


def record(run_id: str, status: IntentStatus, step: int = 0) -> IntentRecord:
    about = {"PK": candidate_pk(run_id), "run_id": run_id, "intended_at": datetime.now(UTC)}
    intent = intent_of(trade("KO"), step, **about, status=status, order_id="o", filled_quantity=Decimal(4))
    boto3.client("dynamodb").put_item(TableName=STATE, Item=item_of(intent))
    return intent


@pytest.fixture(name="stack")
def _stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CliCloud]:
    with cli_cloud(monkeypatch, tmp_path) as found:
        yield found


def test_what_may_be_working_is_listed_with_the_command_that_cancels(stack: CliCloud) -> None:
    pair = stack.record(pair_behind(comparison_of(date(2026, 11, 24))))
    record(pair.run_id, IntentStatus.FILLED, 0)
    record(pair.run_id, IntentStatus.OPEN, 1)

    result = shadow("orders", pair.plan_id)

    assert result.exit_code == 1
    assert "BUY KO 10 shares, 4 filled, open" in result.stdout
    assert "2 orders recorded, 1 may be working" in result.stdout
    assert f"shadow orders {pair.run_id} --cancel" in result.stdout


@pytest.mark.usefixtures("stack")
def test_cancelling_asks_the_function_that_trades_and_shows_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def close(name: str, payload: object) -> dict[str, object]:
        asked.append((name, payload))
        record("the-run", IntentStatus.CANCELED)
        return {"runId": "the-run", "closed": ["BUY KO, order order-0: canceled, 4 of 10 shares filled"], "unknown": []}

    monkeypatch.setattr(orders, "invoke_named", close)
    record("the-run", IntentStatus.OPEN)

    result = shadow("orders", "the-run", "--cancel", "--json")

    assert asked == [("alchemiser-dev-execute-trade-sfn", {"closeRun": True, "runId": "the-run"})]
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["working"]) == (0, [])
    assert answer["closed"] == ["BUY KO, order order-0: canceled, 4 of 10 shares filled"]


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("more", [(), ("--cancel",), ("--json",)])
def test_a_misspelt_id_does_not_read_as_if_no_order_were_working(more: tuple[str, ...]) -> None:
    result = shadow("orders", "the-rnu", *more)

    assert result.exit_code == 2
    assert "No published plan the-rnu, and no run of that id has orders" in result.output
