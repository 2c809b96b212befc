"""Canary secrets and account numbers are looked for wherever people or programs read, after everything has run."""

from __future__ import annotations

import pytest

from tests.factories.enforced_run import CANARIES, MAILBOX, EnforcedRun

pytestmark = [pytest.mark.local_cloud]
SECRETS = [value for canary in CANARIES.values() for value in canary.values()]


@pytest.mark.parametrize("canary", SECRETS)
def test_no_place_shows_a_secret_or_an_account_number(enforced: EnforcedRun, canary: str) -> None:
    assert [place for place, content in enforced.places.items() if canary in content] == []


@pytest.mark.parametrize(
    ("kind", "witness"),
    [
        ("emulator log", "trade ended"),
        ("log group /aws/lambda/alchemiser-dev-execute-trade-sfn", "trade ended"),
        ("history ", "ExecuteBuyPhase"),
        ("execution ", "rebalancePlan"),
        ("table alchemiser-dev-execution-runs", "message_body"),
        ("table alchemiser-dev-trade-ledger", "fill_price"),
        ("table alchemiser-dev-candidate-state", "INTENT#"),
        ("table alchemiser-dev-shadow-pairs", "verdict"),
        ("object evidence/", "tradeId"),
        ("object comparisons/", "verdict"),
        ("object reports/", "<html"),
        ("object plans/", "tradeMessages"),
        ("mail", "desk@example.com"),
        (f"queue {MAILBOX}", "blocked"),
    ],
)
def test_each_place_was_really_looked_into(enforced: EnforcedRun, kind: str, witness: str) -> None:
    found = [content for place, content in enforced.places.items() if place.startswith(kind)]
    assert any(witness in content for content in found), f"{kind}: {len(found)} found"
