"""The journal after torn lines, lost files, floods and full disks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from controller.agent import journal as journal_module
from controller.agent.flusher import Flusher
from controller.agent.journal import EVENTS_KEPT, FOLD_OVER, SEGMENT_EVENTS, Event, Journal


class Book:
    """A journal over a folder, with what it published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flusher = Flusher()
        self.published: list[Event] = []
        self.journal = Journal(str(folder), "boot", self.flusher, self.published.append)

    def write(self, count: int = 1, *, slot: str | None = None, kind: str = "started", mono: float = 0.0) -> None:
        for _ in range(count):
            self.journal.append({"at": 1.0, "type": kind, "slot": slot, "message": "m", "data": {}}, mono=mono)

    async def close(self) -> None:
        await self.flusher.close()
        self.journal.close()

    async def reopened(self) -> Book:
        await self.close()
        return Book(self.folder)

    def read(self, seq: int = 0, journal_id: str | None = None) -> list[Event]:
        """All after a cursor, by portions."""
        found: list[Event] = []
        cursor: tuple[str | None, int] = (journal_id or self.journal.journal_id, seq)
        while events := self.journal.read(*cursor, limit=100):
            found += events
            cursor = (events[-1]["journal_id"], events[-1]["seq"])
        return found


def seqs(events: list[Event]) -> list[int]:
    return [event["seq"] for event in events]


def lines(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


async def test_events_are_published_in_order_once_durable_and_read_after_any_cursor(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(5)
    assert book.read() == []
    await book.flusher.flushed()
    assert seqs(book.published) == [1, 2, 3, 4, 5]
    assert seqs(book.read(3)) == [4, 5]
    assert book.read() == book.published
    await book.close()


async def test_numbers_and_identity_go_on_after_a_restart(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(3)
    identity = book.journal.journal_id
    book = await book.reopened()
    book.write(2)
    await book.flusher.flushed()
    assert (book.journal.journal_id, seqs(book.read())) == (identity, [1, 2, 3, 4, 5])
    await book.close()


async def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(3)
    await book.close()
    path = lines(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-10])
    book = Book(tmp_path)
    book.write()
    await book.flusher.flushed()
    assert seqs(book.read()) == [1, 2, 3]
    assert [event["message"] for event in book.read()] == ["m", "m", "m"]
    await book.close()


async def test_a_line_that_does_not_read_becomes_a_gap(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(4)
    await book.close()
    path = lines(tmp_path)[0]
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([content[0], b"rubbish\n", b"\0\0\n", content[3]]))
    book = Book(tmp_path)
    events = book.read()
    assert [(event["seq"], event["type"]) for event in events] == [(1, "started"), (3, "gap"), (4, "started")]
    assert events[1]["data"] == {"from": 2, "to": 3}
    await book.close()


async def test_old_segments_go_and_an_old_cursor_gets_a_gap(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(EVENTS_KEPT + 2 * SEGMENT_EVENTS)
    await book.flusher.flushed()
    first = int(lines(tmp_path)[0].stem)
    assert EVENTS_KEPT <= book.journal.last_seq - first + 1 < EVENTS_KEPT + 2 * SEGMENT_EVENTS
    assert book.read(5)[0]["data"] == {"from": 6, "to": first - 1}
    assert seqs(book.read(5)) == list(range(first - 1, book.journal.last_seq + 1))
    await book.close()


async def test_a_cursor_of_another_journal_gets_a_gap_and_all_that_there_is(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(2)
    await book.flusher.flushed()
    events = book.read(900, journal_id="another")
    assert [(event["seq"], event["type"]) for event in events] == [(0, "gap"), (1, "started"), (2, "started")]
    assert events[0]["data"] == {"from": 901, "to": 0, "journal_id": "another"}
    await book.close()


async def test_a_journal_that_lost_its_identity_begins_anew(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(2)
    identity = book.journal.journal_id
    await book.close()
    (tmp_path / "id").write_bytes(b"rubbish")
    book = Book(tmp_path)
    assert (book.journal.journal_id != identity, book.journal.last_seq) == (True, 0)
    await book.close()


async def set_back(book: Book, folder: Path) -> Book:
    """Three events, a copy, three more that are told, and the copy in the place of the folder."""
    book.write(3)
    await book.flusher.flushed()
    shutil.copytree(folder, folder.with_name("copy"))
    book.write(3, kind="told")
    await book.close()
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    return Book(folder)


async def test_an_older_copy_goes_on_as_another_journal_and_repeats_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    book = Book(folder)
    identity = book.journal.journal_id
    book = await set_back(book, folder)
    book.write(4, kind="news")  # more than were told: a cursor of before lies within
    await book.flusher.flushed()
    assert book.journal.journal_id != identity
    for _ in range(2):
        found = book.read(6, journal_id=identity)
        assert [(event["seq"], event["type"]) for event in found] == [
            (3, "gap"), (4, "news"), (5, "news"), (6, "news"), (7, "news"),
        ]  # fmt: skip
        assert {event["journal_id"] for event in found} == {book.journal.journal_id}
        book = await book.reopened()
    await book.close()


async def test_a_cursor_that_is_ahead_shows_that_the_journal_was_set_back(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(3)
    await book.flusher.flushed()
    book = await book.reopened()
    book.write(kind="news")
    await book.flusher.flushed()
    identity = book.journal.journal_id
    found = book.read(9, journal_id=identity)
    assert [(event["seq"], event["type"]) for event in found] == [(3, "gap"), (4, "news")]
    assert {event["journal_id"] for event in found} == {book.journal.journal_id} != {identity}
    book.write(kind="news")
    await book.flusher.flushed()
    assert seqs(book.read(4)) == [5]
    book = await book.reopened()
    assert seqs(book.read(0)) == [3, 4, 5]
    await book.close()


async def test_a_journal_whose_folder_went_goes_on_with_its_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    book = Book(folder)
    book.write(3)
    await book.flusher.flushed()
    shutil.rmtree(folder)
    book.journal.write_again()
    book.write(2)
    await book.flusher.flushed()
    assert [(event["seq"], event["type"]) for event in book.read(1)] == [(3, "gap"), (4, "started"), (5, "started")]
    book = await book.reopened()
    assert (seqs(book.read(3)), seqs(book.published)) == ([4, 5], [])
    await book.close()


async def test_an_identity_of_the_first_version_is_kept(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(2)
    identity = book.journal.journal_id
    await book.close()
    (tmp_path / "id").write_text(identity)
    for _ in range(2):
        book = Book(tmp_path)
        assert (book.journal.journal_id, seqs(book.read())) == (identity, [1, 2])
        await book.close()


async def test_a_slot_that_floods_is_folded_to_counts_and_others_are_not(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for at in range(100):
        book.write(slot="bad/0", kind="started", mono=at / 10)
        book.write(slot="bad/0", kind="exited", mono=at / 10)
        book.write(slot="good/0", mono=at)
    book.journal.unfold(mono=30.0, wall=5.0)
    book.journal.unfold(mono=70.0, wall=6.0)
    await book.flusher.flushed()
    bad = [event for event in book.published if event["slot"] == "bad/0"]
    assert len(bad) == FOLD_OVER + 1
    assert (bad[-1]["type"], bad[-1]["data"]) == ("repeated", {"counts": {"exited": 70, "started": 70}})
    assert seqs(book.published) == list(range(1, len(book.published) + 1))
    book.write(slot="bad/0", mono=71.0)
    await book.flusher.flushed()
    assert book.published[-1]["type"] == "started"
    await book.close()


async def test_events_wait_in_memory_while_the_disk_takes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    book = Book(folder)
    os.rename(folder, tmp_path / "away")
    book.write(3)
    assert (book.published, book.read()) == ([], [])
    assert book.journal.failure.startswith("cannot write the journal, 3 events wait: ")
    os.rename(tmp_path / "away", folder)
    book.write()
    await book.flusher.flushed()
    assert (seqs(book.published), book.journal.failure) == ([1, 2, 3, 4], "")
    assert seqs(book.read()) == [1, 2, 3, 4]
    book = await book.reopened()
    assert seqs(book.read()) == [1, 2, 3, 4]
    await book.close()


async def test_what_waits_is_written_and_told_without_another_event(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    book = Book(folder)
    os.rename(folder, tmp_path / "away")
    book.write(2)
    book.journal.retry()
    assert book.published == []
    os.rename(tmp_path / "away", folder)
    book.journal.retry()
    await book.flusher.flushed()
    assert (seqs(book.published), seqs(book.read())) == ([1, 2], [1, 2])
    await book.close()


async def test_no_number_that_was_told_is_given_again_after_a_kill_on_a_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    killed = Book(folder)
    killed.write(2, kind="before")
    await killed.flusher.flushed()
    killed.journal.close()
    os.rename(folder, tmp_path / "away")
    killed.write(3, kind="lost")
    os.rename(tmp_path / "away", folder)
    after = Book(folder)
    after.write(2, kind="after")
    await after.flusher.flushed()
    told = {event["seq"]: event["type"] for event in killed.published}
    assert told == {1: "before", 2: "before"}
    assert {event["seq"]: event["type"] for event in after.read()} == {**told, 3: "after", 4: "after"}
    await after.close()
    await killed.flusher.close()


async def test_a_long_message_is_cut(tmp_path: Path) -> None:
    book = Book(tmp_path)
    value: dict[str, Any] = {"at": 1.0, "type": "x", "slot": None, "message": "m" * 100_000, "data": {}}
    book.journal.append(value, mono=0.0)
    await book.flusher.flushed()
    assert len(book.published[0]["message"]) == journal_module.MESSAGE_LIMIT + 4
    await book.close()
