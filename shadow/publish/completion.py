"""Business Unit: publish | Status: current.

Complete the start of the lane that shadows, where its fate is unknown (the pair is INTENDED): the publisher's environment was
frozen, a call timed out, a service throttled. The candidate's input is built again from what the pair keeps, to the byte, and
started under the same name; to the legacy lane the plan is published again, which completes what is missing. Either way,
completing what had succeeded creates nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from shadow.contracts.errors import ConfigurationError, ContractViolation, FieldFault
from shadow.contracts.identity import execution_name_of
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane
from shadow.publish import payload
from shadow.publish.errors import StartRefused
from shadow.publish.ports import CandidateStarter, PairLedgerWriter, PlanArchive, Started

LegacyPublish = Callable[[RebalancePlan], object]
"""Publishes a plan to the legacy lane; publishing it again completes what is missing and resets nothing."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StartCompleter:
    """Completes starts. How old a pair may be for its shadow still to be worth starting is the caller's to decide."""

    def __init__(
        self,
        *,
        ledger: PairLedgerWriter,
        starter: CandidateStarter,
        store: PlanArchive,
        legacy: LegacyPublish | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Work with these ports; `legacy` starts the legacy lane where that is the shadow."""
        self._ledger = ledger
        self._starter = starter
        self._store = store
        self._legacy = legacy
        self._now = now

    def complete(self, pair: Pair) -> StartState:
        """Start the shadow of `pair` unless its start is decided; give what is known of the start now.

        Raises what the ports raise: then the fate is still unknown, and completing can be tried again. A pair that keeps no
        plan is REFUSED.
        """
        if pair.start_state is not StartState.INTENDED:
            return pair.start_state
        try:
            plan = self._plan(pair)
            why = payload.Why(pair.origin, pair.production_lane)
            held = payload.read_held(pair.held_json)
            document = payload.candidate_input(plan, pair.run_id, held, why).sendable(self._store)
            started = self._started(pair, plan, document)
        except (StartRefused, ContractViolation) as refusal:
            self._ledger.mark_refused(pair, str(refusal), self._now())
            return StartState.REFUSED
        self._ledger.mark_started(pair, started, self._now())
        return StartState.STARTED

    def _started(self, pair: Pair, plan: RebalancePlan, document: str) -> Started:
        digest = payload.digest(document.encode())
        if pair.production_lane is Lane.LEGACY:
            accepted = frozenset(filter(None, (digest, pair.input_sha256)))
            return self._starter.start(execution_name_of(pair.run_id), document, accepted)
        if self._legacy is None:
            raise ConfigurationError(f"pair {pair.plan_id}: expected a way to publish to the legacy lane, was none")
        self._legacy(plan)
        return Started("", digest)

    def _plan(self, pair: Pair) -> RebalancePlan:
        if pair.plan_json is not None:
            return RebalancePlan.read_json(pair.plan_json)
        if pair.plan_key is not None:
            return RebalancePlan.read_json(self._store.get(pair.plan_key))
        raise ContractViolation("pair", [FieldFault("plan_json", "the plan, or a plan_key", "nothing")])
