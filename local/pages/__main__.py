"""Business Unit: local cloud | Status: current.

`python -m local.pages` writes the generated pages anew; `--check` says which are stale and ends with 1 if any is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from local.pages import alarms, artefact_sizes, corpus_recall, fault_matrix, iam_proof, licences, policy_reference
from reports.data import columns

PAGES: dict[Path, Callable[[], str]] = {
    fault_matrix.PATH: fault_matrix.render,
    Path("docs/policy-reference.md"): policy_reference.policy_page,
    Path("docs/difference-kinds.md"): policy_reference.kinds_page,
    columns.PAGE: columns.render_page,
    corpus_recall.PATH: corpus_recall.render,
    alarms.PATH: alarms.render,
    iam_proof.PATH: iam_proof.render,
    artefact_sizes.PATH: artefact_sizes.render,
    licences.PATH: licences.render,
}


def stale_pages(root: Path) -> list[Path]:
    """Give the pages below `root` that are not what their generator writes now."""
    return [path for path, render in PAGES.items() if not (root / path).exists() or (root / path).read_text("utf-8") != render()]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; give the exit code."""
    root = Path(__file__).parents[2]
    if "--check" in arguments:
        stale = stale_pages(root)
        for path in stale:
            sys.stderr.write(f"{path}: stale; write it anew with `make pages`\n")
        return 1 if stale else 0
    for path, render in PAGES.items():
        (root / path).write_text(render(), "utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
