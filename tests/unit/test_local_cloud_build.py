from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.cloud import build, environment
from local.cloud.archive import contents
from local.cloud.build import LAYERS, build_artefacts, lambda_runtime, publish_layers, this_machine
from local.cloud.environment import ensure_environment
from local.cloud.errors import BuildFailed, EnvironmentFailed
from local.pages.artefact_sizes import deployed_functions
from local.stack import CHECKOUT

HASH = "sha256:" + "0" * 64


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("requirements", "shadow", "functions/greet", "functions/empty"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "requirements" / "layer.txt").write_text(f"pydantic==2 --hash={HASH}\n")
    (tmp_path / "requirements" / "broker.txt").write_text(f"pydantic==2 --hash={HASH}\nalpaca-py==1 --hash={HASH}\n")
    (tmp_path / "requirements" / "local.txt").write_text(f"emulator==1 --hash={HASH}\n")
    (tmp_path / "shadow" / "__init__.py").write_text("")
    (tmp_path / "functions" / "greet" / "lambda_handler.py").write_text("x = 1")
    return tmp_path


class Pip:
    """Installs a file named after each requirement, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, work: Path, layer: build.Layer, target: build.Target) -> None:
        lines = (work / "requirements.txt").read_text().splitlines()
        self.asked.append([layer.name, target.name, *(line.split(" ")[0] for line in lines)])
        (work / "python").mkdir()
        for line in lines:
            (work / "python" / f"{line.split('==')[0]}.py").write_text(f'"""{line}"""')


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    fake = Pip()
    monkeypatch.setattr(build, "_install", fake)
    return fake


def _names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_a_layer_holds_our_code_and_its_packages_and_nothing_the_shared_layer_has(checkout: Path, pip: Pip) -> None:
    built = build_artefacts(checkout)
    modules = {"python/pydantic.py", "python/shadow/__init__.py"}
    assert {name for name in _names(built.layers["shared"].path) if name.endswith(".py")} == modules
    assert {name for name in _names(built.layers["broker"].path) if name.endswith(".py")} == {"python/alpaca-py.py"}
    assert _names(built.functions["greet"].path) == {"lambda_handler.py"}
    assert set(built.functions) == {"greet"}
    assert [asked[0] for asked in pip.asked] == ["shared", "broker"]


def test_a_second_build_makes_nothing_and_a_change_of_code_installs_nothing(checkout: Path, pip: Pip) -> None:
    first = build_artefacts(checkout)
    stamp = first.layers["shared"].path.stat().st_mtime_ns
    assert build_artefacts(checkout) == first
    (checkout / "shadow" / "more.py").write_text("y = 2")
    changed = build_artefacts(checkout)
    assert first.layers["shared"].path.stat().st_mtime_ns == stamp
    assert changed.layers["shared"].path != first.layers["shared"].path
    assert changed.layers["broker"] == first.layers["broker"]
    assert len(pip.asked) == 2


def test_only_the_newest_builds_are_kept(checkout: Path, pip: Pip) -> None:
    newest = build_artefacts(checkout).functions["greet"].path
    for number in range(2, 9):
        (checkout / "functions" / "greet" / "lambda_handler.py").write_text(f"x = {number}")
        newest = build_artefacts(checkout).functions["greet"].path
    assert newest.exists()
    assert len(list(newest.parent.glob("greet-*.zip"))) == 4
    assert len(pip.asked) == 2


def test_each_target_is_built_apart_and_layers_are_published_where_the_template_looks(checkout: Path, pip: Pip) -> None:
    here = build_artefacts(checkout)
    there = build_artefacts(checkout, target=lambda_runtime("3.14"))
    assert here.layers["shared"].path.parent != there.layers["shared"].path.parent
    published = publish_layers(there, checkout / "build" / "layers")
    assert [path.name for path in published] == ["shared.zip", "broker.zip"]
    assert published[0].read_bytes() == there.layers["shared"].path.read_bytes()
    assert {asked[1] for asked in pip.asked} == {this_machine().name, "lambda-3.14-x86_64"}


def test_everything_left_out_of_a_layer_has_a_reason() -> None:
    left_out = [part for layer in LAYERS for part in layer.left_out]
    assert left_out
    assert all(part.reason for part in left_out)


def test_what_pip_says_is_in_the_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(checkout))
    with pytest.raises(BuildFailed, match=r"shared layer's packages could not be installed.*pydantic"):
        build_artefacts(checkout)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    asked: list[Sequence[str]] = []

    def run(command: list[str], _what: str) -> None:
        asked.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()

    monkeypatch.setattr(environment, "_run", run)
    return asked


def test_the_emulators_environment_is_made_once_and_again_when_its_pins_change(
    checkout: Path, commands: list[Sequence[str]]
) -> None:
    made = ensure_environment(checkout)
    assert ensure_environment(checkout) == made
    assert len(commands) == 3
    assert commands[0][0] == sys.executable
    assert "--require-hashes" in commands[2]
    (checkout / "requirements" / "local.txt").write_text(f"emulator==2 --hash={HASH}\n")
    ensure_environment(checkout)
    assert len(commands) == 6


def test_a_half_made_environment_is_made_again(
    checkout: Path, commands: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_command: list[str], what: str) -> None:
        raise EnvironmentFailed(what)

    with monkeypatch.context() as broken:
        broken.setattr(environment, "_run", fail)
        with pytest.raises(EnvironmentFailed, match="creating the environment"):
            ensure_environment(checkout)
    ensure_environment(checkout)
    assert len(commands) == 3


def test_without_pinned_requirements_there_is_no_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"requirements/local\.txt"):
        ensure_environment(tmp_path)


@pytest.mark.usefixtures("pip")
def test_a_layer_carries_the_bytecode_of_every_module_and_the_reports_none(checkout: Path, tmp_path: Path) -> None:
    (checkout / "reports").mkdir()
    (checkout / "reports" / "page.py").write_text("x = 1")
    (checkout / "requirements" / "reports.txt").write_text(f"pydantic==2 --hash={HASH}\njinja2==1 --hash={HASH}\n")
    (checkout / "shadow" / "greeting.py").write_text("WORD = 'hello'\n")
    built = build_artefacts(checkout)
    tag = sys.implementation.cache_tag
    assert {name for name in _names(built.layers["shared"].path) if name.endswith(".pyc")} == {
        f"python/__pycache__/pydantic.{tag}.pyc",
        f"python/shadow/__pycache__/__init__.{tag}.pyc",
        f"python/shadow/__pycache__/greeting.{tag}.pyc",
    }
    assert not [name for name in _names(built.layers["reports"].path) if name.endswith(".pyc")]
    assert not list(checkout.glob("shadow/**/*.pyc"))
    with zipfile.ZipFile(built.layers["shared"].path) as archive:
        archive.extractall(tmp_path / "layer")
    (tmp_path / "layer" / "python" / "shadow" / "greeting.py").write_text("WORD = 'the source was read'\n")
    code = "import shadow.greeting; print(shadow.greeting.WORD)"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'layer' / 'python')!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "hello"


@pytest.mark.usefixtures("pip")
def test_without_an_interpreter_of_the_target_there_is_no_bytecode(checkout: Path) -> None:
    built = build_artefacts(checkout, target=lambda_runtime("3.99"))
    assert _names(built.layers["shared"].path) == {"python/pydantic.py", "python/shadow/__init__.py"}


def test_no_artefact_holds_a_planted_defect_and_the_reference_lane_has_a_layer_of_its_own() -> None:
    zips = {layer.name: build.our_modules(CHECKOUT, layer) for layer in LAYERS}
    zips |= {source.name: contents(source) for source in (CHECKOUT / "functions").iterdir() if source.is_dir()}
    planted = re.compile(r"local\.scenarios|[Pp]lanted_?[Ff]ault|PLANTED_FAULTS")
    assert planted.search((CHECKOUT / "local" / "scenarios" / "legacy_faults.py").read_text())
    for name, files in zips.items():
        modules = {inside: path.read_text() for inside, path in files.items() if path.suffix == ".py"}
        assert not [inside for inside in modules if "fault" in inside or "local" in inside], name
        assert not [inside for inside, text in modules.items() if planted.search(text)], name
        assert any("shadow/reference/" in inside for inside in files) == (name == "reference")
    attached = {each.name for each in deployed_functions(CHECKOUT / "template.yaml") if "reference" in each.layers}
    assert attached == {"legacy_execution", "publish_plan"}
    for function in set(zips) - attached - {layer.name for layer in LAYERS}:
        assert not [path for path in zips[function].values() if "shadow.reference" in path.read_text()], function
