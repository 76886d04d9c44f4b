"""The verbs that write specs, on the real program: what a person types, what their file says then, what runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.e2e_installation import WORKERCTL, Installation

pytestmark = pytest.mark.e2e


def said(site: Installation, *arguments: str, code: int = 0) -> str:
    """What a command prints; it must leave with `code`."""
    told = site.run(*arguments)
    assert told.code == code, told.text
    return told.out if code == 0 else told.err


def test_a_worker_is_created_changed_scaled_and_deleted_and_each_step_waited_for(site: Installation) -> None:
    site.write("web.yaml", "# mine\n" + site.spec("web") + "replicas: 1  # for now\n---\n" + site.spec("mail"))
    site.serve()
    said(site, "wait", "web", "mail", "--for", "running", "--timeout", "30s")

    before = (site.specs / "web.yaml").read_text()
    assert said(site, "scale", "web=+1", "--dry-run").splitlines() == ["create   web/1: replicas 1 -> 2"]
    assert (site.specs / "web.yaml").read_text() == before
    said(site, "scale", "web=+1")
    said(site, "scale", "web=+1", "mail=2")
    after = before.replace("replicas: 1  # for now", "replicas: 3  # for now")
    assert (site.specs / "web.yaml").read_text().startswith(after)
    said(site, "wait", "web", "mail", "--for", "running", "--timeout", "30s")
    site.until_running("web", "mail")
    assert sorted(site.living()) == ["mail/0", "mail/1", "web/0", "web/1", "web/2"]

    command = json.dumps(json.loads(before.split("command: ")[1].splitlines()[0]))
    said(site, "create", "extra", "--set", f"command={command}", "--set", "start_grace_ms=100", "--set", "env.N=1")
    said(site, "wait", "extra", "--for", "running", "--timeout", "30s")
    said(site, "set", "extra", "env.N=2", "replicas=x", code=2)
    said(site, "delete", "extra", "mail")
    said(site, "wait", "extra", "mail", "--for", "gone", "--timeout", "30s")
    assert sorted(path.name for path in site.specs.glob("*.yaml")) == ["web.yaml"]
    assert sorted(site.living()) == ["web/0", "web/1", "web/2"]


def test_documents_are_applied_whole_or_not_at_all(site: Installation) -> None:
    site.add("web", replicas=1)
    site.serve()
    site.until_running("web")
    wanted = site.root / "wanted.yaml"
    wanted.write_text(site.spec("web", replicas=2) + "---\n" + site.spec("mail") + "replicas: three\n")
    error = said(site, "apply", "-f", str(wanted), code=2)
    line = len(wanted.read_text().splitlines())
    assert f"{wanted}:{line}:11: expected an integer" in error
    assert sorted(path.name for path in site.specs.glob("*.yaml")) == ["web.yaml"]

    wanted.write_text(wanted.read_text().replace("three", "1"))
    assert said(site, "apply", "-f", str(wanted)).splitlines()[-2:] == [
        "✓ web: changed in web.yaml",
        "✓ mail: created as mail.yaml",
    ]
    said(site, "wait", "web", "mail", "--for", "ready", "--timeout", "30s")
    site.until_running("web", "mail")
    assert sorted(site.living()) == ["mail/0", "web/0", "web/1"]
    assert said(site, "apply", "-f", str(wanted)) == "= web: unchanged\n= mail: unchanged\n"


def test_a_spec_is_edited_in_an_editor_and_its_comments_stay(site: Installation, tmp_path: Path) -> None:
    site.write("web.yaml", site.spec("web") + "replicas: 1  # for now\nenv: {API_KEY: s3cret}\n")
    site.serve()
    site.until_running("web")
    editor = site.root / "editor.sh"
    editor.write_text('#!/bin/sh\ngrep -q s3cret "$1" && exit 9\nsed -i "s/replicas: 1/replicas: 2/" "$1"\n')
    editor.chmod(0o755)
    env = site.environment(WORKERCTL_SERVER=f"http://{site.listen}", EDITOR=str(editor), TMPDIR=str(tmp_path))
    subprocess.run([WORKERCTL, "edit", "web"], env=env, stdin=subprocess.DEVNULL, check=True, timeout=60)
    assert (site.specs / "web.yaml").read_text().endswith("replicas: 2  # for now\nenv: {API_KEY: s3cret}\n")
    assert list(tmp_path.iterdir()) == []
    said(site, "wait", "web", "--for", "running", "--timeout", "30s")
    site.until_running("web")
    assert sorted(site.living()) == ["web/0", "web/1"]
