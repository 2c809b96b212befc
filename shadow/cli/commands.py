"""Business Unit: command line | Status: current.

The commands of this room, in the order that help shows them.
"""

from __future__ import annotations

import typer

from shadow.cli.comparing import compare
from shadow.cli.doctoring import doctor
from shadow.cli.explaining import explain
from shadow.cli.lane import app as lane
from shadow.cli.orders import orders
from shadow.cli.publishing import publish
from shadow.cli.redriving import redrive
from shadow.cli.replaying import replay
from shadow.cli.status import status


def register(app: typer.Typer) -> None:
    """Add this room's commands to `app`."""
    for command in (publish, status, compare, explain, replay, redrive, orders, doctor):
        app.command()(command)
    app.add_typer(lane, name="lane")
