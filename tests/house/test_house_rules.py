"""The house rules that no tool checks by itself: sizes, the agent's Python, what may stand at the top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "controller"
FILE_LINES = 400
MEDIAN_LINES = 150
FUNCTION_LINES = 60
CORE_FUNCTION_LINES = 40
TOP_LEVEL = {
    "pyproject.toml", "README.md", "controller", "specs", "migrations", "tests", "deploy", "LICENSE", "CHANGELOG.md",
    "uv.lock",
}  # fmt: skip


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_no_file_is_longer_than_a_few_screens() -> None:
    lines = {path: path.read_text().count("\n") for path in sources()}
    assert {str(path): count for path, count in lines.items() if count > FILE_LINES} == {}
    ordered = sorted(lines.values())
    assert ordered[len(ordered) // 2] <= MEDIAN_LINES


def test_no_function_is_longer_than_one_screen() -> None:
    long = {}
    for path in sources():
        limit = CORE_FUNCTION_LINES if path.parent.name == "core" else FUNCTION_LINES
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > limit:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = length
    assert long == {}


def test_the_top_level_holds_what_the_ecosystem_expects_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_the_imports_follow_the_house_plan() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["check", "."], ["format", "--check", "."]])
def test_ruff_has_nothing_to_say(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_agent_is_written_for_python_3_9() -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--target-version",
        "py39",
        "--select",
        "E9,F",
        "controller/agent",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    for path in sorted((PACKAGE / "agent").glob("*.py")):
        ast.parse(path.read_text(), feature_version=(3, 9))


@pytest.mark.long
@pytest.mark.e2e
def test_mypy_strict_has_nothing_to_say() -> None:
    result = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
