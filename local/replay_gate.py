"""Business Unit: local cloud | Status: current.

The replay gate's engine: a version's own template, workflow and functions in a local cloud, and a market that answers what was
recorded and nothing else. No account is needed, and none is reached.
"""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, unquote

from local.broker_simulator.values import LoggedRequest, SetTape, Shown
from local.cloud.progress import Progress
from local.stack import STAGE, LocalStack, local_stack
from shadow.cli.output import BadInput
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison
from shadow.replay.aws import ReplayStack
from shadow.replay.gate import Played, Recording, Unanswered
from shadow.replay.ports import Kept
from shadow.replay.replayer import Pace

CLOUD_FOLDER = Path("build/gate-cloud")
VERSIONS_FOLDER = Path("build/versions")
_GIT_SECONDS = 60
_PACE = Pace(rate=100_000, window=1, poll_seconds=0.05, patience_seconds=600)
_QUOTES, _ASSETS, _CLOCK = "/v2/stocks/quotes/latest", "/v2/assets/", "/v2/clock"


@contextmanager
def open_engine(version: str, policy: Policy, progress: Progress) -> Iterator[CloudEngine]:
    """Have a version deployed in a local cloud of its own for the length of a block."""
    with local_stack(CLOUD_FOLDER, version=version_at(version), progress=progress) as stack:
        yield CloudEngine(stack, policy)


def version_at(name: str) -> Path:
    """Find a version: a folder with its checkout, or a revision of the git repository that this is run in. Raises `BadInput`."""
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "template.yaml").is_file():
            raise BadInput(f"--candidate {name}: expected a checkout with template.yaml in it, was a folder without one")
        return folder.absolute()
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    if not commit:
        raise BadInput(f"--candidate {name}: expected a folder with a checkout, or a git revision, was neither")
    found = (VERSIONS_FOLDER / commit).absolute()
    if not found.is_dir():
        partial = found.with_suffix(".partial")
        with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", commit))) as archive:
            archive.extractall(partial, filter="data")
        partial.rename(found)
    return found


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, timeout=_GIT_SECONDS, check=False)  # noqa: S603, S607 - git as the user has it
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""


class CloudEngine:
    """Runs recorded plans through the version that is deployed in a local stack."""

    def __init__(self, stack: LocalStack, policy: Policy) -> None:
        """Judge by `policy`."""
        self._replays = replays_in(stack)
        self._broker = stack.broker
        self._policy = policy
        self._plays = 0

    def play(self, recordings: Sequence[Recording]) -> Iterator[Played]:
        """Run each plan on its own, the broker showing what was recorded of it; playing it again is another run."""
        archive = Kept({recording.plan.plan_id: recording.archived() for recording in recordings})
        store, broker = self._replays.store, self._broker
        self._plays += 1
        replayer = self._replays.replayer(archive, self._policy, _PACE)
        for recording in recordings:
            broker.apply(tape_of(recording))
            before = len(broker.requests())
            replayed = next(iter(replayer.replay([recording.plan], f"gate-{self._plays}")))
            body = store.read_bytes(replayed.comparison) if replayed.comparison else None
            comparison = Comparison.parse_json(body) if body else None
            asked = broker.requests()[before:]
            yield Played(recording, replayed, comparison, tuple(dict.fromkeys(unanswered(asked, recording))))


def tape_of(recording: Recording) -> SetTape:
    """Give what the broker is to show for one plan."""
    return SetTape(
        day=recording.trading_day,
        quotes={symbol: Shown(bid=quote.bid, ask=quote.ask) for symbol, quote in recording.quotes.items()},
        at=recording.at,
        is_open=recording.is_open,
        whole_shares=recording.whole_shares,
    )


def unanswered(requests: Sequence[LoggedRequest], recording: Recording) -> Iterator[Unanswered]:
    """Say which requests to the broker the recording holds no answer to, whatever the broker said."""
    for request in requests:
        symbols = _symbols_of(request)
        if symbols is None:
            yield Unanswered(request.symbol, f"the version asked the broker for {request.method} {request.path}: not recorded")
            continue
        for symbol in symbols:
            if not recording.knows(symbol):
                yield Unanswered(symbol, "the version asked for a symbol of which nothing is recorded")


def _symbols_of(request: LoggedRequest) -> list[str] | None:
    """Give the symbols that a request asks about; None for a request of a kind that is not recorded."""
    if request.method != "GET":
        return None
    if request.path == _CLOCK:
        return []
    if request.path == _QUOTES:
        return [symbol for text in parse_qs(request.query).get("symbols", []) for symbol in text.split(",")]
    if request.path.startswith(_ASSETS):
        return [unquote(request.path.removeprefix(_ASSETS))]
    return None


def replays_in(stack: LocalStack) -> ReplayStack:
    """Name what replays use in a local stack."""
    return ReplayStack(
        dynamodb=stack.tables(),
        stepfunctions=stack.access.stepfunctions(),
        s3=stack.access.s3(),
        machine=stack.output("StateMachineArn"),
        bucket=stack.output("EvidenceBucketName"),
        pair_table=stack.output("PairLedgerTableName"),
        state_table=stack.output("CandidateStateTableName"),
        runs_table=f"alchemiser-{STAGE}-execution-runs",
    )
