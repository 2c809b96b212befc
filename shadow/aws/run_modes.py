"""Business Unit: AWS adapters | Status: current.

The mode that a run was opened in. A function's mode can change while a run is on its way (a cut-over, a roll back), and a run can
be redriven days after; whoever orders for it asks here first, so that no run is executed half for real and half not.
"""

from __future__ import annotations

from shadow.aws.state_table import StateTable
from shadow.contracts.candidate_state import RUN_SK, RunRecord, candidate_pk
from shadow.contracts.vocabulary import ExecutionMode
from shadow.execution.errors import InterlockViolation, RunNotPrepared


class RunModes(StateTable):
    """Knows the runs of the state table by their mode."""

    def refuse_other(self, run_id: str, mode: ExecutionMode) -> None:
        """Raise InterlockViolation for a run that was opened in another mode than `mode`; RunNotPrepared where there is none."""
        found = self._get(candidate_pk(run_id), RUN_SK)
        if found is None:
            raise RunNotPrepared(f"run {run_id}: expected a record with the mode it was opened in, was none")
        opened = RunRecord.parse(found).execution_mode
        if opened is not mode:
            raise InterlockViolation(f"run {run_id}: expected mode {opened}, in which it was opened, was {mode}")
