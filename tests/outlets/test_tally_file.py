"""The memory of restarts: whoever comes next tells no less, and counts nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.outlets.tally import Tally
from controller.outlets.tally_file import TallyFile
from tests.outlets.test_tally import slots


def next_one(path: Path) -> Tally:
    """What a controller begins with."""
    tally = Tally()
    TallyFile(path).restore(tally)
    return tally


def test_what_a_slot_counted_that_went_is_still_told_by_the_next_controller(tmp_path: Path) -> None:
    path, tally = tmp_path / "tally.json", Tally()
    assert [tally.restarts("web", slots(*counts)) for counts in ((4, 3), (4,))] == [7, 7]
    TallyFile(path).keep(tally.kept())
    again = next_one(path)
    assert [again.restarts("web", slots(*counts)) for counts in ((4,), (6,), (6, 0), (6, 1))] == [7, 9, 9, 10]


def test_a_slot_that_cannot_be_seen_for_a_while_is_not_counted_anew(tmp_path: Path) -> None:
    path, tally = tmp_path / "tally.json", Tally()
    tally.restarts("web", slots(4, 3))
    TallyFile(path).keep(tally.kept())
    again = next_one(path)
    assert [again.restarts("web", slots(*counts)) for counts in ((None, None), (4, 5))] == [7, 9]


def test_a_worker_that_went_is_kept_no_longer(tmp_path: Path) -> None:
    path, tally = tmp_path / "tally.json", Tally()
    tally.restarts("web", slots(4))
    file = TallyFile(path)
    file.keep(tally.kept())
    tally.forget_others(set())
    file.keep(tally.kept())
    assert path.read_text() == "{}"


def test_it_is_written_where_there_is_news_only(tmp_path: Path) -> None:
    path, tally = tmp_path / "tally.json", Tally()
    tally.restarts("web", slots(4))
    TallyFile(path).keep(tally.kept())
    file = TallyFile(path)
    file.restore(Tally())
    path.unlink()
    file.keep(tally.kept())
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"web": 3}', '{"web": [1, [["a"]]]}', '{"web": ["x", []]}', "\xff"])
def test_what_cannot_be_read_is_begun_anew(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tally.json"
    path.write_bytes(text.encode("latin-1"))
    assert next_one(path).restarts("web", slots(1)) == 1


def test_where_it_cannot_be_written_that_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tally, file = Tally(), TallyFile(tmp_path / "none" / "tally.json")
    tally.restarts("web", slots(4))
    file.keep(tally.kept())
    file.keep(tally.kept())
    (record,) = caplog.records
    assert record.message.startswith("the totals of restarts are not kept: ")
