"""Business Unit: evidence | Status: current.

The one place where the comparator is put together: environment, clients, policy, judge. What belongs to rooms that evidence
must not know (the publisher, which can start a candidate again; the broker's adapter) is given by the function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

from shadow.aws import clients
from shadow.aws.clients import Environment
from shadow.aws.executions import AwsCandidateSource
from shadow.aws.notifier import SnsNotifier, WebhookChannel, https_post, read_webhook
from shadow.aws.objects import S3Objects
from shadow.aws.observability import PowertoolsRecorder
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.compare.policy import Deadlines as PolicyDeadlines
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.vocabulary import Metric, Recorder
from shadow.lanes.lane import BrokerTruth, Deadlines, lane_file_at
from shadow.lanes.legacy.source import AwsControlSource, CapturedEvents
from shadow.lanes.redaction import Redactor
from shadow.settlement.cases import CaseBuilder, Lanes
from shadow.settlement.documents import AwsPlanSource, EvidenceStore
from shadow.settlement.hints import Hints
from shadow.settlement.judging import Starter, judge_by, policy_at
from shadow.settlement.messages import Channel, Teller
from shadow.settlement.settler import Parts, Settler
from shadow.settlement.sweeper import Sweeper

_TELLING = clients.CallLimits(connect_seconds=2.0, read_seconds=3.0, attempts=2)


class ComparatorEnvironment(Environment):
    """What the comparator needs.

    `settlement_deadlines` is a JSON object that overrides fields of `Deadlines`, in seconds. `lane_file_path` names the file that
    describes the candidate where it is not our workflow; it has no state table then. `control_account_fingerprint` is the SHA-256
    of a number that must never enter evidence. `alert_topic_arn` and `alert_webhook_secret_id` are where critical differences are
    told at once; empty: nowhere.
    """

    pair_ledger_table_name: str
    execution_runs_table_name: str
    candidate_state_table_name: str = ""
    evidence_bucket_name: str
    state_machine_arn: str
    trade_ledger_table_name: str = ""
    shadow_trade_ledger_table_name: str = ""
    rebalance_plan_table_name: str = ""
    policy_path: str = ""
    lane_file_path: str = ""
    settlement_deadlines: str = "{}"
    control_account_fingerprint: str = ""
    alert_topic_arn: str = ""
    alert_webhook_secret_id: str = ""
    stage: str = "dev"
    aws_region: str = ""


@dataclass(frozen=True, slots=True)
class CleanRecorder:
    """Records without secrets: why a look failed is logged in the words of a service, which may name an account."""

    recorder: Recorder
    redactor: Redactor

    def emit(self, values: Mapping[Metric, float]) -> None:
        """Write metrics as they are."""
        self.recorder.emit(values)

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        """Write a log line whose fields hold no secret."""
        self.recorder.log(message, {name: self.redactor.clean_text(text) for name, text in fields.items()}, problem=problem)


@dataclass(frozen=True, slots=True)
class Comparator:
    """The comparator, put together."""

    settler: Settler
    hints: Hints
    sweeper: Sweeper
    ledger: DynamoDbPairLedger


def comparator_from(environment: ComparatorEnvironment, starter: Starter, broker: BrokerTruth | None = None) -> Comparator:
    """Put the comparator together. Raises `ConfigurationError`."""
    policy = policy_at(environment.policy_path)
    deadlines = deadlines_from(environment.settlement_deadlines, policy.deadlines)
    dynamodb = clients.dynamodb()
    redactor = Redactor(frozenset({environment.control_account_fingerprint.lower()}) - {""})
    recorder: Recorder = CleanRecorder(PowertoolsRecorder(), redactor)
    ledger = DynamoDbPairLedger(dynamodb, environment.pair_ledger_table_name)
    captured = CapturedEvents(dynamodb, environment.pair_ledger_table_name)
    objects = S3Objects(clients.s3(), environment.evidence_bucket_name)
    store = EvidenceStore(objects, redactor)
    control, as_shadow = (
        AwsControlSource(
            dynamodb,
            environment.execution_runs_table_name,
            trade_ledger or None,
            captured,
        )
        for trade_ledger in (environment.trade_ledger_table_name, environment.shadow_trade_ledger_table_name)
    )
    candidate = AwsCandidateSource(
        clients.stepfunctions(),
        environment.state_machine_arn,
        dynamodb,
        environment.candidate_state_table_name,
    )
    lane_file = lane_file_at(environment.lane_file_path)
    lanes = Lanes(control, candidate, store, ledger, deadlines, as_shadow=as_shadow, lane_file=lane_file)
    plans = AwsPlanSource(objects, dynamodb, environment.rebalance_plan_table_name or None)
    cases = CaseBuilder(
        lanes=lanes,
        store=store,
        plans=plans,
        ledger=ledger,
        deadlines=deadlines,
        broker=broker,
        recorder=recorder,
        own=tuple(policy.own),
    )
    actor = f"comparator-{uuid4().hex[:8]}"
    teller = teller_from(environment, recorder)
    settler = Settler(Parts(ledger, lanes, store, cases, judge_by(policy), recorder, deadlines, actor, teller.verdict))
    plan_id_at = lane_file.plan_id_at if lane_file is not None else "planId"
    return Comparator(
        settler=settler,
        hints=Hints(settler, control, candidate, captured, recorder, lambda: datetime.now(UTC), plan_id_at=plan_id_at),
        sweeper=Sweeper(ledger, settler, candidate, starter, recorder, deadlines, actor, tell=teller.sums),
        ledger=ledger,
    )


def deadlines_from(text: str, policy: PolicyDeadlines) -> Deadlines:
    """Take the policy's deadlines, overridden by `text`, a JSON object of seconds. Raises `ConfigurationError`."""
    known = {field.name for field in fields(Deadlines)}
    try:
        values = json.loads(text or "{}")
    except ValueError as error:
        raise ConfigurationError(f"SETTLEMENT_DEADLINES: expected a JSON object, was {text!r} ({error})") from None
    if not isinstance(values, dict) or values.keys() - known:
        raise ConfigurationError(f"SETTLEMENT_DEADLINES: expected an object of {', '.join(sorted(known))}, was {text!r}")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ConfigurationError(f"SETTLEMENT_DEADLINES.{name}: expected seconds, zero or more, was {value!r}")
    chosen = {
        "late_after": float(policy.late_seconds),
        "missing_after": float(policy.missing_seconds),
        "stuck_after": float(policy.stuck_seconds),
    }
    return Deadlines(**(chosen | {name: float(value) for name, value in values.items()}))


def teller_from(environment: ComparatorEnvironment, recorder: Recorder) -> Teller:
    """Put together how people are told at once."""
    channels: dict[str, Channel] = {}
    if environment.alert_topic_arn:
        channels["mail"] = SnsNotifier(clients.sns(_TELLING), environment.alert_topic_arn).send
    if environment.alert_webhook_secret_id:
        secrets, name = clients.secretsmanager(_TELLING), environment.alert_webhook_secret_id
        channels["webhook"] = WebhookChannel(lambda: read_webhook(secrets, name), https_post).send
    region, bucket = environment.aws_region, environment.evidence_bucket_name
    console = f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix="
    return Teller(channels, recorder, environment.stage, lambda key: f"{console}{quote(key, safe='')}")
