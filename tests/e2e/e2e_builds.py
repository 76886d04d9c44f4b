"""Another build of the program beside the one that is tested: a copy of the package, changed by one line, in a virtual
environment of its own, whose dependencies are those of the tests.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import sysconfig
import venv
from pathlib import Path

import controller

PACKAGE = Path(controller.__file__).parent
MIGRATIONS = PACKAGE.parent / "migrations"


def other_build(folder: Path, change: dict[str, tuple[str, str]]) -> list[str]:
    """The command line of a build in `folder`; `change`: by file of the package a pattern and what takes its place."""
    shutil.copytree(PACKAGE, folder / "controller", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    if MIGRATIONS.is_dir():
        shutil.copytree(MIGRATIONS, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (pattern, new) in change.items():
        path = folder / "controller" / name
        text, count = re.subn(pattern, new, path.read_text(), flags=re.MULTILINE)
        assert count == 1, f"{pattern} is {count} times in {name}"
        path.write_text(text)
    return [make_environment(folder / "venv", folder), "-m", "controller"]


def make_environment(place: Path, package: Path) -> str:
    """A virtual environment with the `controller` that lies in `package`; its interpreter."""
    venv.create(place, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    dependency = importlib.util.find_spec("pydantic")
    assert dependency is not None
    assert dependency.origin is not None
    others = {str(Path(dependency.origin).parents[1]), sysconfig.get_path("platlib"), sysconfig.get_path("purelib")}
    lines = [str(package), *sorted(others), ""]
    (place / "lib" / version / "site-packages/build.pth").write_text("\n".join(lines))
    return str(place / "bin/python")
