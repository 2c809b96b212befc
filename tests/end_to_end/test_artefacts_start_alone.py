"""Each function's built artefact starts in an interpreter that sees nothing else, and answers one event it must refuse."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from local.cloud.build import Artefacts, build_artefacts
from local.cloud.environment import LocalEnvironment, ensure_environment
from local.pages.artefact_sizes import LIMIT_MB, RECORD, DeployedFunction, deployed_functions, sizes_of
from local.stack import CHECKOUT

pytestmark = [pytest.mark.local_cloud]
Unzipped = Callable[[tuple[str, ...]], Path]
TEMPLATE = CHECKOUT / "template.yaml"
WRITE_ANEW = "SHADOW_WRITE_SIZES"
ALIKE_MB = 3
PROGRAM = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
outside = [path for path in sys.path if "site-packages" in path]
import lambda_handler
try:
    answer = {"answer": lambda_handler.lambda_handler(json.loads(sys.argv[2]), None)}
except Exception as error:
    answer = {"error": type(error).__name__, "message": str(error)}
print(json.dumps({**answer, "outside": outside}))
"""
REFUSED: Mapping[str, tuple[object, str, str]] = {
    "aggregate_results": ({"runId": "r"}, "InvalidPayload", "sellResults"),
    "check_equity_limit": ({"tradeAmount": "x"}, "InvalidPayload", "tradeAmount"),
    "compare_outcomes": ({"surprise": 1}, "InvalidPayload", "surprise"),
    "daily_report": ({"day": "someday"}, "InvalidPayload", "day"),
    "evaluate_sell_guard": ({"sellResults": 7}, "InvalidPayload", "sellResults"),
    "execute_trade_sfn": ({"symbol": "?"}, "InvalidPayload", "tradeId"),
    "legacy_execution": ({"Records": [{"body": "{}"}]}, "InvalidPayload", "run_id"),
    "notify_completion": ({"state": 1}, "InvalidPayload", "state"),
    "notify_failure": ({"failureType": "?"}, "InvalidPayload", "failureType"),
    "prepare_trades": ({"runId": "r"}, "InvalidPayload", "rebalancePlan"),
    "publish_plan": ({"plan_id": "p"}, "InvalidPlan", "items"),
    "intake": ({"surprise": 1}, "InvalidPayload", "Records"),
    "rejudge_pairs": ({"folder": "f"}, "InvalidPayload", "items"),
}


@pytest.fixture(scope="module")
def environment() -> LocalEnvironment:
    return ensure_environment(CHECKOUT)


@pytest.fixture(scope="module")
def artefacts() -> Artefacts:
    return build_artefacts(CHECKOUT)


@pytest.fixture(scope="module")
def layers(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Unzipped:
    """Unzip the layers of a function into one directory, in their order, as Lambda does; once for each combination."""

    @cache
    def unzipped(names: tuple[str, ...]) -> Path:
        folder = tmp_path_factory.mktemp("layers")
        for name in names:
            with zipfile.ZipFile(artefacts.layers[name].path) as archive:
                archive.extractall(folder)
        return folder / "python"

    return unzipped


@pytest.mark.parametrize("function", deployed_functions(TEMPLATE), ids=lambda function: function.name)
def test_a_function_starts_alone_and_refuses_an_event_by_its_field(
    function: DeployedFunction,
    environment: LocalEnvironment,
    artefacts: Artefacts,
    layers: Unzipped,
    tmp_path: Path,
) -> None:
    event, error, field = REFUSED[function.name]
    with zipfile.ZipFile(artefacts.functions[function.name].path) as archive:
        archive.extractall(tmp_path)
    path = [str(tmp_path), str(layers(function.layers))]
    command = [environment.function_python, "-I", "-S", "-c", PROGRAM, json.dumps(path), json.dumps(event)]

    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        command, capture_output=True, text=True, timeout=120, check=False, env=_environment(function)
    )

    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["outside"] == []
    assert (told.get("error"), field in told.get("message", "")) == (error, True), told


def _environment(function: DeployedFunction) -> dict[str, str]:
    """Everything set, nothing real: whatever called out would find nobody."""
    special = {
        "EXECUTION_MODE": "dry_run",
        "DUAL_PUBLISHING": "true",
        "EQUITY_DEPLOYMENT_PCT": "1.0",
        "PUBLISH_BOUND_MS": "50",
        "REPORT_RECIPIENTS": "desk@example.com",
        "REPORT_SENDER": "shadow@example.com",
        "MPLCONFIGDIR": tempfile.gettempdir(),
    }
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    numbers = {name: "1" for name in function.variables if name.endswith("_SECONDS")}
    named = {name: "none" for name in function.variables if "ENDPOINT" not in name and "FINGERPRINT" not in name}
    return {**named, **numbers, **special, **nowhere, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def test_every_function_is_within_lambdas_limit_and_the_page_says_how_large_it_is(artefacts: Artefacts) -> None:
    measured = sizes_of(TEMPLATE, artefacts)
    if os.environ.get(WRITE_ANEW):
        (CHECKOUT / RECORD).write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    recorded = json.loads((CHECKOUT / RECORD).read_text(encoding="utf-8"))

    assert set(measured) == set(recorded) == set(REFUSED)
    for name, size in measured.items():
        assert int(str(size["megabytes"])) <= LIMIT_MB, name
        assert size["layers"] == recorded[name]["layers"], f"{name}: write it anew with {WRITE_ANEW}=1, then make pages"
        assert abs(int(str(size["megabytes"])) - recorded[name]["megabytes"]) <= ALIKE_MB, name
