"""The proof from the recorded calls and the template alone, so that a policy that was changed is noticed without a cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.cloud.emulator_side.iam_gaps import write_keys
from local.iam_proof.calls import Call, generalised
from local.iam_proof.policies import Statement, statements_of
from local.iam_proof.proof import DEPLOYED_WITH, Reason, prove, read_record, reasons

ROOT = Path(__file__).parents[2]


def test_the_recorded_calls_prove_the_template_as_it_is_now() -> None:
    proof = prove(read_record(ROOT), statements_of(ROOT / "template.yaml", DEPLOYED_WITH), reasons())

    assert proof.beyond == ()
    assert proof.refused == ()
    assert proof.unexplained == ()
    assert proof.idle_reasons == ()
    assert proof.holds


def test_what_only_a_live_lane_may_is_allowed_to_a_live_lane_only() -> None:
    live = {**DEPLOYED_WITH, "ExecutionMode": "live", "DualPublishing": "false", "ControlAccountFingerprint": "0" * 64}
    extra = set(statements_of(ROOT / "template.yaml", live)) - set(statements_of(ROOT / "template.yaml", DEPLOYED_WITH))

    assert {statement.sid for statement in extra} == {"LiveEffects", "LiveLedger", "LiveState"}


FROM_ME = ("StringEquals", "ses:FromAddress", "me@x")


@pytest.mark.parametrize(
    ("call", "beyond"),
    [
        (Call(role="A", action="s3:GetObject", resource="arn:aws:s3:::b/plans/*"), 0),
        (Call(role="A", action="s3:PutObject", resource="arn:aws:s3:::b/plans/*"), 1),
        (Call(role="A", action="s3:GetObject", resource="arn:aws:s3:::b/evidence/*"), 1),
        (Call(role="B", action="s3:GetObject", resource="arn:aws:s3:::b/plans/*"), 1),
        (Call(role="A", action="ses:SendRawEmail", resource="arn:aws:ses:r:1:identity/x", sender="me@x"), 0),
        (Call(role="A", action="ses:SendRawEmail", resource="arn:aws:ses:r:1:identity/x", sender="you@x"), 1),
    ],
)
def test_the_proof_tells_a_call_that_is_allowed_from_one_that_is_not(call: Call, beyond: int) -> None:
    allowed = (
        Statement("A", "Read", ("s3:GetObject",), ("arn:aws:s3:::b/plans/*",)),
        Statement("A", "Mail", ("ses:SendRawEmail",), ("arn:aws:ses:r:1:identity/*",), (FROM_ME,)),
    )
    proof = prove([call], allowed, [])

    assert len(proof.beyond) == beyond
    assert len(proof.unexplained) == (2 if beyond else 1)
    assert not proof.holds


def test_a_reason_for_what_is_called_anyway_is_told() -> None:
    allowed = [Statement("A", "Read", ("s3:GetObject",), ("arn:aws:s3:::b/*",))]
    call = Call(role="A", action="s3:GetObject", resource="arn:aws:s3:::b/plans/*")
    reason = Reason(sid="Read", why="never")

    assert prove([call], allowed, [reason]).idle_reasons == (reason,)
    assert prove([], allowed, [reason]).holds


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (
            "arn:aws:secretsmanager:r:1:secret:dev/broker-0989e4",
            "…:secret:dev/broker-??????",
        ),
        ("arn:aws:states:r:1:execution:m:execution-3f07dbc1", "…:execution:m:*"),
        ("arn:aws:s3:::b/evidence/2022-12-27/x.json.gz", "arn:aws:s3:::b/evidence/*"),
        ("arn:aws:s3:::b/plans/map-results/x/y.json", "arn:aws:s3:::b/plans/map-results/*"),
        ("arn:aws:dynamodb:r:1:table/t/index/GSI1", "arn:aws:dynamodb:r:1:table/t/index/GSI1"),
    ],
)
def test_what_differs_from_run_to_run_becomes_a_star(found: str, kept: str) -> None:
    assert generalised(found).endswith(kept.removeprefix("…"))


@pytest.mark.parametrize(
    ("query", "headers", "keys"),
    [
        ({}, {}, {"s3:ObjectCreationOperation": "true"}),
        ({}, {"If-None-Match": "*"}, {"s3:ObjectCreationOperation": "true", "s3:if-none-match": "*"}),
        ({"uploads": ""}, {}, {"s3:ObjectCreationOperation": "false"}),
        ({"uploadId": "u", "partNumber": "1"}, {}, {"s3:ObjectCreationOperation": "false"}),
        ({"uploadId": "u"}, {}, {"s3:ObjectCreationOperation": "true"}),
    ],
)
def test_a_write_to_s3_carries_the_condition_keys_of_aws(
    query: dict[str, str], headers: dict[str, str], keys: dict[str, str]
) -> None:
    assert write_keys(query, headers) == keys
