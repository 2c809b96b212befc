"""Business Unit: local cloud | Status: current.

`python -m local.scenarios.run_corpus` brings a local cloud up, runs the corpus through both lanes and records what was found. It
ends with 1 where something was missed or invented, and then records nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from local.market import ClosingPrices
from local.operator import Operator
from local.scenarios.corpus import corpus
from local.scenarios.corpus_result import RESULT_FILE, CorpusResult
from local.scenarios.corpus_run import run_corpus
from local.stack import local_stack

CLOUD_FOLDER = Path("build/corpus-cloud")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Run and record; give the exit code."""
    with local_stack(CLOUD_FOLDER, plantable=True, progress=_say) as stack:
        cases = corpus(ClosingPrices.bundled())
        result = CorpusResult.of(run_corpus(Operator(stack), cases, progress=_say))
    for line in result.wrong:
        missed = [each.kind for each in line.kinds if not each.is_right]
        _say(f"{line.day} {line.role} {line.fault}: missed {missed}, invented {list(line.invented)}")
    _say(f"{len(result.planted_kinds)} kinds in {len(result.lines)} cases, {len(result.wrong)} of them wrong")
    if result.wrong:
        return 1
    Path(__file__).with_name(RESULT_FILE).write_text(result.to_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
