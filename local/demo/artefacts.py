"""Business Unit: local cloud | Status: current.

What a demonstration leaves below its folder: the summary, the comparisons, the ledger, the report as a page and as a mail, the
readiness statement, and the executed notebook.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from local.cloud.progress import Progress
from local.demo.result import DemoResult
from reports.daily.build import build_report
from reports.daily.composition import settings_of
from reports.daily.html import TEMPLATES, render_page
from reports.daily.mail import render_mail, report_csv
from reports.readiness.readiness import Statement
from reports.site import Folder, Options, write_days
from shadow.compare.policy import default_policy
from shadow.contracts.pair import Pair
from shadow.settlement.stored import FolderSource, JsonlLedger

NOTEBOOK = TEMPLATES.parent / "notebooks" / "divergence_analysis.ipynb"
_NOTEBOOK_SECONDS = 180


def leave(result: DemoResult, documents: Sequence[bytes], pairs: Sequence[Pair], out: Path, progress: Progress) -> None:
    """Write everything below `out`."""
    progress("writing the report, the mail and the notebook")
    out.mkdir(parents=True, exist_ok=True)
    for day, document in zip(result.days, documents, strict=True):
        path = out / day.comparison
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document)
    (out / "comparisons.jsonl").write_bytes(b"".join(document.strip() + b"\n" for document in documents))
    ledger = "".join(json.dumps(pair.to_wire(), sort_keys=True) + "\n" for pair in pairs)
    (out / "ledger.jsonl").write_text(ledger, encoding="utf-8")
    summary = json.dumps(result.to_wire(), indent=2, sort_keys=True)
    (out / "summary.json").write_text(summary + "\n", encoding="utf-8")
    statement = _report(result, out)
    days, written = (result.days[0].day, result.days[-1].day), JsonlLedger(out / "ledger.jsonl")
    options = Options(title="shadow demo")
    write_days(FolderSource(out), Folder(out / "site"), days, options=options, ledger=written, statement=statement)
    _notebook(out)


def _report(result: DemoResult, out: Path) -> Statement:
    """Render the last day's report, which looks back over all of them."""
    source, day = FolderSource(out), result.days[-1].day
    settings = settings_of(default_policy())
    report = build_report(source, day, ledger=JsonlLedger(out / "ledger.jsonl"), settings=settings)
    (out / "report.html").write_text(render_page(report), encoding="utf-8")
    table = report_csv(source, day, settings)
    mail = render_mail(report, sender="shadow@example.com", recipients=["desk@example.com"], page_url="report.html", table=table)
    (out / "report.eml").write_bytes(bytes(mail))
    readiness = json.dumps(report.readiness.to_wire(), indent=2, sort_keys=True)
    (out / "readiness.json").write_text(readiness + "\n", encoding="utf-8")
    return report.readiness


def _notebook(out: Path) -> None:
    """Run the analysis notebook on what the demonstration left."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    os.environ["SHADOW_DATA_DIR"] = str(out.absolute())
    NotebookClient(notebook, timeout=_NOTEBOOK_SECONDS, kernel_name="python3", resources=resources).execute()
    nbformat.write(notebook, out / NOTEBOOK.name)
