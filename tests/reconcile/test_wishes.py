"""The book of wishes: durable when made, gone when served, whatever dies in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from controller.core.intents import Intents, Keep, RunIntent
from controller.core.keeps import Clocks
from controller.reconcile.wishes import CONFIRMATION_LIVES_S, WishBook, read_keeps
from tests.core.core_builders import NOW


def intent(number: int = 7, worker_id: str = "web", **fields: Any) -> RunIntent:
    values = {"kind": "restart", "at": NOW, "actor": "alice", "reason": "ünïcode", **fields}
    return RunIntent(worker_id=worker_id, number=number, **values)


def test_wishes_and_confirmations_outlive_the_process(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    book.wish(intent())
    book.wish(intent(9, "api", kind="start"))
    book.confirm("abc123", NOW)
    wanted = Intents(runs={"web": intent(), "api": intent(9, "api", kind="start")}, confirmed=frozenset({"abc123"}))
    assert book.intents == wanted
    assert WishBook(tmp_path).intents == wanted


def test_a_folder_that_was_removed_is_made_anew_with_all_that_is_live(tmp_path: Path) -> None:
    (tmp_path / "intents").mkdir()
    book = WishBook(tmp_path / "intents")
    book.wish(intent())
    book.confirm("abc123", NOW)
    shutil.rmtree(tmp_path / "intents")
    book.wish(intent(9, "api"))
    assert WishBook(tmp_path / "intents").intents == book.intents
    shutil.rmtree(tmp_path / "intents")
    book.forget_run("web")  # nothing to remove, and no error
    assert list(book.intents.runs) == ["api"]


def test_a_served_wish_is_gone_for_good(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    book.wish(intent())
    book.forget_run("web")
    book.forget_run("web")
    assert WishBook(tmp_path).intents == book.intents == Intents()
    assert list(tmp_path.iterdir()) == []


def test_a_newer_wish_is_not_forgotten_for_an_older_one(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    book.wish(intent(7))
    book.wish(intent(8))
    book.forget_run("web", 7)
    assert WishBook(tmp_path).intents.runs == book.intents.runs == {"web": intent(8)}


def test_an_older_wish_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    book.wish(intent(8))
    book.wish(intent(7))
    assert book.intents.runs == {"web": intent(8)}


def test_numbers_only_grow_also_when_the_clock_goes_back(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    first = book.next_number("web", 1000.0)
    assert first == 1_000_000
    assert book.next_number("web", 1000.0) == first + 1
    assert book.next_number("web", 10.0) == first + 2
    assert book.next_number("api", 10.0, served=5_000_000) == 5_000_001
    book.wish(intent(9_000_000))
    assert WishBook(tmp_path).next_number("web", 10.0) == 9_000_001


@pytest.mark.parametrize("digest", ["", "../up", "a" * 65, "ä"])
def test_a_digest_that_is_none_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="as shown in the hold"):
        WishBook(tmp_path).confirm(digest, NOW)


def test_a_confirmation_is_gone_with_the_guard_that_it_was_for(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    for digest in ("done", "live", "new"):
        book.confirm(digest, NOW)
    book.forget_confirmations(frozenset({"done", "live"}), frozenset({"live"}))
    assert WishBook(tmp_path).intents.confirmed == book.intents.confirmed == {"live", "new"}


def test_while_it_is_not_certain_what_stands_only_old_confirmations_are_dropped(tmp_path: Path) -> None:
    book = WishBook(tmp_path)
    book.confirm("old", NOW - CONFIRMATION_LIVES_S - 1)
    book.confirm("live", NOW - CONFIRMATION_LIVES_S - 1)
    book.confirm("new", NOW)
    book.forget_confirmations(book.intents.confirmed, frozenset({"live"}), NOW)
    assert WishBook(tmp_path).intents.confirmed == book.intents.confirmed == {"live", "new"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b'{"run": 3}',
        b'{"run": {"worker_id": "web"}}',
        json.dumps({"run": {"worker_id": "web", "kind": "dance", "number": 1, "at": 1}}).encode(),
        json.dumps({"run": {"worker_id": "other", "kind": "start", "number": 1, "at": 1}}).encode(),
        json.dumps({"run": {"worker_id": "web", "kind": "start", "number": "x", "at": 1}}).encode(),
        json.dumps({"run": {"worker_id": "web", "kind": "start", "number": 1, "at": 1, "actor": 5}}).encode(),
    ],
)
def test_a_file_that_cannot_be_read_is_put_aside_and_the_others_count(tmp_path: Path, content: bytes) -> None:
    book = WishBook(tmp_path)
    book.wish(intent(worker_id="good"))
    (tmp_path / "run-web.json").write_bytes(content)
    assert WishBook(tmp_path).intents.runs == {"good": intent(worker_id="good")}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run-good.json", "run-web.bad"]


def test_a_file_that_cannot_be_removed_is_told_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = WishBook(tmp_path)
    book.wish(intent())
    (tmp_path / "run-web.json").unlink()
    (tmp_path / "run-web.json").mkdir()
    book.forget_run("web")
    assert book.intents.runs == {}
    assert "could not be removed" in caplog.text


def test_many_at_once_leave_file_and_memory_alike(tmp_path: Path) -> None:
    book = WishBook(tmp_path)

    def work(start: int) -> None:
        for number in range(start, 60, 4):
            book.wish(intent(number + 1))
            book.forget_run("web", number)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert WishBook(tmp_path).intents == book.intents
    assert book.intents.runs in ({"web": intent(60)}, {})


@pytest.mark.parametrize(
    ("point", "kept"),
    [("controller.before_intent", 0), ("controller.before_state_rename", 0), ("controller.after_intent", 1)],
)
def test_a_kill_leaves_the_wish_whole_or_not_at_all(tmp_path: Path, point: str, kept: int) -> None:
    code = (
        "import sys; from pathlib import Path; from controller.reconcile.wishes import WishBook\n"
        "from controller.core.intents import RunIntent\n"
        "WishBook(Path(sys.argv[1])).wish(RunIntent(worker_id='web', kind='start', number=1, at=1.0))"
    )
    fails = {**os.environ, "WORKERCTL_FAIL": f"{point}=kill"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=fails, check=False)
    assert done.returncode == -9
    assert len(WishBook(tmp_path).intents.runs) == kept
    assert len(list(tmp_path.iterdir())) == kept, "nothing half is left"


# --- keeps -----------------------------------------------------------------------------------------------------------


class Hands:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.clocks = Clocks(wall=NOW, boot_id="first", boot_s=500.0)

    def __call__(self) -> Clocks:
        return self.clocks

    def move(self, *, seconds: float = 0.0, wall: float = 0.0, boot_id: str = "first") -> None:
        boot_s = self.clocks.boot_s + seconds if boot_id == self.clocks.boot_id else seconds
        self.clocks = Clocks(wall=self.clocks.wall + seconds + wall, boot_id=boot_id, boot_s=boot_s)


def keep(worker_id: str = "web", **fields: Any) -> Keep:
    values = {"wanted": "stopped", "at": NOW, "until": NOW + 3600, "actor": "alice", "reason": "ünïcode", **fields}
    return Keep(worker_id=worker_id, **values)


def test_a_keep_outlives_the_process_and_ends_when_its_time_is_over_whatever_the_clock_says(tmp_path: Path) -> None:
    hands = Hands()
    book = WishBook(tmp_path, hands)
    book.keep(keep())
    assert book.intents.keeps == WishBook(tmp_path, hands).intents.keeps
    hands.move(seconds=600.0, wall=7200.0)
    book.follow_clocks()
    assert book.intents.keeps["web"].until == NOW + 7200 + 3600
    assert WishBook(tmp_path, hands).intents.keeps == book.intents.keeps, "it is on disk as well"
    hands.move(seconds=60.0, wall=-7200.0)  # while no controller is there
    assert WishBook(tmp_path, hands).intents.keeps["web"].until == NOW + 3600


def test_after_a_reboot_a_keep_goes_on_by_the_wall_clock_and_is_bound_to_the_new_boot(tmp_path: Path) -> None:
    hands = Hands()
    WishBook(tmp_path, hands).keep(keep())
    hands.move(seconds=20.0, wall=100.0, boot_id="second")
    assert WishBook(tmp_path, hands).intents.keeps["web"].until == NOW + 3600
    hands.move(wall=-1000.0, boot_id="second")
    assert WishBook(tmp_path, hands).intents.keeps["web"].until == NOW + 2600


def test_a_keep_that_was_made_anew_is_not_ended_for_an_older_one(tmp_path: Path) -> None:
    book = WishBook(tmp_path, Hands())
    book.keep(keep())
    first = book.intents.keeps["web"]
    book.keep(keep(until=NOW + 60))
    assert book.end_keep("web", first) is None
    assert book.end_keep("web") is not None
    assert (book.intents, list(tmp_path.iterdir())) == (Intents(), [])


def test_keeps_are_read_by_others_without_a_trace(tmp_path: Path) -> None:
    book = WishBook(tmp_path, Hands())
    book.keep(keep())
    (tmp_path / "keep-odd.json").write_text('{"keep": {"worker_id": "even", "wanted": "stopped"}}')
    (tmp_path / "keep-half.json").write_text("{")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert read_keeps(tmp_path) == book.intents.keeps
    assert read_keeps(tmp_path / "nowhere") == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_keep_of_a_version_that_knew_one_clock_only_counts(tmp_path: Path) -> None:
    old = {"worker_id": "web", "wanted": "stopped", "until": NOW + 60, "at": NOW, "actor": "a", "reason": ""}
    (tmp_path / "keep-web.json").write_text(json.dumps({"keep": old}))
    assert WishBook(tmp_path, Hands()).intents.keeps["web"].until == NOW + 60
