"""Business Unit: command line | Status: current.

How every command speaks: text for people (colours only on a terminal), one JSON document with `--json` for programs, progress
on standard error, and stable exit codes.

What a command may raise on purpose; the root turns it into a sentence and an exit code.

ShadowError
├── BadInput             exit 2: what was asked for does not exist or makes no sense
├── MissingOutput        exit 3: the deployed stack does not say where something is
└── FunctionFailed       exit 3: a function of the stack raised
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.markup import escape as literal
from rich.style import Style
from rich.text import Text

from shadow.contracts.errors import ContractViolation, ShadowError
from shadow.contracts.visible import one_line, visible


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


PAGE_WIDTH = 116
"""Characters a line where nobody says how wide the terminal is."""


class _PlainConsole(Console):
    """A console that shows what is not visible, in lines, tables and everything else that is given to it as a string."""

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        emoji: bool | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        highlighter: HighlighterType | None = None,
    ) -> Text:
        """Make a text that can be printed of `text`."""
        return super().render_str(
            visible(text),
            style=style,
            justify=justify,
            overflow=overflow,
            emoji=emoji,
            markup=markup,
            highlight=highlight,
            highlighter=highlighter,
        )


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PAGE_WIDTH
    return _PlainConsole(stderr=stderr, highlight=False, width=width, emoji=False)


OUT = _console(stderr=False)
ERR = _console(stderr=True)


class ExitCode(IntEnum):
    """What a program can rely on: one code a kind of failure.

    DIVERGED: a difference, or a target that was missed; somebody has to decide. BAD_INPUT: what was asked for, or the
    configuration, is wrong. UNAVAILABLE: a stack, a service or a part of the installation is not there. INCOMPLETE: nothing
    differs so far, and not everything has been compared.
    """

    FINE = 0
    DIVERGED = 1
    BAD_INPUT = 2
    UNAVAILABLE = 3
    INCOMPLETE = 4
    INTERRUPTED = 130


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    typer.echo(visible(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)))


def escape(text: str) -> str:
    """Write foreign text as markup that shows it on one line, as it is."""
    return literal(one_line(text))


def say(text: str = "") -> None:
    """Print one line of markup; who builds it escapes foreign text."""
    OUT.print(text, soft_wrap=True)


def finish(code: ExitCode) -> None:
    """End the command with `code` unless it is fine."""
    if code is not ExitCode.FINE:
        raise typer.Exit(int(code))


def fail(code: ExitCode, message: str, *, as_json: bool, details: Mapping[str, object] | None = None) -> NoReturn:
    """End the command with `code`, saying why on standard error (or as JSON on standard output)."""
    if as_json:
        print_json({"error": message, "exit_code": int(code), **(details or {})})
    else:
        ERR.print(f"[bold red]{literal(message)}[/bold red]", soft_wrap=True)
    raise typer.Exit(int(code))


def refuse(violation: ContractViolation, *, as_json: bool, note: str = "") -> NoReturn:
    """End the command because its input breaks a contract, naming every faulty field; `note` says what was not done."""
    faults = [{"field": f.field, "expected": f.expected, "found": f.found} for f in violation.faults]
    if not as_json:
        count = f"{len(faults)} faulty field{'' if len(faults) == 1 else 's'}"
        ERR.print(f"[bold red]{escape(violation.what)} refused: {count}.{' ' + note if note else ''}[/bold red]", soft_wrap=True)
        for fault in faults:
            where, expected, found = escape(fault["field"]), escape(fault["expected"]), escape(fault["found"])
            ERR.print(f"  [bold]{where}[/bold]: expected {expected}, was {found}", soft_wrap=True)
        raise typer.Exit(int(ExitCode.BAD_INPUT))
    details = {"faults": faults} | ({"note": note} if note else {})
    fail(ExitCode.BAD_INPUT, f"{violation.what} refused", as_json=True, details=details)


def read_whole(path: Path) -> str:
    """Read a file of text. Raises `BadInput` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: {(error.strerror or type(error).__name__).lower()}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not UTF-8 text") from None


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old text or the new, never half of it. Raises `BadInput` where it cannot be."""
    beside = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {(error.strerror or type(error).__name__).lower()}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Show that something is going on: a spinner on a terminal, a line elsewhere."""
    if quiet:
        yield
    elif ERR.is_terminal:
        with ERR.status(literal(visible(text))):
            yield
    else:
        ERR.print(literal(text) + " …", soft_wrap=True)
        yield
