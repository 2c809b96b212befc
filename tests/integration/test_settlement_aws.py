"""The comparator's adapters against moto: conditional moves with their audit, first evidence stands, every page is followed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from shadow.aws.executions import AwsCandidateSource
from shadow.aws.objects import S3Objects
from shadow.aws.pair_ledger import DynamoDbPairLedger, pair_key, pair_to_item
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import (
    ConfigurationError,
    EvidenceUnavailable,
    InvalidPayload,
    MissingPermission,
    PairMoved,
    ShadowError,
)
from shadow.contracts.pair import Announcement, Pair, PairState, Transition, UnreadablePair, moved
from shadow.contracts.vocabulary import Lane, Metric
from shadow.lanes.lane import Deadlines
from shadow.lanes.legacy.source import CapturedEvents, captured_event
from shadow.lanes.workflow.history import version_of
from shadow.settlement.composition import deadlines_from
from tests.factories.cloud_tables import make_table
from tests.factories.histories import STATE_MACHINE
from tests.factories.pairs import pair_of
from tests.fakes.plans import plan_of

PAIR = pair_of(plan_of(AAPL="-600", GOOG="1000"))
NOW = datetime(2024, 3, 15, 20, tzinfo=UTC)
TABLE = "pairs"


@pytest.fixture
def ledger() -> Iterator[DynamoDbPairLedger]:
    with mock_aws():
        make_table(TABLE, "GSI1", "GSI2")
        client = boto3.client("dynamodb")
        client.put_item(TableName=TABLE, Item={**pair_to_item(PAIR), "newer": {"S": "kept"}})
        yield DynamoDbPairLedger(client, TABLE)


def judged(before: Pair = PAIR, **changes: object) -> Transition:
    after = moved(before, state=PairState.JUDGED, verdict=Verdict.MATCHED, comparison_key="k", settled_at=NOW, **changes)
    return Transition(before, after, "one", NOW, {Metric.PAIRS_JUDGED: 1.0, Metric.DURATION_RATIO: 99.5})


def test_of_two_comparators_one_wins_and_the_other_leaves_no_trace(ledger: DynamoDbPairLedger) -> None:
    ledger.move(judged())
    with pytest.raises(PairMoved):
        ledger.move(judged())

    pair = ledger.get(PAIR.plan_id)
    assert pair is not None
    assert (pair.state, pair.verdict, pair.version) == (PairState.JUDGED, Verdict.MATCHED, 1)
    (entry,) = ledger.audit_of(PAIR.plan_id)
    assert (entry.actor, entry.version, entry.changes["verdict"]) == ("one", 1, "MATCHED")
    assert len(ledger.announcements(NOW)) == 1


@pytest.mark.parametrize(
    ("codes", "raised"),
    [
        (("ThrottlingError", "None"), EvidenceUnavailable),
        (("None", "ProvisionedThroughputExceeded"), EvidenceUnavailable),
        (("ConditionalCheckFailed", "None"), PairMoved),
        (("ThrottlingError", "ConditionalCheckFailed"), PairMoved),
        (("TransactionConflict", "None"), PairMoved),
    ],
)
def test_only_another_writer_has_moved_a_pair_and_a_throttled_table_is_asked_again(
    ledger: DynamoDbPairLedger, codes: tuple[str, ...], raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [{"Code": code} for code in codes]}

    def cancelled(**_request: object) -> None:
        raise ClientError(answer, "TransactWriteItems")  # type: ignore[arg-type] # the reasons are AWS's, and in no type

    monkeypatch.setattr(ledger._client, "transact_write_items", cancelled)
    with pytest.raises(raised):
        ledger.move(judged())


def test_a_move_keeps_what_is_newer_than_this_code_and_closes_the_open_index(ledger: DynamoDbPairLedger) -> None:
    assert [pair.plan_id for pair in ledger.open_pairs()] == [PAIR.plan_id]
    ledger.move(judged())

    item = boto3.client("dynamodb").get_item(TableName=TABLE, Key=pair_key(PAIR.plan_id))["Item"]
    assert item["newer"] == {"S": "kept"}
    assert list(ledger.open_pairs()) == []
    assert [pair.plan_id for pair in ledger.pairs_of(PAIR.trading_day) if isinstance(pair, Pair)] == [PAIR.plan_id]


def test_the_first_evidence_of_a_name_stands(ledger: DynamoDbPairLedger) -> None:
    first = EvidenceRef(name="control", key="a", sha256="1", size=1)
    second = EvidenceRef(name="control", key="b", sha256="2", size=2)

    assert ledger.record_evidence(PAIR.plan_id, first) == first
    assert ledger.record_evidence(PAIR.plan_id, second) == first
    assert ledger.evidence_of(PAIR.plan_id) == {"control": first}


def test_an_announcement_is_claimed_once_and_taken_away_when_emitted(ledger: DynamoDbPairLedger) -> None:
    ledger.move(judged())
    (waiting,) = ledger.announcements(NOW)
    assert isinstance(waiting, Announcement)
    assert dict(waiting.metrics) == {Metric.PAIRS_JUDGED: 1.0, Metric.DURATION_RATIO: 99.5}
    taken = ledger.claim(waiting, NOW + timedelta(seconds=5))
    assert taken is not None
    assert ledger.claim(waiting, NOW + timedelta(seconds=6)) is None
    assert ledger.announcements(NOW) == []
    ledger.announced(taken)
    assert ledger.announcements(NOW + timedelta(days=1)) == []


def test_an_item_that_is_no_pair_is_told_not_dropped(ledger: DynamoDbPairLedger) -> None:
    item = pair_to_item(pair_of(plan_of(name="two", AAPL="-1")))
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={**item, "state": {"S": "LOST"}})

    unreadable = [pair for pair in ledger.pairs_of(PAIR.trading_day) if isinstance(pair, UnreadablePair)]
    assert len(unreadable) == 1
    assert "state" in unreadable[0].reason


PIECES = {
    "SK": {"S": "EVIDENCE#control"},
    "name": {"S": "control"},
    "key": {"S": "k"},
    "sha256": {"S": "d"},
    "size": {"S": "many"},
}
ENTRY = {"SK": {"S": "AUDIT#000001"}, "version": {"N": "1"}, "at": {"S": "yesterday"}, "actor": {"S": "x"}, "changes": {"M": {}}}


@pytest.mark.parametrize(("item", "field"), [(PIECES, "size"), (ENTRY, "at")], ids=["evidence", "audit"])
def test_a_damaged_item_beside_a_pair_is_refused_by_field(
    item: dict[str, dict[str, object]], field: str, ledger: DynamoDbPairLedger
) -> None:
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={**item, "PK": pair_key(PAIR.plan_id)["PK"]})
    with pytest.raises(InvalidPayload, match=field):
        ledger.evidence_of(PAIR.plan_id) if field == "size" else ledger.audit_of(PAIR.plan_id)


def test_an_announcement_that_cannot_be_read_keeps_none_of_the_others(ledger: DynamoDbPairLedger) -> None:
    ledger.move(judged())
    damaged = {"PK": {"S": "PAIR#lost"}, "SK": {"S": "ANNOUNCE#000001"}, "GSI2PK": {"S": "UNANNOUNCED"}, "GSI2SK": {"S": "then"}}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=damaged)

    found = ledger.announcements(NOW)

    assert [entry.plan_id for entry in found if isinstance(entry, Announcement)] == [PAIR.plan_id]
    (unreadable,) = (entry for entry in found if isinstance(entry, UnreadablePair))
    assert unreadable.key == "PAIR#lost ANNOUNCE#000001"
    assert "GSI2SK" in unreadable.reason


def test_an_event_is_captured_once_by_its_id(ledger: DynamoDbPairLedger) -> None:
    del ledger
    captured = CapturedEvents(boto3.client("dynamodb"), TABLE)
    detail = {"run_id": "r", "plan_id": "p", "trade_id": "t"}
    one = captured_event({"id": "1", "detail-type": "TradeExecuted", "detail": detail})
    again = captured_event({"id": "2", "detail-type": "TradeExecuted", "detail": detail})

    assert one.trade_id == "t"
    assert [captured.record(event, NOW) for event in (one, one, again)] == [True, False, True]
    assert len(list(captured.of_run("r"))) == 2
    assert captured.has_terminal("r") is False
    captured.record(captured_event({"id": "3", "detail-type": "AllTradesCompleted", "detail": detail}), NOW)
    assert captured.has_terminal("r") is True


def test_a_further_run_of_a_plan_is_kept_once(ledger: DynamoDbPairLedger) -> None:
    assert ledger is not None
    captured = CapturedEvents(boto3.client("dynamodb"), TABLE)
    assert [captured.note_other_run("r", Lane.WORKFLOW, "again", NOW) for _ in range(2)] == [True, False]
    captured.note_other_run("r", Lane.LEGACY, "again", NOW)
    assert [(item["lane"], item["name"]) for item in captured.other_runs("r")] == [
        ({"S": "legacy"}, {"S": "again"}),
        ({"S": "workflow"}, {"S": "again"}),
    ]
    assert list(captured.of_run("r")) == []


def test_an_event_that_belongs_to_nobody_is_refused_by_field() -> None:
    with pytest.raises(InvalidPayload, match=r"detail.run_id: expected a valid string, was None"):
        captured_event({"id": "1", "detail-type": "TradeExecuted", "detail": {"plan_id": "p"}})


def test_nothing_kept_in_the_bucket_is_overwritten(ledger: DynamoDbPairLedger) -> None:
    del ledger
    boto3.client("s3").create_bucket(Bucket="evidence")
    objects = S3Objects(boto3.client("s3"), "evidence")

    assert objects.put_if_absent("k", b"one", "application/json") is True
    assert objects.put_if_absent("k", b"two", "application/json") is False
    assert objects.get("k") == b"one"
    assert objects.get("absent") is None


def test_every_page_of_a_history_is_read() -> None:
    client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    source = AwsCandidateSource(client, STATE_MACHINE, boto3.client("dynamodb", region_name="us-east-1"), "state")
    with Stubber(client) as stub:
        for number, token in ((1, "more"), (2, "still"), (3, None)):
            before = {1: None, 2: "more", 3: "still"}[number]
            answer = {"events": [{"id": number, "type": "ExecutionStarted", "timestamp": NOW}]}
            request = {"executionArn": "arn:x", "maxResults": 1000, "includeExecutionData": True}
            stub.add_response(
                "get_execution_history",
                answer | ({"nextToken": token} if token else {}),
                request | ({"nextToken": before} if before else {}),
            )
        assert [event["id"] for event in source.history("arn:x")] == [1, 2, 3]
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "raises"),
    [
        ("ThrottlingException", EvidenceUnavailable),
        ("AccessDeniedException", MissingPermission),
        ("KmsAccessDeniedException", MissingPermission),
        ("ExecutionDoesNotExist", None),
    ],
)
def test_throttled_is_unavailable_and_refused_an_error_and_absent_absent(code: str, raises: type[ShadowError] | None) -> None:
    client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    source = AwsCandidateSource(client, STATE_MACHINE, boto3.client("dynamodb", region_name="us-east-1"), "state")
    with Stubber(client) as stub:
        stub.add_client_error("describe_execution", code)
        if raises:
            with pytest.raises(raises, match=f"DescribeExecution.*{code}"):
                source.describe("arn:x")
        else:
            assert source.describe("arn:x") is None


@pytest.mark.parametrize(
    ("more", "definition", "name"),
    [
        ({}, "{}", f"@{sha256(b'{}').hexdigest()[:12]}"),
        ({"stateMachineVersionArn": f"{STATE_MACHINE}:3"}, None, ":3"),
        ({"status": "RUNNING"}, None, None),
    ],
    ids=["unversioned", "a version", "running"],
)
def test_an_execution_without_a_version_is_named_by_the_definition_that_it_ran(
    more: dict[str, object], definition: str | None, name: str | None
) -> None:
    client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    source = AwsCandidateSource(client, STATE_MACHINE, boto3.client("dynamodb", region_name="us-east-1"), "state")
    machine = {"stateMachineArn": STATE_MACHINE, "name": "workflow", "roleArn": "arn:r", "updateDate": NOW}
    with Stubber(client) as stub:
        answer = {"executionArn": "arn:x", "stateMachineArn": STATE_MACHINE, "status": "SUCCEEDED", "startDate": NOW}
        stub.add_response("describe_execution", answer | more)
        if definition is not None:
            stub.add_response("describe_state_machine_for_execution", machine | {"definition": definition})
        found = version_of(source.describe("arn:x") or {})
        stub.assert_no_pending_responses()
    assert found == (name and STATE_MACHINE.rsplit(":", 1)[1] + name)


def test_nobody_has_deadlines_of_his_own() -> None:
    assert deadlines_from("", default_policy().deadlines) == Deadlines()


def test_deadlines_come_from_the_policy_and_may_be_overridden() -> None:
    deadlines = deadlines_from('{"quiet": 1}', default_policy().deadlines)
    assert (deadlines.quiet, deadlines.late_after) == (1.0, float(default_policy().deadlines.late_seconds))
    assert deadlines_from('{"quiet": 0, "late_after": 7.5}', default_policy().deadlines).late_after == 7.5
    for wrong in ("[]", '{"soon": 1}', '{"quiet": -1}', '{"quiet": "1"}', '{"quiet": true}', '{"quiet": Infinity}', "{"):
        with pytest.raises(ConfigurationError, match="SETTLEMENT_DEADLINES"):
            deadlines_from(wrong, default_policy().deadlines)
