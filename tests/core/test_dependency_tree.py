"""The drawing of workers and what they depend on."""

from __future__ import annotations

from controller.core.tree import Node, TreeLine, dependency_tree


def node(worker_id: str, status: str = "running", **depends_on: str) -> Node:
    return Node(worker_id=worker_id, status=status, depends_on=depends_on)


def drawn(*nodes: Node, ascii_only: bool = False) -> str:
    """The lines in columns, as the command line puts them."""
    rows = [
        (line.stem + line.worker_id, line.status, line.note) for line in dependency_tree(nodes, ascii_only=ascii_only)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}   {status:<{widths[1]}}   {note}".rstrip() for name, status, note in rows]
    return "\n".join(lines)


FLEET = (
    node("worker", "stopped", database="started"),
    node("web", database="ready", cache="started"),
    node("database", "starting", disk="started"),
    node("disk"),
    node("cache", gone="ready"),
)


def test_dependencies_stand_beneath_those_who_need_them_and_are_drawn_once() -> None:
    assert drawn(*FLEET).splitlines() == [
        "web            running",
        "├── cache      running    awaited started",
        "│   └── gone              awaited ready, no spec has that name",
        "└── database   starting   awaited ready",
        "    └── disk   running    awaited started",
        "worker         stopped",
        "└── database   starting   awaited started, drawn above",
    ]


def test_the_order_of_the_input_does_not_matter() -> None:
    assert drawn(*reversed(FLEET)) == drawn(*FLEET)


def test_a_terminal_without_lines_gets_plain_characters() -> None:
    assert drawn(*FLEET, ascii_only=True).splitlines()[:4] == [
        "web            running",
        "|-- cache      running    awaited started",
        "|   `-- gone              awaited ready, no spec has that name",
        "`-- database   starting   awaited ready",
    ]


def test_a_shared_worker_without_dependencies_is_simply_repeated() -> None:
    assert drawn(node("a", disk="ready"), node("b", disk="ready"), node("disk")).splitlines() == [
        "a          running",
        "└── disk   running   awaited ready",
        "b          running",
        "└── disk   running   awaited ready",
    ]


def test_lines_can_be_coloured_by_others() -> None:
    assert dependency_tree([node("a", b="ready")]) == (
        TreeLine(stem="", worker_id="a", status="running"),
        TreeLine(stem="└── ", worker_id="b", status="", note="awaited ready, no spec has that name"),
    )


def test_a_circle_is_drawn_once() -> None:
    assert drawn(node("a", b="ready"), node("b", a="ready"), node("c", c="ready")).splitlines() == [
        "c           running",
        "└── c       running   awaited ready, drawn above",
        "a           running",
        "└── b       running   awaited ready",
        "    └── a   running   awaited ready, drawn above",
    ]


def test_a_long_chain_is_no_deep_recursion() -> None:
    chain = [node(f"w{number:05}", **{f"w{number + 1:05}": "ready"}) for number in range(3000)]
    assert len(dependency_tree(chain)) == 3001


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawn() == ""
