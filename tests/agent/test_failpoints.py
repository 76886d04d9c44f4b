"""Failpoints: how they are written, what they do, and that names and places agree over the whole tree."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import controller
from controller.agent.failpoints import NAMES, PREFIXES, Armed, Rule, failpoint, parse

TREE = Path(controller.__file__).parent


def literals() -> Counter[str]:
    """All `failpoint("...")` in the tree; a name that is no literal counts as ''."""
    found: Counter[str] = Counter()
    for path in TREE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "failpoint(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "failpoint":
                name = node.args[0]
                found[name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""] += 1
    return found


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from controller.agent.failpoints import failpoint\n" + code]
    return subprocess.run(argv, env={**os.environ, **environ}, capture_output=True, text=True, timeout=30, check=False)


def test_every_name_in_the_tree_has_a_rooms_prefix_and_one_place() -> None:
    found = literals()
    assert [name for name in found if not name.startswith(PREFIXES)] == []
    assert [name for name, count in found.items() if count > 1] == []


def test_the_keepers_names_are_those_declared() -> None:
    declared = [name for name, _ in NAMES]
    assert sorted(name for name in literals() if name.startswith("keeper.")) == sorted(declared)


def test_nothing_happens_without_the_environment() -> None:
    assert failpoint("keeper.before_fork") is False


def test_rules_are_read_with_their_action_and_hit() -> None:
    assert parse("keeper.before_fork=kill; store.commit=sleep(0.5)@3;agent.x=drop;agent.y=enospc@once;") == {
        "keeper.before_fork": Rule("keeper.before_fork", "kill", 0.0, 1, False),
        "store.commit": Rule("store.commit", "sleep", 0.5, 3, False),
        "agent.x": Rule("agent.x", "drop", 0.0, 0, False),
        "agent.y": Rule("agent.y", "enospc", 0.0, 0, True),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keeper.before_frok=kill", "is no failpoint"),
        ("nowhere.x=kill", "is no failpoint"),
        ("agent.x=explode", "is not NAME="),
        ("agent.x", "is not NAME="),
        ("agent.x=kill@0", "is not NAME="),
        ("agent.x=kill;agent.x=drop", "given twice"),
    ],
)
def test_what_is_no_rule_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_mistake_in_the_environment_stops_the_program_at_import() -> None:
    done = run("print('reached')", WORKERCTL_FAIL="keeper.nonesuch=kill")
    assert (done.stdout, "'keeper.nonesuch' is no failpoint" in done.stderr) == ("", True)


@pytest.mark.parametrize(("action", "status"), [("kill", -9), ("exit", 70)])
def test_a_process_ends_at_the_hit_that_was_asked_for(action: str, status: int) -> None:
    code = "for n in range(5):\n    failpoint('agent.x')\n    print(n, flush=True)"
    done = run(code, WORKERCTL_FAIL=f"agent.x={action}@3")
    assert (done.returncode, done.stdout.split()) == (status, ["0", "1"])


def test_an_error_is_raised_with_its_number() -> None:
    armed = Armed(parse("agent.x=enospc;agent.y=raise"), None)
    for name, number in (("agent.x", 28), ("agent.y", 5)):
        with pytest.raises(OSError, match=name) as caught:
            armed.hit(name)
        assert caught.value.errno == number


def test_drop_tells_the_caller_at_every_hit_or_at_one() -> None:
    armed = Armed(parse("agent.x=drop;agent.y=drop@2"), None)
    assert [armed.hit("agent.x"), armed.hit("agent.x")] == [True, True]
    assert [armed.hit("agent.y"), armed.hit("agent.y"), armed.hit("agent.y")] == [False, True, False]


def test_every_hit_is_logged_and_once_means_once_over_all_processes(tmp_path: Path) -> None:
    log = str(tmp_path / "hits")
    first, second = (Armed(parse("agent.x=drop@once"), log) for _ in range(2))
    assert [first.hit("agent.x"), second.hit("agent.x"), second.hit("agent.other")] == [True, False, False]
    assert Path(log).read_text() == f"agent.x {os.getpid()}\n" * 2 + f"agent.other {os.getpid()}\n"
