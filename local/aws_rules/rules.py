"""Business Unit: local cloud | Status: current.

The one list of rules in which our checks are stricter than the emulators, each with where AWS says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.aws_rules import machine

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
    return lambda checkout: check(machine.read_machine(checkout))


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
        "second-validator",
        "The definition is valid by the Amazon States Language.",
        "https://states-language.net/spec.html",
        "moto, the emulator",
        _of_machine(machine.statelint),
    ),
)


def breaches(checkout: Path) -> list[str]:
    """Check every rule on the project at `checkout`, and list what breaks one: the rule's name, and what breaks it."""
    return [f"{rule.name}: {what}" for rule in RULES for what in rule.check(checkout)]
