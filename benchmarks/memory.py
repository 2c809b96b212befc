"""Business Unit: benchmarks | Status: current.

B8. What the comparator needs at its peak for a pair of 5,000 trades, above an interpreter that has imported boto3. The process
that is measured finds the evidence on disk and does nothing but judge it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.environment import probe
from benchmarks.evidence_documents import Documents, documents_of
from benchmarks.rows import Line, Measurement
from benchmarks.timing import memory_mb
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.pair import Pair
from shadow.lanes.redaction import Redactor
from shadow.settlement.documents import EvidenceStore

TRADES, QUICK_TRADES = 5_000, 500
LIMIT_MB = 128.0
_PARTS = ("control", "effects", "candidate")


class FolderObjects:
    """Evidence below a folder, as the bucket keeps it."""

    def __init__(self, root: Path) -> None:
        """Keep objects below `root`."""
        self._root = root

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """Store `body`, a key that is new."""
        del content_type
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return True

    def get(self, key: str) -> bytes | None:
        """Read an object."""
        return (self._root / key).read_bytes()


def measure_all(*, quick: bool) -> Measurement:
    """Write the evidence, and judge it in a process of its own."""
    trades = QUICK_TRADES if quick else TRADES
    with tempfile.TemporaryDirectory(prefix="shadow-bench-") as name:
        folder = Path(name)
        made = documents_of(trades)
        for key, body in made.objects.bodies.items():
            FolderObjects(folder).put_if_absent(key, body, "application/gzip")
        (folder / "plan.json").write_bytes(made.plan)
        (folder / "pair.json").write_text(made.pair.model_dump_json(), encoding="utf-8")
        refs = {part: getattr(made, part).to_wire() for part in _PARTS}
        (folder / "refs.json").write_text(json.dumps(refs), encoding="utf-8")
        found = probe(Path(sys.executable), "memory", {"folder": name})
    if not isinstance(found, Mapping):
        raise TypeError(f"memory: expected an object, was {type(found).__name__}")
    size = sum(map(len, made.lines())) / 1e6
    above = float(found["peak"]) - float(found["base"])
    line = Line(
        name=f"{trades:,} trades",
        unit="MB",
        ours=float(found["peak"]),
        floor=float(found["base"]),
        figure=above,
        figure_unit="MB above",
        limit=LIMIT_MB,
        against="the interpreter with boto3",
    )
    return Measurement((line,), notes=(f"{size:.1f} MB of evidence, a comparison of {float(found['document']):.1f} MB",))


def measure(*, folder: str) -> dict[str, float]:
    """Judge the evidence below `folder`; MB of memory before and at the peak, and of the document."""
    import boto3  # noqa: PLC0415, F401 - what the comparator is held against

    base = memory_mb()
    from benchmarks.judging import verdict_of  # noqa: PLC0415 - counts as the comparator's

    place = Path(folder)
    refs = json.loads((place / "refs.json").read_bytes())
    documents = Documents(
        pair=Pair.parse_json((place / "pair.json").read_bytes()),
        plan=(place / "plan.json").read_bytes(),
        store=EvidenceStore(FolderObjects(place), Redactor()),
        control=EvidenceRef.parse(refs["control"]),
        effects=EvidenceRef.parse(refs["effects"]),
        candidate=EvidenceRef.parse(refs["candidate"]),
    )
    body = verdict_of(documents).body
    return {"base": base, "peak": memory_mb(), "document": len(body) / 1e6}
