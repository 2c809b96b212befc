"""Business Unit: intake | Status: current.

The one place where the intake is put together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from shadow.aws import clients
from shadow.aws.clients import Environment
from shadow.aws.observability import PowertoolsRecorder
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.contracts.errors import UnknownPair
from shadow.contracts.vocabulary import Metric, Recorder
from shadow.intake.aws import ParameterMode, PublishMode, S3PlanStore, StepFunctionsStarter, TextParameter
from shadow.intake.intake import Intake
from shadow.lanes.lane import lane_file_at

EARLY_PAUSES = (0.5, 1.5, 3.0, 5.0)
"""How long to wait for a plan that its note overtook, in seconds: a cold start beside this one, well within the function's 60."""


class IntakeEnvironment(Environment):
    """What the intake needs.

    `shadow_mode_parameter` is the SSM parameter that holds off, shadow or shadow:PERCENT, `workflow_alias` names the version
    to start (empty: what was deployed last), `lane_file_path` the file that describes the candidate where it is not our workflow.
    """

    pair_ledger_table_name: str
    state_machine_arn: str
    workflow_alias: str = ""
    evidence_bucket_name: str
    shadow_mode_parameter: str = ""
    lane_file_path: str = ""


def intake_from(environment: IntakeEnvironment) -> Intake:
    """Put the intake together. What completes starts or replays needs no mode parameter: it samples nothing."""
    parameter = environment.shadow_mode_parameter
    mode = ParameterMode(TextParameter(clients.ssm(), parameter)).mode if parameter else lambda: PublishMode.parse("shadow")
    return Intake(
        ledger=DynamoDbPairLedger(clients.dynamodb(), environment.pair_ledger_table_name),
        starter=StepFunctionsStarter(clients.stepfunctions(), environment.state_machine_arn, environment.workflow_alias),
        store=S3PlanStore(clients.s3(), environment.evidence_bucket_name),
        recorder=PowertoolsRecorder(),
        mode=mode,
        lane_file=lane_file_at(environment.lane_file_path),
    )


def take_batch(
    take: Callable[[str], None],
    recorder: Recorder,
    messages: Iterable[tuple[str, str]],
    pause: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Take messages, given as id and body; give the ids of those that failed, counted and logged, so that they come again.

    What is known of a call often overtakes its plan: both are sent at once, and the queue keeps no order. Such a message is taken
    again after the others and a few waits of `EARLY_PAUSES` seconds; brought again by the queue it would be minutes late.
    """
    failed, left = [], list(messages)
    for seconds in (*EARLY_PAUSES, None):
        early = []
        for message_id, body in left:
            try:
                take(body)
            except Exception as error:  # noqa: BLE001 - whatever one message brings must not cost the others
                if isinstance(error, UnknownPair) and seconds is not None:
                    early.append((message_id, body))
                    continue
                failed.append(message_id)
                recorder.emit({Metric.INTAKE_FAILURES: 1.0})
                fields = {"message_id": message_id, "error": type(error).__name__, "reason": str(error)[:500]}
                recorder.log("a message of the intake queue could not be taken", fields, problem=True)
        if not early or seconds is None:
            break
        left = early
        pause(seconds)
    return failed
