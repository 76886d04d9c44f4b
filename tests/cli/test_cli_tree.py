from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import controller
from controller.cli import docs
from controller.cli.errors import MEANINGS, Exit
from controller.cli.lazy import VERBS, LazyGroup, did_you_mean
from controller.cli.main import root
from tests.cli.cli_site import run, shown


def command(name: str) -> click.Command:
    found = root.get_command(click.Context(root), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", VERBS)
def test_the_overview_says_of_a_verb_what_its_own_help_says(name: str) -> None:
    assert (command(name).help or "").splitlines()[0].rstrip(".") in VERBS[name].help
    assert command(name).name == name


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_help_with_examples(name: str) -> None:
    text = shown(None, name, "--help")
    assert "Examples:\n" in text
    assert f"workerctl {name}" in text


def test_the_help_lists_all_verbs_by_section_and_imports_none_of_them() -> None:
    probe = (
        "import sys; from controller.cli.main import root\n"
        "root(['--help'], prog_name='workerctl', standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith('controller.cli')])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    *text, modules = done.stdout.splitlines()
    listed = [line.split()[0] for line in text if line.startswith("  ") and line.split()[0] in VERBS]
    assert sorted(set(listed)) == sorted(VERBS)
    loaded = {name.rpartition(".")[2] for name in modules.strip("[]").replace("'", "").split(", ")}
    assert loaded == {"cli", "client", "common", "errors", "lazy", "main", "terminal"}


def test_an_unknown_verb_is_a_usage_error_with_the_near_one() -> None:
    result = run(None, "gett")
    assert result.exit_code == Exit.USAGE
    assert 'there is no command "gett". Did you mean "get"?' in result.stderr


def test_a_verb_unlike_any_gets_no_suggestion() -> None:
    assert 'there is no command "xyzzy".\n' in run(None, "xyzzy").stderr
    assert did_you_mean("xyzzy", ["web"]) == ""


@pytest.mark.parametrize("arguments", [["get", "--nonsense"], ["--nonsense"], ["describe"], ["get", "-o", "xml"]])
def test_wrong_usage_leaves_with_2(arguments: list[str]) -> None:
    assert run(None, *arguments).exit_code == Exit.USAGE


def test_the_version_is_told_by_option_and_by_verb() -> None:
    assert shown(None, "--version").startswith("workerctl ")
    assert shown(None, "version").startswith(shown(None, "--version").strip())
    assert '"python"' in shown(None, "version", "-o", "json")


class InterruptedGroup(LazyGroup):
    """A tree in which every verb is interrupted by Ctrl-C."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        @click.command(cmd_name)
        def interrupted() -> None:
            raise KeyboardInterrupt

        return interrupted


def test_ctrl_c_inside_a_verb_leaves_with_130_and_without_a_word() -> None:
    result = CliRunner().invoke(InterruptedGroup(), ["get"])
    assert (result.exit_code, result.output) == (Exit.INTERRUPTED, "")


def test_the_tree_lists_its_verbs_and_knows_no_others() -> None:
    ctx = click.Context(root)
    assert (root.list_commands(ctx), root.get_command(ctx, "xyzzy")) == (list(VERBS), None)


def test_the_reference_in_the_documentation_is_the_one_the_program_makes() -> None:
    path = Path(controller.__file__).parent / "docs" / "cli.md"
    assert path.read_text("utf-8") == docs.reference(), "run: python -m controller.cli.docs > controller/docs/cli.md"


def test_the_reference_names_every_verb_and_every_exit_code() -> None:
    text = docs.reference()
    assert [f"\n## {name}\n" in text for name in VERBS] == [True] * len(VERBS)
    assert [f"| {code.value} | {meaning} |" in text for code, meaning in MEANINGS.items()] == [True] * len(Exit)
