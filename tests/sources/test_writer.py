"""Writing specs: the smallest edit, judged before it is made, never over somebody else's."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.core.authorship import (
    SpecInvalid,
    SpecOutcome,
    SpecRefused,
    SpecStale,
    SpecUnknown,
    SpecWish,
    SpecWritten,
)
from controller.core.config_views import shown_spec
from controller.sources.writer import SpecWriter, etag_of
from tests.sources.specs_builder import SpecsDirectory, states, worker

WEB = b"""\
# the front door
worker_id: web
command: [sleep, '60']  # forever
env: {API_TOKEN: abc, A: "1"}
"""


class Place:
    """A specs directory that was read, and a writer for it."""

    def __init__(self, folder: Path, **files: bytes | str) -> None:
        self.specs = SpecsDirectory(folder)
        for name, text in files.items():
            self.specs.write(f"{name}.yaml", text)
        self.specs.result()
        self.writer = SpecWriter(self.specs.source, shown=shown_spec, now=lambda: self.specs.now)

    def write(
        self, action: Any, worker_id: str = "web", body: Mapping[str, Any] | None = None, **more: Any
    ) -> SpecOutcome:
        return self.writer.write(SpecWish(action=action, worker_id=worker_id, actor="ann", body=body or {}, **more))

    def read(self, name: str = "web") -> bytes:
        return (self.specs.root / f"{name}.yaml").read_bytes()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.specs.root))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, web=WEB)


def written(outcome: SpecOutcome) -> SpecWritten:
    assert isinstance(outcome, SpecWritten), outcome
    return outcome


def test_a_created_spec_has_a_file_of_its_own_and_counts_at_the_next_scan(place: Place) -> None:
    outcome = written(place.write("create", "db", {"command": ["sleep", "1"], "name": "主"}))
    assert place.read("db") == 'worker_id: db\ncommand: [sleep, "1"]\nname: "主"\n'.encode()
    assert (outcome.file, outcome.etag) == ("db.yaml", etag_of(place.read("db")))
    os.utime(place.specs.root / "db.yaml", (place.specs.now, place.specs.now))
    assert states(place.specs.result().desired) == {"db": "good", "web": "good"}
    assert place.names() == ["db.yaml", "web.yaml"]


def test_a_patch_changes_what_it_names(place: Place) -> None:
    outcome = written(place.write("patch", body={"env": {"A": "2"}, "replicas": 3}))
    assert place.read() == WEB.replace(b'"1"', b'"2"') + b"replicas: 3\n"
    assert outcome.worker is not None
    assert (outcome.worker.spec.replicas, outcome.worker.spec.env["API_TOKEN"]) == (3, "abc")


def test_what_is_put_back_as_it_was_shown_is_not_written(place: Place) -> None:
    shown = shown_spec(place.specs.result().desired.workers["web"].spec)
    assert shown["env"]["API_TOKEN"] == "***"
    before = (place.specs.root / "web.yaml").stat()
    outcome = written(place.write("replace", body=shown))
    after = (place.specs.root / "web.yaml").stat()
    assert (outcome.is_changed, before.st_ino, before.st_mtime_ns) == (False, after.st_ino, after.st_mtime_ns)
    place.write("replace", body={**shown, "replicas": 2})
    assert place.read() == WEB + b"replicas: 2\n"


def test_the_sign_for_a_hidden_value_is_never_written(place: Place) -> None:
    outcome = place.write("patch", body={"env": {"OTHER_TOKEN": "***"}})
    assert isinstance(outcome, SpecInvalid)
    assert [problem.pointer for problem in outcome.problems] == ["/env/OTHER_TOKEN"]
    assert place.read() == WEB


def test_a_deleted_spec_is_gone_at_the_next_scan_without_a_guard(tmp_path: Path) -> None:
    place = Place(tmp_path, **{f"w{number}": worker(f"w{number}") for number in range(6)})
    for number in range(5):
        written(place.write("delete", f"w{number}"))
    desired = place.specs.result().desired
    assert sorted(desired.workers) == ["w5"]
    assert {worker_id: removal.asked for worker_id, removal in desired.removed.items()} == dict.fromkeys(
        ("w0", "w1", "w2", "w3", "w4"), True
    )
    assert place.names() == ["w5.yaml"]


def test_a_file_that_is_not_there_for_a_moment_is_waited_for(place: Place) -> None:
    place.specs.remove("web.yaml")
    outcome = place.write("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert (outcome.reason, outcome.message) == ("busy", "web.yaml is not there now")


def test_the_last_spec_can_be_deleted(place: Place) -> None:
    written(place.write("delete"))
    desired = place.specs.result().desired
    assert (desired.hold_reason, list(desired.workers), list(desired.removed)) == ("", [], ["web"])


def test_a_worker_that_comes_back_after_its_deletion_is_not_deleted_again(place: Place) -> None:
    place.specs.write("other.yaml", worker("other"))
    place.specs.result()
    written(place.write("delete"))
    place.specs.write("web.yaml", WEB)
    assert "web" in place.specs.result().desired.workers
    place.specs.remove("web.yaml")
    assert "web" in place.specs.later().result().desired.workers, "a person's deletion needs a second look"


def test_one_of_several_documents_is_cut_out(tmp_path: Path) -> None:
    place = Place(tmp_path, all=f"# both\n{worker('a')}---\n{worker('b')}")
    written(place.write("delete", "a"))
    assert place.read("all") == f"---\n{worker('b')}".encode()


@pytest.mark.parametrize("action", ["replace", "patch", "delete"])
def test_a_stale_etag_writes_nothing(place: Place, action: str) -> None:
    outcome = place.write(action, if_match=frozenset(['"other"']))
    assert (outcome, place.read()) == (SpecStale(etag=etag_of(WEB)), WEB)
    assert isinstance(place.write(action, body={"command": "x"}, if_match=frozenset([etag_of(WEB)])), SpecWritten)


@pytest.mark.parametrize("action", ["replace", "patch", "delete", "state"])
def test_an_unknown_worker_is_unknown(place: Place, action: str) -> None:
    assert place.write(action, "nobody", {"desired_state": "running"}) == SpecUnknown()


def test_an_edit_of_a_moment_ago_is_kept(place: Place) -> None:
    (place.specs.root / "web.yaml").write_bytes(WEB + b"name: mine\n")
    written(place.write("patch", body={"replicas": 2}))
    assert place.read() == WEB + b"name: mine\nreplicas: 2\n"


def test_what_would_not_be_accepted_is_not_written_and_every_fault_is_told(place: Place) -> None:
    outcome = place.write("patch", body={"replicas": "x", "portt": 1, "env": {"A": 1}})
    assert isinstance(outcome, SpecInvalid)
    assert [(problem.pointer, problem.file, problem.line) for problem in outcome.problems] == [
        ("/env/A", "", None), ("/replicas", "", None), ("/portt", "", None),
    ]  # fmt: skip
    assert place.read() == WEB
    for body, pointer in (
        ({"name": "\ud800"}, "/name"), ({"name": "a\x00"}, "/name"), ({"port": 10**30}, "/port"),
        ({"env": {"\ud800": "x"}}, "/env"),
    ):  # fmt: skip
        outcome = place.write("create", "db", body)
        assert isinstance(outcome, SpecInvalid)
        assert [problem.pointer for problem in outcome.problems] == [pointer]
    assert place.names() == ["web.yaml"]


def test_a_port_that_another_worker_has_is_told_before_anything_is_written(tmp_path: Path) -> None:
    place = Place(tmp_path, web=WEB + b"port: 4000\n")
    outcome = place.write("create", "db", {"port": 4000})
    assert isinstance(outcome, SpecInvalid)
    assert place.names() == ["web.yaml"]


def test_a_name_that_is_taken_is_refused_with_its_place(place: Place) -> None:
    (place.specs.root / "seen-by-nobody.yaml").write_text("# not read yet")
    place.specs.write("shop.yaml", "# two\nworker_id: api\n---\n\nworker_id: db\ncommand: [db]\n")
    place.specs.settled()
    told: dict[str, str] = {}
    for worker_id in ("web", "db", "seen-by-nobody"):
        outcome = place.write("create", worker_id, {"command": ["x"]})
        assert isinstance(outcome, SpecRefused)
        assert outcome.reason == "exists"
        told[outcome.message] = outcome.hint
    assert told == {
        f"{name} stands in {where} already": (
            f"`workerctl set {name} PATH=VALUE` or `workerctl edit {name}` changes it, PATCH over the API"
        )
        for name, where in (("web", "web.yaml:2"), ("db", "shop.yaml:5"))
    } | {
        "seen-by-nobody.yaml is there already, without seen-by-nobody": (
            "put seen-by-nobody into it as one more document, after `---`, or rename that file"
        )
    }


def test_what_cannot_be_cut_is_refused_and_can_be_written_anew(tmp_path: Path) -> None:
    text = b"worker_id: web\nenv: &e {A: b}  # shared\nlabels: *e\n"
    place = Place(tmp_path, web=text)
    outcome = place.write("patch", body={"env": {"A": "c"}})
    assert isinstance(outcome, SpecRefused)
    assert outcome.reason == "not_surgical"
    assert "line 2: `env` cannot be changed" in outcome.message
    written(place.write("patch", body={"env": {"A": "c"}}, rewrite=True))
    assert place.read() == b"worker_id: web\nenv:\n  A: c\nlabels:\n  A: b\n"


def test_a_broken_file_is_refused_with_its_faults(place: Place) -> None:
    place.specs.write("web.yaml", WEB + b"env: [\n")
    place.specs.result()
    outcome = place.write("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert (outcome.reason, outcome.hint) == ("broken_file", "correct web.yaml, then try again")
    assert [(problem.file, problem.line) for problem in outcome.problems] == [("web.yaml", 6)]


def test_a_dry_run_writes_nothing(place: Place) -> None:
    outcome = written(place.write("create", "db", {"replicas": 2}, dry_run=True))
    assert outcome.worker is not None
    assert len(outcome.worker.instances) == 2
    written(place.write("delete", dry_run=True))
    written(place.write("patch", body={"replicas": 9}, dry_run=True))
    assert (place.names(), place.read()) == (["web.yaml"], WEB)


@pytest.mark.parametrize(
    ("text", "state", "after"),
    [
        (WEB, "running", WEB),
        (WEB, "stopped", WEB + b"desired_state: stopped\n"),
        (WEB + b"desired_state: stopped  # x\n", "running", WEB + b"desired_state: running  # x\n"),
        (WEB + b"auto_start: false\n", "running", WEB + b"auto_start: false\ndesired_state: running\n"),
        (WEB + b"desired_state: stopped\n", "stopped", WEB + b"desired_state: stopped\n"),
    ],
)
def test_a_state_is_written_where_the_file_does_not_ask_for_it_already(
    tmp_path: Path, text: bytes, state: str, after: bytes
) -> None:
    place = Place(tmp_path, web=text)
    outcome = written(place.write("state", body={"desired_state": state}))
    assert (place.read(), outcome.is_changed) == (after, text != after)


def test_many_writers_lose_no_update(place: Place) -> None:
    def patch(number: int) -> None:
        while not isinstance(place.write("patch", body={"env": {f"N{number}": str(number)}}), SpecWritten):
            pass

    threads = [threading.Thread(target=patch, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        place.specs.source.scan(place.specs.now)
    for thread in threads:
        thread.join()
    env = place.specs.later().result().desired.workers["web"].spec.env
    assert {f"N{number}": str(number) for number in range(12)}.items() <= env.items()
    assert place.names() == ["web.yaml"]


def test_nothing_is_written_while_the_directory_is_held(place: Place, tmp_path: Path) -> None:
    os.rename(place.specs.root, tmp_path / "away")
    place.specs.result()
    outcome = place.write("create", "db")
    assert isinstance(outcome, SpecRefused)
    assert outcome.reason == "source_held"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_said(place: Place) -> None:
    place.specs.root.chmod(0o500)
    outcome = place.write("patch", body={"replicas": 2})
    place.specs.root.chmod(0o700)
    assert isinstance(outcome, SpecRefused)
    assert outcome.reason == "read_only_source"
