"""Business Unit: local cloud | Status: current.

The one list of rules in which our checks are stricter than the emulators, each with where AWS says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.aws_rules import budgets, limits, machine

_DOCS = "https://docs.aws.amazon.com/"
_STATES = f"{_DOCS}step-functions/latest/dg/"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what AWS wants, where it says so, what accepts a breach, and the check that does not."""

    name: str
    says: str
    source: str
    laxer: str
    check: Callable[[Path], list[str]]


def _of_machine(check: Callable[[str], list[str]]) -> Callable[[Path], list[str]]:
    return lambda checkout: [f"{name}: {what}" for name, text in machine.read_machines(checkout).items() for what in check(text)]


RULES = (
    Rule(
        "unique-state-names",
        "A state's name is unique in the whole machine, the insides of Maps and Parallels included (DUPLICATE_STATE_NAME).",
        f"{_STATES}statemachine-structure.html",
        "moto, the emulator, cfn-lint",
        _of_machine(machine.repeated_names),
    ),
    Rule(
        "state-name-length",
        "A state's name has at most 80 characters.",
        f"{_STATES}service-quotas.html",
        "moto, the emulator",
        _of_machine(machine.long_names),
    ),
    Rule(
        "states-all-alone-and-last",
        "States.ALL stands alone in its list, and last among the catchers and retriers.",
        f"{_STATES}concepts-error-handling.html",
        "the emulator",
        _of_machine(machine.unreachable_catchers),
    ),
    Rule(
        "a-throttled-call-is-waited-for",
        "A function that is called beyond its share answers Lambda.TooManyRequestsException until other calls have ended.",
        f"{_STATES}bp-lambda-serviceexception.html",
        "moto, the emulator",
        _of_machine(machine.impatient_with_throttles),
    ),
    Rule(
        "second-validator",
        "The definition is valid by the Amazon States Language.",
        "https://states-language.net/spec.html",
        "moto, the emulator",
        _of_machine(machine.statelint),
    ),
    Rule(
        "template-limits",
        "A template, what it declares, its descriptions and the definitions of state machines have sizes that AWS takes.",
        f"{_DOCS}AWSCloudFormation/latest/UserGuide/cloudformation-limits.html",
        "moto, the emulator",
        limits.template_limits,
    ),
    Rule(
        "name-lengths",
        "Names and descriptions of resources are as long as their service takes them, whatever the parameters are.",
        f"{_DOCS}AWSCloudFormation/latest/TemplateReference/introduction.html",
        "moto, cfn-lint where a name depends on a parameter",
        limits.name_limits,
    ),
    Rule(
        "environment-size",
        "The variables of a function have at most 4,096 bytes together.",
        f"{_DOCS}lambda/latest/dg/gettingstarted-limits.html",
        "moto, the emulator",
        limits.environment_limits,
    ),
    Rule(
        "policy-size",
        "A managed policy has at most 6,144 characters, a role's inline policies 10,240 together; a role attaches at most ten.",
        f"{_DOCS}IAM/latest/UserGuide/reference_iam-quotas.html",
        "moto",
        limits.policy_limits,
    ),
    Rule(
        "a-state-outwaits-its-function",
        "A function's time begins after its start, which may take ten seconds; a state that gives up earlier calls it twice.",
        f"{_DOCS}lambda/latest/dg/lambda-runtime-environment.html",
        "moto, the emulator",
        budgets.state_times,
    ),
    Rule(
        "a-queue-outwaits-its-function",
        "A queue hides a message for at least the time of the function that polls it, and better for six times that.",
        f"{_DOCS}lambda/latest/dg/services-sqs-configure.html",
        "moto, the emulator",
        budgets.queue_times,
    ),
    Rule(
        "reserved-for-what-calls",
        "What is reserved for a function is its limit too: a poll or a call beyond it is throttled, and counts as a receive.",
        f"{_DOCS}lambda/latest/dg/services-sqs-scaling.html",
        "moto, the emulator",
        budgets.reservations,
    ),
)


def breaches(checkout: Path) -> list[str]:
    """Check every rule on the project at `checkout`, and list what breaks one: the rule's name, and what breaks it."""
    return [f"{rule.name}: {what}" for rule in RULES for what in rule.check(checkout)]
