"""Business Unit: intake | Status: current.

Take what publishers sent to the intake queue.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ConfigDict

from shadow.aws.observability import PowertoolsRecorder
from shadow.contracts.model import Frozen, Wire
from shadow.intake.composition import IntakeEnvironment, intake_from, take_batch
from shadow.intake.intake import Intake


class _Record(Wire):
    message_id: str
    body: str


class _Batch(Frozen):
    model_config = ConfigDict(extra="ignore")

    Records: tuple[_Record, ...]


@cache
def _intake() -> Intake:
    return intake_from(IntakeEnvironment.load())


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Take a batch; the messages that failed are answered, so that they alone come again."""
    del context
    batch = _Batch.parse(event)
    failed = take_batch(_intake().take, PowertoolsRecorder(), ((record.message_id, record.body) for record in batch.Records))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
