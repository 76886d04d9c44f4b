"""`workerctl edit`, and writes on a terminal: the editor is a script, the terminal a real one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.cli.errors import Exit
from tests.cli.cli_site import meanwhile, program
from tests.fakes.api_server import FakeApi

FAULT = {"pointer": "/port", "file": None, "line": None, "column": None, "message": "expected a port", "hint": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """How it ended, what the editor was shown each time it opened, and what was left behind."""

    code: int
    out: str
    err: str
    seen: str
    kept: list[str]


def edit(api: FakeApi, folder: Path, *lines: str) -> Edited:
    """A person whose editor runs these lines of shell on `$1`."""
    kept, seen, script = folder / "tmp", folder / "seen", folder / "editor.sh"
    kept.mkdir()
    script.write_text("\n".join([f'cat "$1" >>{seen}; echo ====== >>{seen}', *lines]))
    process = program(api, "edit", "web", VISUAL="", EDITOR=f"sh {script}", TMPDIR=str(kept))
    out, err = process.communicate(timeout=20)
    texts = [path.read_text() for path in sorted(kept.rglob("*.yaml"))]
    return Edited(code=process.returncode, out=out, err=err, seen=seen.read_text(), kept=texts)


@pytest.fixture
def web(api: FakeApi) -> FakeApi:
    api.specs.files = {"web": {"port": 80, "env": {"SECRET": "***"}}}
    return api


def test_what_is_changed_in_the_editor_is_written(web: FakeApi, tmp_path: Path) -> None:
    done = edit(web, tmp_path, 'sed -i "s/port: 80/port: 81/" "$1"')
    assert (done.code, done.out) == (0, "replace  web/0: replace wanted\n✓ web: changed in web.yaml\n"), done.err
    assert web.specs.files == {"web": {"port": 81, "env": {"SECRET": "***"}}}
    assert done.seen.splitlines()[1:] == ["worker_id: web", "env:", "  SECRET: '***'", "port: 80", "======"]
    assert (done.kept, list((tmp_path / "tmp").iterdir())) == ([], [])


@pytest.mark.parametrize("line", ["true", ': >"$1"', 'echo "# a comment" >>"$1"'])
def test_what_is_saved_empty_or_as_it_was_changes_nothing(web: FakeApi, tmp_path: Path, line: str) -> None:
    done = edit(web, tmp_path, line)
    assert (done.code, done.out, done.kept, web.specs.written) == (0, "web: unchanged\n", [], [])


def test_what_is_not_valid_opens_again_with_what_is_wrong(web: FakeApi, tmp_path: Path) -> None:
    web.specs.faults = {"prt": FAULT}
    done = edit(
        web, tmp_path, 'if grep -q "^#!" "$1"; then sed -i "s/prt: 80/port: 82/" "$1"; else sed -i s/port/prt/ "$1"; fi'
    )
    assert (done.code, web.specs.files["web"]["port"]) == (0, 82), done.err
    assert "#! /port: expected a port\n" in done.seen
    assert done.kept == []


def test_what_is_not_valid_twice_is_given_up_and_kept(web: FakeApi, tmp_path: Path) -> None:
    done = edit(web, tmp_path, 'grep -q "port: 80: 81" "$1" || sed -i "s/port: 80/port: 80: 81/" "$1"')
    assert (done.code, web.specs.written) == (Exit.USAGE, [])
    assert "line:5:9:" in done.err
    assert f"your text is kept in {tmp_path}/tmp/" in done.err
    assert "port: 80: 81" in done.kept[0]


def test_what_another_changed_meanwhile_is_shown_beside_ones_own_and_nothing_is_lost(
    web: FakeApi, tmp_path: Path
) -> None:
    flag = tmp_path / "open"

    def other() -> None:
        web.wait_for(lambda: len(web.requests) > 0)
        web.specs.edit("web", port=90)
        flag.touch()

    wait = f"n=0; while [ ! -e {flag} ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done"
    with meanwhile(other):
        done = edit(web, tmp_path, wait, 'sed -i "s/port: 80/port: 81/" "$1"')
    assert (done.code, web.specs.files["web"]["port"]) == (Exit.CONFLICT, 90)
    told = [line.strip() for line in done.err.splitlines()]
    assert told[told.index("what others changed:") :][2:4] == ["-port: 80", "+port: 90"]
    assert told[told.index("what you changed:") :][2:4] == ["-port: 80", "+port: 81"]
    assert "port: 81" in done.kept[0]


def test_an_editor_that_fails_or_is_not_there_writes_nothing(web: FakeApi, tmp_path: Path) -> None:
    done = edit(web, tmp_path, "exit 3")
    assert (done.code, "the editor left with 3" in done.err, web.specs.written) == (Exit.FAILED, True, [])
    process = program(web, "edit", "web", VISUAL="", EDITOR="no-such-editor-here")
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "Cannot run the editor no-such-editor-here" in err) == (Exit.FAILED, True)


def on_a_terminal(api: FakeApi, answer: bytes, *arguments: str) -> tuple[int, str]:
    """Exit code and all that a person at the keyboard sees; they answer once they are asked."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "WORKERCTL_SERVER": api.url, "NO_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    text, is_answered = b"", False
    try:
        while True:
            if b"]: " in text and not is_answered:
                is_answered = True
                os.write(ours, answer)
            try:
                text += os.read(ours, 4096)
            except OSError:  # the terminal has nobody at its other end any more
                break
        return process.wait(20), text.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_person_is_asked_after_the_plan(web: FakeApi) -> None:
    code, text = on_a_terminal(web, b"n\n", "set", "web", "port=81")
    assert (code, web.specs.written) == (Exit.FAILED, [])
    assert text == "replace  web/0: replace wanted\nChange web? [y/N]: n\nnothing was written\n"
    code, text = on_a_terminal(web, b"y\n", "set", "web", "port=81")
    assert (code, text.splitlines()[-1]) == (0, "✓ web: changed in web.yaml")
    code, text = on_a_terminal(web, b"", "delete", "web", "--yes")
    assert (code, "[y/N]" in text, web.specs.files) == (0, False, {})


def test_end_of_input_at_the_question_is_an_interruption(web: FakeApi) -> None:
    code, text = on_a_terminal(web, b"\x04", "delete", "web")
    assert (code, "Delete web?" in text, web.specs.written) == (Exit.INTERRUPTED, True, [])


def test_a_spec_that_is_changed_while_a_person_thinks_is_not_overwritten(web: FakeApi) -> None:
    def other() -> None:
        web.wait_for(lambda: sum("dry_run" in asked.query for asked in web.requests) == 2)
        web.specs.edit("web", port=90)

    with meanwhile(other):
        code, text = on_a_terminal(web, b"y\n", "set", "web", "replicas=2")
    assert (code, web.specs.files["web"]["port"]) == (Exit.CONFLICT, 90), text
    assert "its spec was changed since the plan was made" in text
