"""Business Unit: benchmarks | Status: current.

B7. Cold start: what a function's built artefact costs to import in a clean interpreter, from its zip and layers alone, held
against `import boto3` from the same layer in the same interpreter, in processor seconds. Judged is what is deployed: layers with
bytecode, read-only. Told beside it: how much of it is not the three libraries that every function needs, and what it would cost
to compile everything at each start, as layers without bytecode do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import CHECKOUT, ProbeFailed
from benchmarks.rows import Line, Measurement, timed
from local.cloud.build import Artefacts, build_artefacts
from local.cloud.cfn_yaml import read_template
from local.cloud.environment import ensure_environment
from local.cloud.progress import Progress

LIMIT, BROKER_LIMIT = 1.25, 2.0
LIBRARIES = "boto3, pydantic and Powertools alone"
LIMITS: Mapping[str, float | None] = {"execute_trade_sfn": BROKER_LIMIT, "daily_report": None}
QUICK = frozenset({"compare_outcomes", "execute_trade_sfn"})
_SECONDS = 60
_PREFIX = "functions/"
_SCRIPT = """
import sys, time
sys.path[:0] = {path!r}
begun = time.process_time()
import {module}
print(time.process_time() - begun)
"""


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    path: tuple[str, ...]


def measure(progress: Progress, *, quick: bool) -> Measurement:
    """Import every function and boto3 in turn, each in a process of its own."""
    python = ensure_environment(CHECKOUT, progress).function_python
    artefacts = build_artefacts(CHECKOUT, progress=progress)
    functions = _unpacked(artefacts, CHECKOUT / "build" / "bench-cold", QUICK if quick else frozenset(artefacts.functions))
    deployed = _times(python, functions, 1 if quick else 7, compiled=True)
    some = [each for each in functions if each.name in QUICK]
    source = {} if quick else _times(python, some, 2, compiled=False)
    lines = [_line(each.name, each.name, deployed, "boto3", LIMITS.get(each.name, LIMIT)) for each in functions]
    lines.append(_line(LIBRARIES, LIBRARIES, deployed, "boto3", None))
    lines += [_line(each.name, each.name, deployed, LIBRARIES, None) for each in functions]
    lines += [_line(f"{name}, without bytecode", name, source, "boto3", None) for name in sorted(source.keys() - {"boto3"})]
    return Measurement(lines=tuple(lines))


def _line(title: str, name: str, times: Mapping[str, list[float]], floor: str, limit: float | None) -> Line:
    return timed(title, times[name], times[floor], limit, against=f"import {floor}" if floor == "boto3" else floor)


def _times(python: Path, functions: list[_Function], turns: int, *, compiled: bool) -> dict[str, list[float]]:
    modules = {each.name: ("lambda_handler", each.path) for each in functions}
    modules["boto3"] = ("boto3", functions[0].path[-1:])
    modules[LIBRARIES] = ("libraries_alone", (str(Path(__file__).parent), functions[0].path[-1]))
    times: dict[str, list[float]] = {name: [] for name in modules}
    names = list(modules)
    for turn in range(turns):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            times[name].append(_import_seconds(python, *modules[name], compiled=compiled))
    return times


def _import_seconds(python: Path, module: str, path: tuple[str, ...], *, compiled: bool) -> float:
    variables = {"PATH": os.defpath, "LANG": "C.UTF-8", "AWS_DEFAULT_REGION": "us-east-1", "PYTHONHASHSEED": "0"}
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    if not compiled:
        variables["PYTHONPYCACHEPREFIX"] = str(
            CHECKOUT / "build" / "bench-cold" / "none"
        )  # what the layers carry is not looked for
    script = _SCRIPT.format(path=list(path), module=module)
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [str(python), "-c", script], capture_output=True, text=True, timeout=_SECONDS, check=False, env=variables
    )
    if done.returncode != 0:
        raise ProbeFailed(f"import {module} from {path[0]}: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


def _unpacked(artefacts: Artefacts, folder: Path, wanted: frozenset[str]) -> list[_Function]:
    """Unpack what is deployed, once a build, and give each function its path as Lambda has it: zip, then layers in one."""
    extra, keep = _extra_layers(), set()

    def unpacked(*zipped: Path) -> Path:
        target = folder / "+".join(each.stem for each in zipped)
        keep.add(target)
        if not target.exists():
            for each in zipped:
                with zipfile.ZipFile(each) as archive:
                    archive.extractall(folder / "partial")
            (folder / "partial").rename(target)
        return target

    shutil.rmtree(folder / "partial", ignore_errors=True)
    found = []
    for name in sorted(wanted):
        layers = unpacked(*(artefacts.layers[layer].path for layer in ("shared", *extra[name])))
        found.append(_Function(name, (str(unpacked(artefacts.functions[name].path)), str(layers / "python"))))
    for old in set(folder.iterdir()) - keep:
        shutil.rmtree(old, ignore_errors=True)
    return found


def _extra_layers() -> dict[str, list[str]]:
    """Read from the template which layers of the stack each function has beside the shared one."""
    resources = read_template(CHECKOUT / "template.yaml")["Resources"]
    found: dict[str, list[str]] = {}
    for resource in resources.values() if isinstance(resources, Mapping) else ():
        properties = resource.get("Properties", {})
        if resource.get("Type") == "AWS::Serverless::Function" and str(properties.get("CodeUri", "")).startswith(_PREFIX):
            name = properties["CodeUri"].removeprefix(_PREFIX).strip("/")
            layers = [layer["Ref"] for layer in properties.get("Layers", []) if "Ref" in layer]
            found[name] = [layer.removesuffix("Layer").lower() for layer in layers]
    return found
