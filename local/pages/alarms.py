"""Business Unit: local cloud | Status: current.

Write `docs/alarms.md`: each alarm of the template, the fault that was seen to set it off, the metric, how missing data is treated
and why, and the runbook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.cloud.cfn_yaml import read_template
from local.scenarios.alarm_proof import AlarmFault, alarm_faults

PATH = Path("docs/alarms.md")
_ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"alchemiser-\$\{Stage\}-shadow-(?P<short>[\w-]+)")
_RUNBOOK = re.compile(r"\$\{RunbookBaseUrl\}/(?P<page>[\w-]+\.md)")
_MEMBER = re.compile(r"\$\{(\w+)\}")

_INTRODUCTION = """\
# Alarms

Every alarm of the template is proven by `tests/end_to_end/test_alarms.py`: the fault is planted in the local cloud, the metrics
that the deployed code emitted are taken from its own log lines (namespace, name, dimensions and all), the services' metrics from
the real queues, executions and functions, and exactly the alarms named here go off, `do-not-cut-over` with those it contains.
Then the fault is mended, and all of them are OK again. An alarm without a fault fails the test. This page is made by
`python -m local.pages` from the template and `local/scenarios/alarms.toml`.

The alarms' own properties, as deployed, decide by CloudWatch's rules (`local/cloud/emulator_side/alarm_rules.py`). Each look at
the stack stands for one of the alarm's periods, so that an alarm that counts in hours is not waited for. A fault marked * cannot
be brought about in the local cloud: its metric is reported as the service would report it. What stands wrong in the pair ledger
(an old, an unreadable, a costly, a missing pair) and what lies in a dead-letter queue is put there directly; all else is caused.
"""


def render() -> str:
    """Write the page from the template and the faults."""
    resources, faults = _resources(), alarm_faults()
    lines = [
        _INTRODUCTION,
        "| alarm | goes off when | fault | missing data | runbook | cut-over |",
        "|---|---|---|---|---|---|",
    ]
    composite = _properties(resources["DoNotCutOverAlarm"])
    members = set(_MEMBER.findall(_text(composite["AlarmRule"])))
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            lines.append(_row(resource, faults, stops=logical_id in members))
    runbook = _runbook(composite)
    lines.append(f"| {_short(composite)} | any alarm that stops cut-over | each of theirs | | {runbook} | |")
    return "\n".join([*lines, "", *_together(faults)]) + "\n"


def alarm_names() -> tuple[str, ...]:
    """Give the short name of every alarm on a metric in the template."""
    return tuple(_short(_properties(each)) for each in _resources().values() if each["Type"] == "AWS::CloudWatch::Alarm")


def _resources() -> dict[str, Mapping[str, object]]:
    found = read_template(_ROOT / "template.yaml")["Resources"]
    return dict(found) if isinstance(found, Mapping) else {}


def _row(resource: Mapping[str, object], faults: Mapping[str, AlarmFault], *, stops: bool) -> str:
    alarm, metadata = _properties(resource), resource["Metadata"]
    name = _short(alarm)
    struck = [f"{fault.words}{' *' if fault.planted else ''}" for fault in faults.values() if name in fault.alarms]
    reason = metadata["MissingData"] if isinstance(metadata, Mapping) else ""
    cells = (
        name,
        _rule(alarm),
        "; ".join(struck),
        f"{alarm['TreatMissingData']}: {reason}",
        _runbook(alarm),
        "stops" if stops else "",
    )
    return f"| {' | '.join(cells)} |"


def _rule(alarm: Mapping[str, object]) -> str:
    sign = {"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥"}[str(alarm["ComparisonOperator"])]
    periods = int(str(alarm["EvaluationPeriods"]))
    lasting = f", {alarm.get('DatapointsToAlarm', periods)} of {periods} periods" if periods > 1 else ""
    metric = f"`{alarm['Namespace']}` `{alarm['MetricName']}`"
    return f"{metric} {str(alarm['Statistic']).lower()} in {alarm['Period']} s {sign} {_text(alarm['Threshold'])}{lasting}"


def _together(faults: Mapping[str, AlarmFault]) -> Iterable[str]:
    yield "## Faults that set off more than one alarm\n"
    yield "| fault | alarms | because |"
    yield "|---|---|---|"
    for fault in faults.values():
        if len(fault.alarms) > 1:
            yield f"| {fault.words} | {', '.join(fault.alarms)} | {fault.together} |"


def _properties(resource: Mapping[str, object]) -> Mapping[str, object]:
    properties = resource["Properties"]
    return properties if isinstance(properties, Mapping) else {}


def _short(alarm: Mapping[str, object]) -> str:
    found = _NAME.search(_text(alarm["AlarmName"]))
    return found["short"] if found else ""


def _runbook(alarm: Mapping[str, object]) -> str:
    found = _RUNBOOK.search(_text(alarm["AlarmDescription"]))
    return f"[{found['page']}](runbooks/{found['page']})" if found else ""


def _text(value: object) -> str:
    """Read a text, or the one inside an intrinsic function."""
    return str(next(iter(value.values()))) if isinstance(value, Mapping) else str(value)
