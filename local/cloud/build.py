"""Business Unit: local cloud | Status: current.

Build what the template deploys: its layers and one zip a function, for the interpreter that will run them. Everything is
cached by a hash of what goes in, so that a second build takes no time, and a change of code builds only what it touches.
The same code builds for this machine (the local cloud) and for AWS (`make build`).
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.markers import default_environment

from local.cloud.archive import contents, digest, unzipped_bytes, write_zip
from local.cloud.bytecode import compiled, compiler_for
from local.cloud.cfn_yaml import read_template
from local.cloud.errors import BuildFailed
from local.cloud.locking import locked
from local.cloud.progress import Progress, silent
from local.cloud.requirements import Pin, pins, without
from local.cloud.runtime_fit import unfit

_BUILDER = "2"
_KEPT = 4
UNZIPPED_LIMIT = 250 * 1024 * 1024
_PIP_SECONDS = 600
_GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34)


@dataclass(frozen=True, slots=True)
class Target:
    """The interpreter that artefacts are built for: its version (`3.14`), pip's platform tags (none: this machine), markers."""

    name: str
    python_version: str
    platforms: tuple[str, ...]
    markers: Mapping[str, str]


def this_machine() -> Target:
    """Build for the interpreter that runs this, which the local cloud's functions run in too."""
    version = ".".join(platform.python_version_tuple()[:2])
    markers = {key: str(value) for key, value in default_environment().items()}
    return Target(f"local-{version}-{platform.machine()}", version, (), markers)


def lambda_runtime(version: str = "3.14") -> Target:
    """Build for AWS Lambda's Python `version` on Amazon Linux 2023, x86_64."""
    platforms = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in _GLIBC_MINORS))
    markers = {key: str(value) for key, value in default_environment().items()} | {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return Target(f"lambda-{version}-x86_64", version, platforms, markers)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of an installed package that no function of the layer loads, by the start of its path, and why."""

    start: str
    reason: str


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer is made of: a package folder of ours, a requirement file (or none of either), and what it stands on.

    `apart` is a folder of the package that has a layer of its own. Lambda unzips all layers of a function into one directory.
    """

    name: str
    package: str | None
    requirements: str | None
    stands_on: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    bytecode: bool = True
    apart: str = ""


_REPORTS_LEFT_OUT = (  # without these the report's function stays below Lambda's 250 MB
    *(
        LeftOut(f"fontTools/{part}", "matplotlib edits fonts for PDF and PostScript only; the report draws PNG")
        for part in ("cu2qu/", "feaLib/", "misc/bezierTools.", "otlLib/", "pens/", "qu2cu/", "subset/", "ttLib/", "varLib/")
    ),
    *(
        LeftOut(f"matplotlib/mpl-data/fonts/{part}", "the report is written in DejaVu Sans, and has no formulas")
        for part in ("afm/", "pdfcorefonts/", "ttf/STIX", "ttf/cm", "ttf/DejaVuSerif")
    ),
    LeftOut("PIL/_avif", "the report writes no AVIF image"),
    LeftOut("pillow.libs/libavif", "as above"),
    LeftOut("scipy/io/", "scipy.stats reads no foreign file formats"),
    LeftOut("numpy/distutils/", "nothing is compiled at run time"),
)
_BROKER_LEFT_OUT = tuple(
    LeftOut(start, "the adapter speaks through alpaca-py's REST client, which loads no frames; only its other clients do")
    for start in ("pandas/", "numpy/", "numpy.libs/", "pytz/")
)
LAYERS = (
    Layer("shared", "shadow", "layer.txt", apart="reference"),
    Layer("reference", "shadow/reference", None),
    Layer("broker", None, "broker.txt", "layer.txt", _BROKER_LEFT_OUT),
    Layer("reports", "reports", "reports.txt", "layer.txt", _REPORTS_LEFT_OUT, bytecode=False),  # with it, beyond Lambda's 250 MB
)
PUBLISHER = "publisher"
_PUBLISHER_FILE = "shadow/publish/__init__.py"


@dataclass(frozen=True, slots=True)
class Artefact:
    """One built zip: its name, where it is, and how many bytes it takes unzipped."""

    name: str
    path: Path
    unzipped: int


@dataclass(frozen=True, slots=True)
class Artefacts:
    """Everything that was built, by name: `layers["shared"]`, `functions["prepare_trades"]`."""

    layers: Mapping[str, Artefact]
    functions: Mapping[str, Artefact]


def build_artefacts(
    root: Path, out: Path | None = None, *, target: Target | None = None, progress: Progress = silent
) -> Artefacts:
    """Build the layers and every `functions/NAME/` of the checkout at `root`, below `out` (default `build/artefacts`).

    Raises BuildFailed when a requirement cannot be installed from the pinned, hashed files.
    """
    target = target or this_machine()
    folder = (out or root / "build" / "artefacts").absolute() / target.name
    with locked(folder / "build.lock"):
        layers = {layer.name: _layer(root, folder, layer, target, progress) for layer in LAYERS if _exists(root, layer)}
        if (root / _PUBLISHER_FILE).is_file():
            layers[PUBLISHER] = _publisher(root, folder)
        functions = {
            source.name: _function(source, folder)
            for source in sorted((root / "functions").iterdir())
            if source.is_dir() and any(source.glob("*.py"))
        }
    return Artefacts(layers, functions)


def publish_layers(artefacts: Artefacts, folder: Path) -> tuple[Path, ...]:
    """Put the layers where the template looks for them, as `folder/NAME.zip`, and give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    published = []
    for name, layer in artefacts.layers.items():
        path = folder / f"{name}.zip"
        shutil.copyfile(layer.path, path)
        published.append(path)
    return tuple(published)


def _exists(root: Path, layer: Layer) -> bool:
    package = layer.package is None or (root / layer.package).is_dir()
    return package and (layer.requirements is None or (root / "requirements" / layer.requirements).is_file())


def _publisher(root: Path, folder: Path) -> Artefact:
    """Zip the one file that a portfolio function publishes with: no package of ours around it, no bytecode, any Python."""
    files = {f"python/{_PUBLISHER_FILE}": root / _PUBLISHER_FILE}
    path = folder / "layers" / f"{PUBLISHER}-{digest(files, _BUILDER)}.zip"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_zip(path, files)
        _forget_old(path, PUBLISHER)
    return Artefact(PUBLISHER, path, unzipped_bytes(path))


def _function(source: Path, folder: Path) -> Artefact:
    files = contents(source)
    path = folder / "functions" / f"{source.name}-{digest(files, _BUILDER)}.zip"
    if not path.exists():
        write_zip(path, files)
        _forget_old(path, source.name)
    return Artefact(source.name, path, unzipped_bytes(path))


def _layer(root: Path, folder: Path, layer: Layer, target: Target, progress: Progress) -> Artefact:
    wanted = requirements_of(root / "requirements", layer, target.markers)
    python = compiler_for(target.python_version) if layer.bytecode else None
    packages = _packages(folder, layer, wanted, target, python, progress) if wanted else None
    ours = our_modules(root, layer)
    path = folder / "layers" / f"{layer.name}-{digest(ours, packages.name if packages else '', _BUILDER)}.zip"
    if not path.exists():
        with TemporaryDirectory(dir=folder) as work:
            write_zip(path, ours | _compiled(python, ours, Path(work)), onto=packages)
        _forget_old(path, layer.name)
    return Artefact(layer.name, path, unzipped_bytes(path))


def requirements_of(folder: Path, layer: Layer, markers: Mapping[str, str]) -> Mapping[str, Pin]:
    """Give what is installed into `layer`, by the requirement files in `folder`: without what it stands on."""
    if layer.requirements is None:
        return {}
    wanted = pins(folder / layer.requirements, markers)
    return wanted if layer.stands_on is None else without(wanted, pins(folder / layer.stands_on, markers), layer.requirements)


def our_modules(root: Path, layer: Layer) -> dict[str, Path]:
    """List the modules of ours in `layer`, by their names in the zip."""
    if layer.package is None:
        return {}
    listed = contents(root / layer.package, f"python/{layer.package}")
    return {name: path for name, path in listed.items() if not (layer.apart and layer.apart in path.relative_to(root).parts)}


def _compiled(python: Path | None, ours: Mapping[str, Path], work: Path) -> dict[str, Path]:
    """Compile copies of our modules: what lies in the checkout stays as it is."""
    if python is None or not ours:
        return {}
    copies = {name: work / name for name in ours}
    for name, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ours[name], copy)
    return compiled(python, work, copies)


def _forget_old(newest: Path, name: str) -> None:
    """Keep the `_KEPT` newest builds of `name` beside `newest`; a build in use elsewhere is among them."""
    builds = sorted(newest.parent.glob(f"{name}-*.zip"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in builds[_KEPT:]:
        old.unlink(missing_ok=True)


def _packages(  # noqa: PLR0917 - what a package zip is made of
    folder: Path, layer: Layer, wanted: Mapping[str, Pin], target: Target, python: Path | None, progress: Progress
) -> Path:
    """Give a zip of the installed requirements of `layer`, installed, compiled and zipped only when it is not there yet."""
    listing = "".join(f"{wanted[name]}\n" for name in sorted(wanted))
    left_out = tuple(f"python/{part.start}" for part in layer.left_out)
    kind = "source" if python is None else "bytecode"
    path = folder / "packages" / f"{layer.name}-{digest({}, listing, target.name, kind, *left_out, _BUILDER)}.zip"
    if path.exists():
        return path
    progress(f"installing the packages of the {layer.name} layer ({len(wanted)}, once)")
    work = folder / "packages" / f"{layer.name}.work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "requirements.txt").write_text(listing)
    _install(work, layer, target)
    progress(f"packing the {layer.name} layer")
    installed = {name: file for name, file in contents(work / "python", "python").items() if not name.startswith(left_out)}
    write_zip(path, installed | (compiled(python, work, installed) if python is not None else {}))
    shutil.rmtree(work)
    return path


def _install(work: Path, layer: Layer, target: Target) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--target", str(work / "python")]
    if target.platforms:
        command += ["--python-version", target.python_version, "--implementation", "cp"]
        command += ["--ignore-requires-python"]  # pip would hold a pin's requirement against the Python it runs in
        command += [argument for tag in target.platforms for argument in ("--platform", tag)]
    command += ["-r", str(work / "requirements.txt")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False)  # noqa: S603 - our own interpreter and arguments
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"the {layer.name} layer's packages were not installed after {_PIP_SECONDS} s") from error
    if done.returncode != 0:
        raise BuildFailed(f"the {layer.name} layer's packages could not be installed: {done.stderr.strip()[-2000:]}")


def beyond_limits(template: Path, artefacts: Artefacts) -> list[str]:
    """Say which functions are too large for Lambda with their layers, unzipped (250 MiB, layers included)."""
    read = read_template(template)
    shared, resources = read["Globals"], read["Resources"]
    if not isinstance(resources, Mapping) or not isinstance(shared, Mapping):
        raise BuildFailed(f"{template.name}: expected Globals and Resources to be mappings")
    wrong = []
    for each in resources.values():
        if each.get("Type") != "AWS::Serverless::Function":
            continue
        properties = each["Properties"]
        name = str(properties["CodeUri"]).strip("/").rsplit("/", 1)[-1]
        named = [str(layer["Ref"]) for layer in (*shared["Function"]["Layers"], *properties.get("Layers", [])) if "Ref" in layer]
        files = [Path(str(resources[layer]["Properties"]["ContentUri"])).stem for layer in named]
        total = artefacts.functions[name].unzipped + sum(artefacts.layers[file].unzipped for file in files)
        if total > UNZIPPED_LIMIT:
            wrong.append(f"{name}: {total:,} bytes unzipped with {', '.join(files)}, Lambda takes {UNZIPPED_LIMIT:,}")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Build from the command line: `python -m local.cloud.build --target aws` (or `local`). Gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.cloud.build", description="Build the layers and function zips.")
    parser.add_argument("--target", choices=["aws", "local"], default="aws", help="what to build for (default: aws)")
    parser.add_argument("--python-version", default="3.14", help="the Lambda runtime's Python (default: 3.14)")
    chosen = parser.parse_args(arguments)
    root = Path.cwd()
    target = lambda_runtime(chosen.python_version) if chosen.target == "aws" else this_machine()
    try:
        artefacts = build_artefacts(root, target=target, progress=_say)
    except BuildFailed as error:
        sys.stderr.write(f"build: {error}\n")
        return 1
    if chosen.target == "aws":
        publish_layers(artefacts, root / "build" / "layers")
    if compiler_for(target.python_version) is None:
        _say(
            f"no python{target.python_version} on this machine: the layers carry no bytecode, and every cold start compiles them"
        )
    wrong = beyond_limits(root / "template.yaml", artefacts)
    if target.platforms:
        wrong += [
            f"layer {name}: {what}"
            for name, layer in artefacts.layers.items()
            for what in unfit(layer.path, target.python_version, target.platforms)
        ]
    for line in wrong:
        sys.stderr.write(f"build: {line}\n")
    for kind, built in (("layer", artefacts.layers), ("function", artefacts.functions)):
        for each in built.values():
            zipped = each.path.stat().st_size
            _say(f"{kind:9} {each.name:24} {zipped / 1e6:7.2f} MB zipped {each.unzipped / 1e6:7.2f} MB unzipped")
    return 1 if wrong else 0


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
