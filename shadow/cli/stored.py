"""Business Unit: command line | Status: current.

Where a stored comparison is found: in the deployed stack by the pair ledger, or offline in a folder like the evidence bucket
or a file with one document a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from shadow.aws import clients
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.cli.errors import BadInput
from shadow.cli.target import Target
from shadow.contracts.pair import Pair
from shadow.settlement import stored
from shadow.settlement.stored import LINES_FILE, FolderSource, Found, JsonlSource, S3Source, read_comparison

_SUGGESTIONS = 3
_MAX_SUGGESTED_FROM = 300


@dataclass(frozen=True, slots=True)
class StackStore:
    """The deployed stack: the ledger says which object, the bucket has it."""

    target: Target

    @property
    def ledger(self) -> DynamoDbPairLedger:
        """Give the pair ledger."""
        return DynamoDbPairLedger(clients.dynamodb(), self.target.name("PairLedgerTableName"))

    def newest_local_day(self) -> date | None:
        """Give the newest trading day of a local cloud, whose plans are of past days; None on AWS, where today is what counts."""
        return None if self.target.endpoint is None else self.ledger.latest_day()

    def pair(self, plan_id: str) -> Pair:
        """Read the pair of a plan; raises `BadInput` where the plan was never published."""
        pair = self.ledger.get(plan_id)
        if pair is None:
            raise BadInput(
                f"No published plan {plan_id}. `shadow status` lists what is there; "
                "a plan that was published just now is there within seconds"
            )
        return pair

    def of_pair(self, pair: Pair) -> Found | None:
        """Find the comparison of a pair; None where it has none yet. Raises `UnreachableSource`, `UnreadableDocument`."""
        return S3Source(self.target.name("EvidenceBucketName")).of_pair(pair)


def offline_store(folder: Path | None, file: Path | None) -> FolderSource | JsonlSource | None:
    """Give the offline store that was asked for; None where the stack is to be asked. Raises `BadInput`."""
    if folder is not None and file is not None:
        raise BadInput("--folder and --file cannot both be given")
    if file is not None:
        if not file.is_file():
            raise BadInput(f"--file {file}: no such file")
        return JsonlSource(file)
    if folder is None:
        return None
    if not (folder / "comparisons").is_dir() and not (folder / LINES_FILE).is_file():
        raise BadInput(f"--folder {folder}: there is neither comparisons/ nor {LINES_FILE} in it")
    return FolderSource(folder)


def find(store: StackStore | FolderSource | JsonlSource, plan_id: str) -> Found | None:
    """Find the comparison of a plan; None where it has none yet.

    Raises `BadInput` where the plan was never published, `UnreachableSource`, `UnreadableDocument`.
    """
    if isinstance(store, StackStore):
        return store.of_pair(store.pair(plan_id))
    return stored.find(store, plan_id)


def demand(store: StackStore | FolderSource | JsonlSource, plan_id: str) -> Found:
    """Find the comparison of a plan; raises `BadInput` with the closest plans there are."""
    found = find(store, plan_id)
    if found is not None:
        return found
    names = [] if isinstance(store, StackStore) else _plans_of(store)
    close = get_close_matches(plan_id, names, n=_SUGGESTIONS, cutoff=0.3)
    hint = f"; there are {', '.join(close)}" if close else ""
    raise BadInput(f"No stored comparison of plan {plan_id}{hint}")


def _plans_of(store: FolderSource | JsonlSource) -> list[str]:
    """Give the plans of the store's first documents, to suggest from."""
    documents = islice(store.documents(date.min, date.max), _MAX_SUGGESTED_FROM)
    return list(dict.fromkeys(read_comparison(content, name).plan_id for name, content in documents))
