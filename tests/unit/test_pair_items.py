"""Business Unit: tests | Status: current.

The pair ledger's item mapping loses nothing and keys pairs so that both queries find them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.aws.pair_ledger import AuditEntry, audit_from_item, audit_to_item, pair_from_item, pair_key, pair_to_item, sortable
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.pair import Pair, PairState, StartState

NOW = datetime(2026, 1, 12, 20, 45, tzinfo=UTC)


def a_pair(**changes: object) -> Pair:
    values: dict[str, object] = {
        "plan_id": "portfolio_v2_workflow-1_1768250700",
        "run_id": "run-1",
        "correlation_id": "workflow-1",
        "trading_day": date(2026, 1, 12),
        "published_at": NOW,
        "trade_count": 3,
    }
    return Pair.model_validate(values | changes)


@pytest.mark.parametrize("state", list(PairState))
def test_a_pair_comes_back_as_it_went(state: PairState) -> None:
    pair = a_pair(state=state, verdict=Verdict.MATCHED, start_state=StartState.STARTED, version=7, plan_json='{"a":1}')
    assert pair_from_item(pair_to_item(pair)) == pair


@pytest.mark.parametrize("value", [{"S": "many"}, {"N": "1.5"}, {"L": [{"N": "2"}]}])
def test_a_number_that_is_none_is_refused_by_field(value: dict[str, object]) -> None:
    with pytest.raises(InvalidPayload, match="trade_count"):
        pair_from_item(pair_to_item(a_pair()) | {"trade_count": value})  # type: ignore[dict-item] # what a table may hold


def test_a_number_written_with_an_exponent_is_that_number() -> None:
    assert pair_from_item(pair_to_item(a_pair()) | {"version": {"N": "1E+2"}}).version == 100


def test_what_is_not_known_is_left_out() -> None:
    item = pair_to_item(a_pair())
    assert "execution_arn" not in item
    assert item["version"] == {"N": "0"}


def test_only_open_pairs_are_in_the_sweepers_index() -> None:
    assert {state for state in PairState if "GSI2PK" in pair_to_item(a_pair(state=state))} == {PairState.PENDING, PairState.LATE}


def test_the_keys_are_the_schemas() -> None:
    item = pair_to_item(a_pair())
    at = "2026-01-12T20:45:00.000000+00:00"
    assert {name: item[name]["S"] for name in ("PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK")} == {
        "PK": "PAIR#portfolio_v2_workflow-1_1768250700",
        "SK": "PAIR",
        "GSI1PK": "DAY#2026-01-12",
        "GSI1SK": f"PAIR#{at}#portfolio_v2_workflow-1_1768250700",
        "GSI2PK": "OPEN",
        "GSI2SK": at,
    }
    assert pair_key(a_pair().plan_id) == {"PK": item["PK"], "SK": item["SK"]}


def test_a_newer_attribute_is_left_alone_and_a_faulty_one_is_named() -> None:
    item = pair_to_item(a_pair())
    assert pair_from_item(item | {"invented_later": {"S": "x"}}) == a_pair()
    with pytest.raises(InvalidPayload, match="trading_day"):
        pair_from_item(item | {"trading_day": {"S": "yesterday"}})


zones = st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=9))])
moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=zones)  # noqa: DTZ001 - hypothesis adds the zone


@given(moments, moments)
def test_sortable_texts_sort_as_moments_do(one: datetime, other: datetime) -> None:
    assert (sortable(one) < sortable(other)) == (one < other)


def test_an_audit_entry_comes_back_as_it_went() -> None:
    entry = AuditEntry("p1", 12, NOW, "publisher", {"start_state": "STARTED"})
    item = audit_to_item(entry)
    assert item["SK"] == {"S": "AUDIT#000012"}
    assert audit_from_item(item) == entry
