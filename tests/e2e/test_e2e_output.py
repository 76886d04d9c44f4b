"""Every line that a worker prints is in the database once, in order, whoever of ours is killed meanwhile."""

from __future__ import annotations

import sqlite3
import zlib

import pytest

from tests.e2e.canary import LONG
from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

Row = tuple[str, str, int, str, int]


def stored(site: Installation, worker_id: str) -> list[Row]:
    """(run, stream, seq, text, partial) of a worker's rows, in the order of their ids; gaps are rows too."""
    connection = sqlite3.connect(f"file:{site.state}/workerctl.db?mode=ro", uri=True, timeout=20)
    try:
        columns, printed = "run, stream, seq, text, partial", "kind IN ('line', 'gap')"
        query = f"SELECT {columns} FROM worker_logs WHERE worker_id = ? AND {printed} ORDER BY id"
        return list(connection.execute(query, (worker_id,)))
    finally:
        connection.close()


def numbers(rows: list[Row]) -> list[int]:
    """The numbers of the lines. A line that is not whole, or no line of the canary, is an error."""
    found = []
    for row in rows:
        word, number, checksum = row[3].split(" ")
        assert f"{zlib.crc32(f'{word} {number}'.encode()):08x}" == checksum, row
        found.append(int(number))
    return found


def until_count(site: Installation, worker_id: str, count: int, patience_s: float = 60) -> list[Row]:
    def enough() -> list[Row] | None:
        rows = stored(site, worker_id)
        return rows if len(rows) >= count else None

    return eventually(enough, patience_s, told=f"{count} lines of {worker_id} are stored")


def assert_contiguous(rows: list[Row], count: int) -> None:
    """All lines of one life, each once, in order, without a hole in `seq`."""
    assert numbers(rows) == list(range(1, count + 1))
    assert len({row[0] for row in rows}) == 1
    seqs = [row[2] for row in rows]
    assert seqs == list(range(seqs[0], seqs[0] + count))


@pytest.mark.parametrize(
    "roles",
    [("controller",), ("agent",), ("controller", "agent"), ("controller", "agent", "keeper")],
    ids="-".join,
)
def test_lines_are_stored_once_and_in_order_over_repeated_deaths(site: Installation, roles: tuple[str, ...]) -> None:
    site.add("chatty", "--lines=1500", "--every=5", logs={"store_rate": 1_000_000})
    site.serve()
    site.until_running()
    for deaths in range(1, 5):
        until_count(site, "chatty", 150 * deaths)
        site.kill(*roles)
        if "controller" in roles:
            site.serve()
    assert_contiguous(until_count(site, "chatty", 1500), 1500)
    site.stop()
    assert_contiguous(stored(site, "chatty"), 1500)


def test_lines_of_every_life_are_stored_also_the_last_ones_before_a_kill(site: Installation) -> None:
    site.add("chatty", "--lines=200", "--every=1", restart_delay_ms=0, max_restart_attempts=None)
    site.serve()
    site.until_running()
    for lives in range(1, 4):
        until_count(site, "chatty", 200 * lives)
        site.until_reborn("chatty/0", site.kill_worker("chatty/0"))
    rows = until_count(site, "chatty", 800)
    runs = list(dict.fromkeys(row[0] for row in rows))
    assert runs == [start.run for start in site.journal("chatty/0").starts]
    for run in runs:
        assert numbers([row for row in rows if row[0] == run]) == list(range(1, 201))


def test_what_was_printed_while_the_controller_was_away_is_stored_by_the_next_one(site: Installation) -> None:
    site.add("chatty", "--lines=400", "--every=2", logs={"store_rate": 1_000_000})
    site.serve()
    until_count(site, "chatty", 20)
    site.kill("controller")
    log = next(iter((site.state / "logs/chatty/0").glob("*.stdout")))
    eventually(lambda: log.read_bytes().count(b"\n") == 400, told="all lines are printed")
    site.serve()
    assert_contiguous(until_count(site, "chatty", 400), 400)


def test_the_last_lines_of_a_graceful_end_are_stored(site: Installation) -> None:
    site.add("polite", command="trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.05; done")
    # Reading is slow: the agent must wait for it.
    site.serve(WORKERCTL_FAIL="controller.before_log_read=sleep(0.4)")
    until_count(site, "polite", 1)
    site.stop()
    assert [row[3] for row in stored(site, "polite") if row[1] == "stdout"] == ["hello", "bye"]


def test_the_lines_of_a_removed_worker_stay(site: Installation) -> None:
    site.add("chatty", "--lines=50", "--every=1")
    site.add("other")
    site.serve()
    until_count(site, "chatty", 50)
    (site.specs / "chatty.yaml").unlink()
    eventually(lambda: "chatty" not in site.workers(), told="it is gone")
    assert_contiguous(stored(site, "chatty"), 50)
    assert site.run("logs", "chatty", "-n", "50").out.count("\n") == 50


def test_output_that_no_text_file_should_have_is_stored_readably(site: Installation) -> None:
    site.add("odd", "--odd")
    site.serve()
    site.until_running()
    eventually(lambda: any(row[3].startswith("esc ") for row in stored(site, "odd")), told="all but the last")
    assert site.run("stop", "odd", "--wait", "20").code == 0
    eventually(lambda: any(row[3] == "no end" for row in stored(site, "odd")), told="the line without an end")
    rows = stored(site, "odd")
    texts = [row[3] for row in rows]
    assert texts[0] == "plain"
    long = [text for text in texts if text and set(text) == {"x"}]
    assert "".join(long) == "x" * LONG
    assert len(long) > 1, "a long line is split at a cap"
    assert [row[4] for row in rows if set(row[3]) == {"x"}] == [1] * (len(long) - 1) + [0]
    rest = texts[1 + len(long) :]
    assert rest[0] == "bad \\xff\\xfe utf"
    assert rest[1] == "nul \\x00 here"
    assert rest[2] == "esc \x1b[31mred"
    assert rest[3] == "no end"
    assert len(rest) == 4
    shown = site.run("logs", "odd", "-n", "10000")
    assert shown.code == 0
    assert "no end" in shown.out


def test_stdout_and_stderr_are_kept_apart(site: Installation) -> None:
    site.add("both", command="echo out; echo err >&2; exec sleep 1000")
    site.serve()
    rows = until_count(site, "both", 2)
    assert {row[1]: row[3] for row in rows} == {"stdout": "out", "stderr": "err"}
    assert site.run("logs", "both", "--stream", "stderr").out == "err\n"


def test_a_flood_is_thinned_with_a_record_and_disturbs_nobody(site: Installation) -> None:
    site.add("flood", command="i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exec sleep 1000",
             logs={"store_rate": 100})  # fmt: skip
    site.add("chatty", "--lines=100", "--every=5")
    site.serve()
    assert_contiguous(until_count(site, "chatty", 100), 100)
    connection = sqlite3.connect(f"file:{site.state}/workerctl.db?mode=ro", uri=True, timeout=20)
    try:
        query = "SELECT count(*) FROM worker_logs WHERE worker_id = 'flood' AND kind = 'gap'"
        eventually(lambda: connection.execute(query).fetchone()[0] > 0, told="a gap is recorded")
    finally:
        connection.close()


def test_a_file_that_the_worker_truncates_loses_nothing_that_was_read(site: Installation) -> None:
    site.add("cutter", command="echo one; echo two; sleep 1; echo three > /dev/stdout; exec sleep 1000")
    site.serve()
    eventually(lambda: "three" in str(stored(site, "cutter")), told="the line after it is stored")
    site.stop()
    lines = [row[3] for row in stored(site, "cutter") if "truncated by the writer" not in row[3]]
    assert lines == ["one", "two", "three"]
