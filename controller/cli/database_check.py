"""What `doctor` says of the database: where it is, what was set aside as damaged, whether a server answers.

A file is not opened: the controller that uses it says how it is (`/readyz`). A server is asked, once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from controller.cli.checks import Check

NAME = "database"
DAMAGED = ".damaged-"


def database(target: str) -> Iterator[Check]:
    """`target` as `serve` would take it: a path or a URL."""
    kind, _, rest = target.partition("://")
    if not rest:
        yield from _file(target)
    elif kind == "sqlite":
        yield from _file(rest.removeprefix("/"))
    else:
        yield _server(target)


def _file(path: str) -> Iterator[Check]:
    directory, name = os.path.split(os.path.abspath(path))
    try:
        beside = os.listdir(directory)
    except OSError:
        beside = []
    if name in beside:
        yield Check(name=NAME, level="ok", message=os.path.join(directory, name))
    else:
        yield Check(name=NAME, level="ok", message=f"{os.path.join(directory, name)}, begun by serve")
    damaged = sorted(one for one in beside if one.startswith(name + DAMAGED) and one.endswith("Z"))
    if damaged:
        yield Check(
            name=NAME,
            level="warn",
            message=f"set aside as damaged in {directory}: {', '.join(damaged)}",
            advice="look at the disk; `sqlite3 FILE .recover` may read older history out of it; then move it away",
        )


def _server(url: str) -> Check:
    from controller.store.errors import StoreError  # noqa: PLC0415 - SQLAlchemy, which no other verb may pay for
    from controller.store.look import look  # noqa: PLC0415 - the same

    try:
        return Check(name=NAME, level="ok", message=look(url))
    except StoreError as error:
        return Check(
            name=NAME,
            level="fail",
            message=str(error),
            advice="workers are supervised without it, but nothing of them is recorded; see help operations",
        )
