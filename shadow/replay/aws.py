"""Business Unit: replay | Status: current.

The replay's ports on AWS. Pairs are created and executions started by the publisher's own adapters, outcomes are read and
verdicts kept by the comparator's: a replay differs from a live pair in its origin, and in where its control comes from.
`ReplayStack` puts them together for one stack, wherever that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from shadow.aws.executions import AwsCandidateSource
from shadow.aws.objects import S3Objects
from shadow.aws.observability import PowertoolsRecorder
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.compare.policy import Policy
from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import PairMoved, UnknownPair
from shadow.contracts.identity import run_id_of
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair, PairLedger, PairState, Transition, UnpairedPlan, moved
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Origin, Role
from shadow.intake.aws import PublishMode, S3PlanStore, StepFunctionsStarter
from shadow.intake.intake import Intake
from shadow.intake.payload import read_held
from shadow.lanes.lane import Deadlines, Presence
from shadow.lanes.legacy.source import AwsControlSource
from shadow.lanes.redaction import Redactor
from shadow.replay.ports import Archive, Archived, ReplayRun, archived_under
from shadow.replay.replayer import Pace, Replayer
from shadow.settlement.cases import Lanes
from shadow.settlement.documents import EvidenceStore, candidate_outcome
from shadow.settlement.judging import Case, Judge, judge_by

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

ACTOR = "replay"
_ATTEMPTS = 5
_NEXT = {PairState.PENDING: PairState.JUDGED, PairState.LATE: PairState.JUDGED, PairState.MISSING: PairState.RESOLVED_LATE}


@dataclass(frozen=True, slots=True)
class AwsCandidate:
    """Starts replays and reads what came of them. `own` names the fields of a user's own that the policy compares."""

    intake: Intake
    ledger: PairLedger
    lanes: Lanes
    store: EvidenceStore
    own: tuple[str, ...] = ()

    def start(self, plan: RebalancePlan, held: Mapping[str, Decimal]) -> Pair:
        """Record the replay's pair and start its execution; a pair that exists already is given as it is."""
        return self.intake.start(plan, held, Origin.REPLAY)

    def outcome(self, pair: Pair, plan: RebalancePlan, now: datetime) -> tuple[RunOutcome, EvidenceRef] | None:
        """Read what the candidate did, its evidence copied; None while it is running."""
        look = self.lanes.workflow(pair, self.ledger.evidence_of(pair.plan_id), now)
        if look.presence is not Presence.SETTLED or look.ref is None:
            return None
        return candidate_outcome(pair, self.store.read(look.ref), plan, self.own), look.ref


@dataclass(frozen=True, slots=True)
class LedgerJudging:
    """Judges by the comparator's judge, stores the comparison, and closes the pair. It announces no metric: nothing happened."""

    ledger: PairLedger
    store: EvidenceStore
    by_policy: Judge

    def judge(self, run: ReplayRun, candidate: RunOutcome, ref: EvidenceRef, now: datetime) -> tuple[Verdict, str]:
        """Store the comparison and close the pair; raises `PairMoved` where others keep changing it."""
        pair = run.pair
        control = archived_under(run.archived.control, run.plan)
        plan = self.store.without_secrets(run.plan)
        judgement = self.by_policy(Case(pair, plan, control, candidate, (*run.archived.evidence, ref)))
        key, digest = self.store.keep_comparison(pair.trading_day, pair.run_id, judgement.body)
        verdict = judgement.comparison.verdict
        for _ in range(_ATTEMPTS):
            standing = self.ledger.get(pair.plan_id)
            if standing is None:
                raise UnknownPair(f"plan {pair.plan_id}: expected the replay's pair, was none")
            if standing.comparison_sha256 == digest:
                return verdict, key
            changes = {
                "state": _NEXT.get(standing.state, standing.state),
                "verdict": verdict,
                "previous_verdict": standing.previous_verdict if standing.verdict is Verdict.PENDING else standing.verdict,
                "settled_at": now,
                "comparison_key": key,
                "comparison_sha256": digest,
                "state_transitions": judgement.comparison.transitions,
            }
            try:
                self.ledger.move(Transition(standing, moved(standing, **changes), ACTOR, now))
            except PairMoved:
                continue
            return verdict, key
        raise PairMoved(f"pair {pair.plan_id}: expected to close it within {_ATTEMPTS} attempts")


@dataclass(frozen=True)
class ReplayStack:
    """The stack that replays run in: its clients, and the names of what they use.

    `machine` is the state machine's ARN, `version` the number of the one to run (empty: what was deployed last). `secret_prints`
    are fingerprints of what must never be stored.
    """

    dynamodb: DynamoDBClient
    stepfunctions: SFNClient
    s3: S3Client
    machine: str
    bucket: str
    pair_table: str
    state_table: str
    runs_table: str
    version: str = ""
    secret_prints: frozenset[str] = frozenset()

    @cached_property
    def store(self) -> EvidenceStore:
        """Give the evidence store."""
        return EvidenceStore(S3Objects(self.s3, self.bucket), Redactor(self.secret_prints))

    @cached_property
    def candidate(self) -> AwsCandidate:
        """Give what starts and reads runs. It samples nothing, and starts the workflow by the intake's own road."""
        ledger = DynamoDbPairLedger(self.dynamodb, self.pair_table)
        source = AwsCandidateSource(self.stepfunctions, self.machine, self.dynamodb, self.state_table)
        runs = AwsControlSource(self.dynamodb, self.runs_table, None, None)
        intake = Intake(
            ledger=ledger,
            starter=StepFunctionsStarter(self.stepfunctions, self.machine, self.version),
            store=S3PlanStore(self.s3, self.bucket),
            recorder=PowertoolsRecorder(),
            mode=lambda: PublishMode.parse("shadow"),
        )
        lanes = Lanes(runs, source, self.store, ledger, Deadlines())
        return AwsCandidate(intake=intake, ledger=ledger, lanes=lanes, store=self.store)

    def replayer(self, archive: Archive, policy: Policy, pace: Pace) -> Replayer:
        """Put the replayer together, to judge by `policy`."""
        candidate = self._candidate_by(policy)
        return Replayer(archive, candidate, LedgerJudging(candidate.ledger, self.store, judge_by(policy)), pace)

    def _candidate_by(self, policy: Policy) -> AwsCandidate:
        return replace(self.candidate, own=tuple(policy.own))

    def run_alone(self, unpaired: UnpairedPlan, policy: Policy, now: datetime) -> tuple[RebalancePlan, Archived] | None:
        """Read what the workflow, in production alone, did with a plan; None while it runs, and where the plan was not kept.

        It is read as the version's run is, with the fields of a user's own that `policy` compares. Raises `EvidenceUnavailable`,
        `InvalidPlan`.
        """
        document = unpaired.plan_json
        if document is None and unpaired.plan_key is not None:
            document = S3PlanStore(self.s3, self.bucket).get(unpaired.plan_key).decode()
        if document is None:
            return None
        plan = RebalancePlan.read_json(document)
        pair = Pair(
            plan_id=plan.plan_id,
            run_id=run_id_of(plan.plan_id),
            correlation_id=plan.correlation_id,
            trading_day=unpaired.trading_day,
            production_lane=Lane.WORKFLOW,
            published_at=unpaired.published_at,
            trade_count=len(plan.tradable_items),
        )
        found = self._candidate_by(policy).outcome(pair, plan, now)
        if found is None:
            return None
        outcome, ref = found
        return plan, Archived(outcome.model_copy(update={"role": Role.CONTROL}), (ref,), read_held(unpaired.held_json))
