"""Business Unit: replay | Status: current.

The state of a replay, one line a plan as it ends. Resuming reads it and leaves the plans alone that are done; a line that was
cut off by a crash is ignored, and its plan replayed again, which creates nothing new.
"""

from __future__ import annotations

import json
from pathlib import Path

from shadow.contracts.comparison import Verdict
from shadow.replay.ports import Replayed, ReplayEnd, ReplayState


class StateFile:
    """The lines of one replay."""

    def __init__(self, path: Path) -> None:
        """Keep the state in `path`."""
        self.path = path

    def done(self) -> dict[str, Replayed]:
        """Give what is done, by plan. Raises `ReplayState`."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ReplayState(f"{self.path}: expected a replay's state, was {type(error).__name__}") from error
        read = (_replayed(line) for line in lines)
        return {entry.plan_id: entry for entry in read if entry is not None and entry.is_final}

    def note(self, entry: Replayed) -> None:
        """Add what became of one plan. Raises `ReplayState`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry.to_wire(), sort_keys=True) + "\n")
        except OSError as error:
            raise ReplayState(f"{self.path}: expected to write a replay's state, was {error.strerror}") from error


def _replayed(line: str) -> Replayed | None:
    try:
        values = json.loads(line)
        return Replayed(
            plan_id=str(values["plan_id"]),
            replay_id=str(values["replay_id"]),
            end=ReplayEnd(values["end"]),
            verdict=Verdict(values["verdict"]),
            comparison=values["comparison"],
            reason=values["reason"] or "",
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
