"""Business Unit: benchmarks | Status: current.

B7. Cold start: how long a function's built artefact takes to import in a clean interpreter, from its zip and layers alone, held
against `import boto3` from the same layer in the same interpreter. Twice: with bytecode beside the sources, and without, as
on Lambda, where a layer is read-only and the artefacts carry none.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import CHECKOUT, ProbeFailed
from benchmarks.rows import Line, Measurement
from benchmarks.timing import ratios, spread
from local.cloud.build import Artefacts, build_artefacts
from local.cloud.cfn_yaml import read_template
from local.cloud.environment import ensure_environment
from local.cloud.progress import Progress

LIMIT, BROKER_LIMIT = 1.25, 2.0
LIMITS: Mapping[str, float | None] = {"execute_trade_sfn": BROKER_LIMIT, "daily_report": None}
MILLISECONDS = 1000.0
_SECONDS = 60
_PREFIX = "functions/"
_SCRIPT = """
import sys, time
sys.path[:0] = {path!r}
begun = time.perf_counter()
import {module}
print(time.perf_counter() - begun)
"""


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    path: tuple[str, ...]


def measure(progress: Progress, *, quick: bool) -> Measurement:
    """Import every function and boto3 in turn, each in a process of its own."""
    python = ensure_environment(CHECKOUT, progress).function_python
    artefacts = build_artefacts(CHECKOUT, progress=progress)
    functions = _unpacked(artefacts, CHECKOUT / "build" / "bench-cold")
    turns = 2 if quick else 7
    warm, bare = _times(python, functions, turns, bytecode=True), _times(python, functions, 1 if quick else 3, bytecode=False)
    lines = [_line(each.name, warm, limit=LIMITS.get(each.name, LIMIT)) for each in functions]
    lines += [_line(each.name, bare, limit=None, suffix=", no bytecode") for each in functions]
    return Measurement(lines=tuple(lines))


def _line(name: str, times: Mapping[str, list[float]], *, limit: float | None, suffix: str = "") -> Line:
    found = ratios(times[name], times["boto3"])
    return Line(
        name=name + suffix,
        unit="ms",
        ours=statistics.median(times[name]) * MILLISECONDS,
        floor=statistics.median(times["boto3"]) * MILLISECONDS,
        figure=statistics.median(found),
        limit=limit,
        against="import boto3",
        spread=spread(found),
        repetitions=len(found),
    )


def _times(python: Path, functions: list[_Function], turns: int, *, bytecode: bool) -> dict[str, list[float]]:
    modules = {each.name: ("lambda_handler", each.path) for each in functions}
    modules["boto3"] = ("boto3", functions[0].path[-1:])
    times: dict[str, list[float]] = {name: [] for name in modules}
    names = list(modules)
    for turn in range(turns + 1 if bytecode else turns):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            seconds = _import_seconds(python, *modules[name], bytecode=bytecode)
            if turn or not bytecode:  # the first turn writes the bytecode
                times[name].append(seconds)
    return times


def _import_seconds(python: Path, module: str, path: tuple[str, ...], *, bytecode: bool) -> float:
    variables = {"PATH": os.defpath, "LANG": "C.UTF-8", "AWS_DEFAULT_REGION": "us-east-1", "PYTHONHASHSEED": "0"}
    if not bytecode:
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(CHECKOUT / "build" / "bench-cold" / "none")}
    script = _SCRIPT.format(path=list(path), module=module)
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [str(python), "-c", script], capture_output=True, text=True, timeout=_SECONDS, check=False, env=variables
    )
    if done.returncode != 0:
        raise ProbeFailed(f"import {module} from {path[0]}: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


def _unpacked(artefacts: Artefacts, folder: Path) -> list[_Function]:
    """Unpack what is deployed, once a build, and give each function its path as Lambda has it: its zip, then its layers."""
    paths = {
        **{f"layer-{name}": artefact.path for name, artefact in artefacts.layers.items()},
        **{name: artefact.path for name, artefact in artefacts.functions.items()},
    }
    stamp = json.dumps({name: path.name for name, path in sorted(paths.items())})
    if not (folder / "stamp").is_file() or (folder / "stamp").read_text(encoding="utf-8") != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        for name, path in paths.items():
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder / name)
        (folder / "stamp").write_text(stamp, encoding="utf-8")
    shared = str(folder / "layer-shared" / "python")
    layers = _extra_layers()
    return [
        _Function(name, (str(folder / name), *(str(folder / f"layer-{extra}" / "python") for extra in layers[name]), shared))
        for name in artefacts.functions
    ]


def _extra_layers() -> dict[str, list[str]]:
    """Read from the template which layers each function has beside the shared one."""
    resources = read_template(CHECKOUT / "template.yaml")["Resources"]
    found: dict[str, list[str]] = {}
    for resource in resources.values() if isinstance(resources, Mapping) else ():
        properties = resource.get("Properties", {})
        if resource.get("Type") == "AWS::Serverless::Function" and str(properties.get("CodeUri", "")).startswith(_PREFIX):
            name = properties["CodeUri"].removeprefix(_PREFIX).strip("/")
            found[name] = [layer["Ref"].removesuffix("Layer").lower() for layer in properties.get("Layers", [])]
    return found
