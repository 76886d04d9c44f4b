"""Log lines from the store, searched where the question has words in it. Blocking; runs in a thread.

The store selects by worker, stream, run and time, by index. Texts and levels are looked for here, page by page, as
plain substrings: a search costs what it reads, and nothing that a person types can make it cost more. One answer reads
at most MAX_SCANNED lines; it then says how far it came, and asking again from there goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.api.ports import LogQuery
from controller.store import LogQuery as StoreLogQuery
from controller.store.queries import MAX_LINES, Reader
from controller.store.records import StoredLine

MAX_SCANNED = 100_000
PAGE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines, oldest first. `edge`: the last line that was considered, in the question's direction; None: all were."""

    lines: tuple[StoredLine, ...]
    edge: int | None


def find_lines(reader: Reader, query: LogQuery) -> Lines:
    """The lines that `query` asks for."""
    if query.limit == 0:
        return Lines(lines=(), edge=None)
    forward = query.after is not None
    by_time = not forward and (query.since is not None or query.until is not None)
    is_search = bool(query.grep or query.levels)
    # By time the store answers in the order of time, which no line's number continues: one page, as large as may be.
    size = query.limit if not is_search else MAX_LINES if by_time else PAGE
    left = MAX_SCANNED if is_search and not by_time else 0
    found: list[StoredLine] = []
    edge = query.after if forward else query.before
    while page := reader.log_tail(_stored(query, edge, size)):
        left -= len(page)
        edge = page[-1].id if forward else page[0].id
        matching = [line for line in page if _matches(line, query)]
        found = found + matching if forward else matching + found
        if len(found) > query.limit:
            found = found[: query.limit] if forward else found[-query.limit :]
            edge = found[-1].id if forward else found[0].id
        if left <= 0 or len(found) == query.limit:
            return Lines(lines=tuple(found), edge=edge)
    return Lines(lines=tuple(found), edge=None)


def _stored(query: LogQuery, edge: int | None, size: int) -> StoreLogQuery:
    instance = None if query.ordinal is None else f"{query.worker_id}/{query.ordinal}"
    return StoreLogQuery(
        worker_id=query.worker_id,
        limit=size,
        stream=query.stream,
        instance=instance,
        run=query.run,
        since=query.since,
        until=query.until,
        after_id=edge if query.after is not None else None,
        before_id=edge if query.after is None else None,
    )


def _matches(line: StoredLine, query: LogQuery) -> bool:
    if query.levels and (line.level or "").casefold() not in query.levels:
        return False
    return all(text in line.text for text in query.grep)
