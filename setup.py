"""Business Unit: packaging | Status: current.

Build the package: `reports` and `local` are installed as `shadow_reports` and `shadow_local`, so that no user's name is taken.

The rest of the project's description is in pyproject.toml. An editable installation keeps the names of the checkout. The package
also carries a copy of what is deployed, for `shadow up` and `shadow demo` where there is no checkout.
"""

from __future__ import annotations

import ast
import shutil
import sys
import zipfile
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

ROOMS = {"reports": "shadow_reports", "local": "shadow_local"}
NEED_A_CHECKOUT = ["aws_rules", "iam_proof", "pages", "rehearse", "security"]
DEPLOYED = ("template.yaml", "samconfig.toml", "functions", "statemachines", "requirements", "reports", "shadow")
EDITABLE = "editable_wheel" in sys.argv
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


class BuildPackages(build_py):
    """Copies the packages as always, then renames what they import of each other, and adds what is deployed."""

    def run(self) -> None:
        """Build."""
        if self.editable_mode:
            super().run()
            return
        built = Path(self.build_lib)
        shutil.rmtree(built, ignore_errors=True)  # what an earlier build left is no part of this one
        super().run()
        for module in built.rglob("*.py"):
            module.write_text(renamed(module.read_text(encoding="utf-8"), module.name), encoding="utf-8")
        for naming in (*built.rglob("*.ipynb"), built / "shadow" / "cli" / "main.py"):  # modules are named in texts there
            text = naming.read_text(encoding="utf-8")
            for room, name in ROOMS.items():
                text = text.replace(f'"from {room}.', f'"from {name}.').replace(f'"{room}.', f'"{name}.')
            naming.write_text(text, encoding="utf-8")
        pack(built / ROOMS["local"] / "checkout.zip")


def renamed(text: str, name: str) -> str:
    """Give a module's text with its imports of `ROOMS` under their installed names; everything else stays as it is."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] in ROOMS for alias in node.names):
            raise SystemExit(f"{name}:{node.lineno}: write `from … import …`: a plain import cannot be renamed")
        if isinstance(node, ast.ImportFrom) and not node.level and (room := str(node.module).partition(".")[0]) in ROOMS:
            at = node.lineno - 1
            lines[at] = lines[at].replace(f"from {room}", f"from {ROOMS[room]}", 1)
    return "".join(lines)


def pack(archive: Path) -> None:
    """Write what is deployed into a zip, the same bytes for the same content."""
    files = [path for name in DEPLOYED for path in ([Path(name)] if Path(name).is_file() else Path(name).rglob("*"))]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(files):
            if path.is_file() and "__pycache__" not in path.parts:
                packed.writestr(zipfile.ZipInfo(path.as_posix(), _FIXED_TIME), path.read_bytes(), zipfile.ZIP_DEFLATED)


def packages() -> dict[str, str]:
    """Give every package by its installed name, with its folder."""
    left_out = [f"local.{name}{rest}" for name in NEED_A_CHECKOUT for rest in ("", ".*")]
    found = find_namespace_packages(include=["shadow", "shadow.*", "reports", "reports.*", "local", "local.*"], exclude=left_out)
    found = [name for name in found if "__pycache__" not in name]
    rooms = {} if EDITABLE else ROOMS
    return {".".join([rooms.get(name.split(".")[0], name.split(".")[0]), *name.split(".")[1:]]): name for name in found}


named = packages()
setup(
    packages=list(named),
    package_dir={} if EDITABLE else {name: folder.replace(".", "/") for name, folder in named.items()},
    cmdclass={"build_py": BuildPackages},
)
