"""Business Unit: command line | Status: current.

What a command may raise on purpose; the root turns it into a sentence and an exit code.

ShadowError
├── BadInput             exit 2: what was asked for does not exist or makes no sense
├── MissingOutput        exit 3: the deployed stack does not say where something is
└── FunctionFailed       exit 3: a function of the stack raised
"""

from __future__ import annotations

from shadow.contracts.errors import ShadowError


class BadInput(ShadowError):
    """What was asked for does not exist or makes no sense."""


class MissingOutput(ShadowError):
    """The deployed stack does not say where something is."""


class FunctionFailed(ShadowError):
    """A function of the stack raised. `kind` is the class name of what it raised."""

    def __init__(self, function: str, kind: str, message: str) -> None:
        """Remember what the `function` raised."""
        self.kind = kind
        super().__init__(f"{function}: {kind}: {message}")
