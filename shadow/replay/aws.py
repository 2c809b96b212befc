"""Business Unit: replay | Status: current.

The replay's ports on AWS. Pairs are created and executions started by the publisher's own adapters, outcomes are read and
verdicts kept by the comparator's: a replay differs from a live pair in its origin, and in where its control comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import PairMoved, UnknownPair
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.ledger import PairLedger, Transition, moved
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair, PairState, StartState, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin
from shadow.lanes.lane import Presence
from shadow.publish import payload
from shadow.publish.errors import StartRefused
from shadow.publish.ports import CandidateStarter, PairLedgerWriter, PlanStore
from shadow.replay.identity import archived_under
from shadow.replay.ports import ReplayRun
from shadow.settlement.documents import candidate_outcome
from shadow.settlement.evidence_store import EvidenceStore
from shadow.settlement.looks import Lanes
from shadow.settlement.ports import Case, Judge

ACTOR = "replay"
_ATTEMPTS = 5
_NEXT = {PairState.PENDING: PairState.JUDGED, PairState.LATE: PairState.JUDGED, PairState.MISSING: PairState.RESOLVED_LATE}


@dataclass(frozen=True, slots=True)
class AwsCandidate:
    """Starts replays and reads what came of them."""

    writer: PairLedgerWriter
    starter: CandidateStarter
    plans: PlanStore
    ledger: PairLedger
    lanes: Lanes
    store: EvidenceStore

    def start(self, plan: RebalancePlan, held: Mapping[str, Decimal], now: datetime) -> Pair:
        """Record the replay's pair and start its execution; a pair that exists already is given as it is."""
        new = self._pair(plan, held, now)
        pair = self.writer.create(new) or new
        if pair.start_state is StartState.INTENDED:
            self._start(pair, plan)
        found = self.ledger.get(plan.plan_id)
        if found is None:
            raise UnknownPair(f"plan {plan.plan_id}: expected the pair just recorded, was none")
        return found

    def _start(self, pair: Pair, plan: RebalancePlan) -> None:
        held = payload.read_held(pair.held_json)
        document = payload.candidate_input(plan, pair.run_id, held, payload.Why(Origin.REPLAY)).sendable(self.plans)
        accepted = frozenset({payload.digest(document.encode())})
        try:
            started = self.starter.start(execution_name_of(pair.run_id), document, accepted)
        except StartRefused as refusal:
            self.writer.mark_refused(pair, str(refusal), pair.published_at)
            return
        self.writer.mark_started(pair, started, pair.published_at)

    def _pair(self, plan: RebalancePlan, held: Mapping[str, Decimal], now: datetime) -> Pair:
        run_id = run_id_of(plan.plan_id)
        document = payload.plan_document(plan)
        body = document.encode()
        small = len(body) <= payload.MAX_RECORD_BYTES
        return Pair(
            plan_id=plan.plan_id,
            run_id=run_id,
            correlation_id=plan.correlation_id,
            trading_day=trading_day_of(plan.timestamp),
            origin=Origin.REPLAY,
            published_at=now,
            plan_json=document if small else None,
            plan_key=None if small else self.plans.put(payload.stored_key(run_id, "plan", body), body).key,
            held_json=payload.held_document(held),
            trade_count=len(plan.tradable_items),
        )

    def outcome(self, pair: Pair, plan: RebalancePlan, now: datetime) -> tuple[RunOutcome, EvidenceRef] | None:
        """Read what the candidate did, its evidence copied; None while it is running."""
        look = self.lanes.candidate(pair, self.ledger.evidence_of(pair.plan_id), now)
        if look.presence is not Presence.SETTLED or look.ref is None:
            return None
        return candidate_outcome(pair, self.store.read(look.ref), plan), look.ref


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
        judgement = self.by_policy(Case(pair, run.plan, control, candidate, (*run.archived.evidence, ref)))
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
            }
            try:
                self.ledger.move(Transition(standing, moved(standing, **changes), ACTOR, now))
            except PairMoved:
                continue
            return verdict, key
        raise PairMoved(f"pair {pair.plan_id}: expected to close it within {_ATTEMPTS} attempts")
