"""One run of everything, which takes a minute, looked at twice: do the calls that were made fit the roles' policies, so that
every role may do what it does, and does what it may or says why not; and does a secret show anywhere that is read afterwards?
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.iam_proof.policies import Statement, statements_of
from local.iam_proof.proof import DEPLOYED_WITH, prove, read_record, reasons, write_record
from local.stack import CHECKOUT
from shadow.contracts.comparison import Verdict
from shadow.contracts.pair import PairState
from tests.factories.enforced_run import CANARIES, MAILBOX, EnforcedRun

pytestmark = [pytest.mark.local_cloud]
WRITE_ANEW = "SHADOW_WRITE_CALLS"
SECRETS = [value for canary in CANARIES.values() for value in canary.values()]


@pytest.fixture(scope="module")
def statements() -> tuple[Statement, ...]:
    return statements_of(Path(CHECKOUT) / "template.yaml", DEPLOYED_WITH)


def test_under_its_own_role_every_function_does_its_work(enforced: EnforcedRun) -> None:
    assert [pair.state for pair in enforced.pairs] == [PairState.JUDGED] * 3
    assert {pair.verdict for pair in enforced.pairs} <= {Verdict.MATCHED, Verdict.DIVERGED}
    assert enforced.pairs[1].verdict is Verdict.DIVERGED


def test_every_call_is_allowed_and_everything_allowed_is_called_or_says_why(
    enforced: EnforcedRun, statements: tuple[Statement, ...]
) -> None:
    if os.environ.get(WRITE_ANEW):
        write_record(CHECKOUT, enforced.calls)

    proof = prove(enforced.calls, statements, reasons())

    assert proof.beyond == ()
    assert proof.refused == ()
    assert proof.unexplained == ()
    assert proof.idle_reasons == ()


def test_the_page_tells_of_the_calls_that_are_made_now(enforced: EnforcedRun) -> None:
    told = read_record(CHECKOUT)
    assert set(told) == set(enforced.calls), f"write it anew: {WRITE_ANEW}=1 pytest {Path(__file__).name}; make pages"


def test_the_candidates_roles_reach_neither_the_controls_secret_nor_its_queue(
    enforced: EnforcedRun, statements: tuple[Statement, ...]
) -> None:
    control = ("control-broker", "execution.fifo", "execution-runs", "trade-ledger", "rebalance-plans")
    candidate = {call.role for call in enforced.calls} - {
        "LegacyExecutionRole",
        "PublishPlanRole",
        "CompareOutcomesRole",
        "DailyReportRole",
    }
    assert len(candidate) == 9
    reached = [each for each in statements if each.role in candidate and any(name in str(each.resources) for name in control)]
    assert reached == []


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
