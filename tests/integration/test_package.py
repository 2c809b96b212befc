"""Business Unit: tests | Status: current.

The package as it is installed elsewhere: it takes no name of a user's, carries its data and what is deployed, and its commands
work outside of the checkout, or say in one line what to install.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from shadow import __version__
from tests.factories.comparisons import comparison_of, diverged, write_jsonl
from tests.strategies.outcomes import DAY

CHECKOUT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "template.yaml", "samconfig.toml")
FOLDERS = ("shadow", "reports", "local", "functions", "statemachines", "requirements")
ENDED = ("MATCHED", "IGNORED", "DIVERGED", "INCOMPLETE", "MISSING_CONTROL", "MISSING_CANDIDATE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the checkout, with the build tool of this environment."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        shutil.copyfile(CHECKOUT / name, copy / name)
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(out)]
    subprocess.run([*command, str(copy)], check=True, capture_output=True, text=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(unpacked: Path, folder: Path, *arguments: str, missing: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the unpacked command beside this environment's packages, without those that are to be `missing`."""
    gone = "".join(f"sys.modules[{name!r}] = None;" for name in missing)
    code = f"import sys; sys.path.insert(0, {str(unpacked)!r}); {gone} sys.argv[1:] = {list(arguments)!r}\n"
    code += "from shadow.__main__ import main\ntry: main()\nfinally: sys.stderr.write('\\nloaded: ' + ' '.join(sys.modules))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def test_it_takes_no_name_of_a_users_and_carries_its_data(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"}
    assert names == {"shadow", "shadow_reports", "shadow_local"}
    (top_level,) = unpacked.glob("*.dist-info/top_level.txt")
    assert set(top_level.read_text().split()) == names

    for file in (
        "shadow/py.typed",
        "shadow/compare/kinds.toml",
        "shadow_local/data/closing_prices.csv",
        "shadow_local/data/example_plan.json",
        "shadow_reports/templates/page.html.j2",
        "shadow_reports/templates/site/site.js",
        "shadow_reports/notebooks/divergence_analysis.ipynb",
    ):
        assert (unpacked / file).is_file(), file
    with zipfile.ZipFile(unpacked / "shadow_local" / "checkout.zip") as archive:
        assert {"template.yaml", "statemachines/execution_workflow.asl.json", "requirements/layer.txt"} <= set(archive.namelist())


def test_its_description_has_the_one_version_and_the_parts(unpacked: Path) -> None:
    (file,) = unpacked.glob("*.dist-info/METADATA")
    described = message_from_string(file.read_text(encoding="utf-8"))

    assert described["Name"] == "shadow-lanes"
    assert described["Version"] == __version__
    assert set(described.get_all("Provides-Extra", [])) == {"reports", "broker", "local", "all"}
    assert any("Typed" in classifier for classifier in described.get_all("Classifier", []))


def test_every_module_of_it_can_be_imported_and_none_needs_a_name_of_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    code = f"""
import importlib, pkgutil, sys
sys.path.insert(0, {str(unpacked)!r})
for package in ("shadow", "shadow_reports", "shadow_local"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if "emulator_side" not in found.name and not found.name.endswith(("__main__", "_defects")):
            importlib.import_module(found.name)
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {{"local", "reports", "functions", "tests", "mypy_boto3_s3"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("line", ["--help", "example", "publish --help", "rule DOUBLE_ORDER", "up --help"])
def test_a_plain_installation_does_without_the_other_parts(line: str, unpacked: Path, tmp_path: Path) -> None:
    others = (
        "pandas",
        "numpy",
        "scipy",
        "matplotlib",
        "jinja2",
        "exchange_calendars",
        "alpaca",
        "packaging",
        "nbformat",
        "nbclient",
    )
    done = run(unpacked, tmp_path, *line.split(), missing=others)

    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("line", "missing", "part"),
    [
        ("readiness --folder .", "pandas", "reports"),
        ("site --folder .", "jinja2", "reports"),
        ("up", "packaging", "local"),
        ("demo", "exchange_calendars", "local"),
    ],
)
def test_a_missing_part_is_one_line_with_the_command_that_installs_it(
    line: str, missing: str, part: str, unpacked: Path, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(DAY)])
    done = run(unpacked, tmp_path, *line.split(), missing=(missing,))
    said = done.stderr.partition("\nloaded: ")[0].strip().splitlines()

    assert done.returncode == 3
    assert said[-1] == f"{missing} is not installed, and the command needs it: pip install 'shadow-lanes[{part}]'"
    assert "Traceback" not in done.stderr


def test_reports_are_made_outside_of_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [diverged(comparison_of(DAY))])
    for line in ("report --folder . --out report.html", "site --folder . --out site"):
        done = run(unpacked, tmp_path, *line.split())
        assert done.returncode in (0, 1), done.stderr
        loaded = {name.partition(".")[0] for name in done.stderr.partition("\nloaded: ")[2].split()}
        assert "shadow_reports" in loaded
        assert not loaded & {"reports", "local"}
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "site" / "index.html").is_file()


@pytest.mark.long
def test_in_an_empty_environment_it_brings_up_a_cloud_and_settles_a_plan(wheel: Path, tmp_path: Path) -> None:
    """Needs the registry that pip is set up for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    work = tmp_path / "work"
    work.mkdir()

    def install(what: str) -> None:
        command = [str(tmp_path / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", what]
        subprocess.run(command, check=True, env=environment)

    def shadow(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / "venv" / "bin" / "shadow"), *arguments]
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)

    install(str(wheel))
    assert "publish" in shadow("--help").stdout
    (work / "plan.json").write_text(shadow("example").stdout)
    assert shadow("up").stderr.strip().endswith("pip install 'shadow-lanes[local]'")
    install(f"{wheel}[local]")
    try:
        up = shadow("up")
        assert up.returncode == 0, up.stderr
        published = shadow("publish", "plan.json", "--json")
        assert published.returncode == 0, published.stderr + published.stdout
        plan_id = json.loads(published.stdout)["plan_id"]
        verdict, ends = "", time.monotonic() + 300
        while verdict not in ENDED and time.monotonic() < ends:
            time.sleep(1)
            verdict = json.loads(shadow("status", plan_id, "--json").stdout).get("verdict", "")  # none before the pair is there
        assert verdict == "MATCHED"
        assert "MATCHED" in shadow("explain", plan_id).stdout
        assert shadow("site").returncode == 0
    finally:
        assert shadow("down").returncode == 0
    demo = shadow("demo")
    assert demo.returncode == 0, demo.stderr[-2000:] + demo.stdout[-2000:]
    assert (work / "build" / "demo" / "site" / "index.html").is_file()
    assert shadow("report", "--folder", "build/demo").returncode == 1, "day 10 of the demo diverged"
