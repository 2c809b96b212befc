"""Business Unit: publish | Status: current.

Complete a candidate's start whose fate is unknown (the pair is INTENDED): the publisher's environment was frozen, a call timed
out, a service throttled. The input is built again from what the pair keeps, to the byte, and started under the same name, so
completing what had succeeded creates nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from shadow.contracts.errors import ContractViolation, FieldFault
from shadow.contracts.identity import execution_name_of
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.publish import payload
from shadow.publish.errors import StartRefused
from shadow.publish.ports import CandidateStarter, PairLedgerWriter, PlanArchive


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StartCompleter:
    """Completes starts. How old a pair may be for its candidate still to be worth starting is the caller's to decide."""

    def __init__(
        self,
        *,
        ledger: PairLedgerWriter,
        starter: CandidateStarter,
        store: PlanArchive,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Work with these ports."""
        self._ledger = ledger
        self._starter = starter
        self._store = store
        self._now = now

    def complete(self, pair: Pair) -> StartState:
        """Start the candidate of `pair` unless its start is decided; give what is known of the start now.

        Raises what the ports raise: then the fate is still unknown, and completing can be tried again. A pair that keeps no
        plan is REFUSED.
        """
        if pair.start_state is not StartState.INTENDED:
            return pair.start_state
        try:
            plan = self._plan(pair)
            held = payload.read_held(pair.held_json)
            document = payload.candidate_input(plan, pair.run_id, held, pair.origin).sendable(self._store)
            accepted = frozenset(filter(None, (payload.digest(document.encode()), pair.input_sha256)))
            started = self._starter.start(execution_name_of(pair.run_id), document, accepted)
        except (StartRefused, ContractViolation) as refusal:
            self._ledger.mark_refused(pair, str(refusal), self._now())
            return StartState.REFUSED
        self._ledger.mark_started(pair, started, self._now())
        return StartState.STARTED

    def _plan(self, pair: Pair) -> RebalancePlan:
        if pair.plan_json is not None:
            return RebalancePlan.read_json(pair.plan_json)
        if pair.plan_key is not None:
            return RebalancePlan.read_json(self._store.get(pair.plan_key))
        raise ContractViolation("pair", [FieldFault("plan_json", "the plan, or a plan_key", "nothing")])
