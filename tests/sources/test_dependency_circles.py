"""Circles of dependencies: a fault of every spec in them, whatever goes on in their place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.core.dependencies import circular_dependencies
from controller.sources.assembly import Assembly, LastGood, Memo, Memory, assemble
from controller.sources.claims import Snapshot
from controller.sources.documents import read_spec_file
from controller.sources.launching import Launcher
from tests.sources.specs_builder import SURROUNDINGS

LAUNCHER = Launcher("/specs", SURROUNDINGS)


def assembled(memory: Memory | None = None, /, **files: str) -> Assembly:
    """Each file defines the worker of its name; its text says what it needs, or stands for itself with a colon."""
    read = {}
    for name, needs in files.items():
        listed = ", ".join(f"{other}: started" for other in needs.split())
        text = needs if ":" in needs else f"worker_id: {name}\ndepends_on: {{{listed}}}\n"
        read[f"{name}.yaml"] = read_spec_file(f"{name}.yaml", text.encode())
    return assemble(Snapshot(files=read), memory or Memory(), LAUNCHER, lambda _: None, Memo())


def after(assembly: Assembly) -> Memory:
    return Memory(workers=assembly.accepted)


def kinds(assembly: Assembly) -> dict[str, str]:
    found = {name: "stale" if one.stale else "good" for name, one in assembly.workers.items()}
    return dict(sorted({**found, **dict.fromkeys(assembly.broken, "broken")}.items()))


def told(assembly: Assembly) -> list[str]:
    return [str(problem) for problem in assembly.problems]


def test_every_spec_of_a_circle_is_refused_and_nobody_else() -> None:
    found = assembled(a="b", b="c", c="a", d="a lost", e="e")
    assert kinds(found) == {"a": "broken", "b": "broken", "c": "broken", "d": "good", "e": "broken"}
    hint = "(take one of these dependencies out)"
    assert told(found) == [
        f"a.yaml:2:17: depends on itself: a -> b -> c -> a {hint}",
        f"b.yaml:2:17: depends on itself: b -> c -> a -> b {hint}",
        f"c.yaml:2:17: depends on itself: c -> a -> b -> c {hint}",
        f"e.yaml:2:17: depends on itself: e -> e {hint}",
    ]
    assert {problem.pointer for problem in found.problems} == {f"/depends_on/{name}" for name in "abce"}


def test_the_last_good_specs_go_on() -> None:
    found = assembled(after(assembled(a="", b="a")), a="b", b="a")
    assert kinds(found) == {"a": "stale", "b": "stale"}
    assert [dict(found.workers[name].spec.depends_on) for name in "ab"] == [{}, {"a": "started"}]


def test_names_made_of_digits_are_found_in_their_file() -> None:
    found = assembled(**{"1": 'worker_id: "1"\ndepends_on: {"1": ready}\n'})
    assert told(found) == ["1.yaml:2:19: depends on itself: 1 -> 1 (take one of these dependencies out)"]


def test_other_faults_are_told_beside_it() -> None:
    found = assembled(a="worker_id: a\nuser: a b\ndepends_on: {b: ready}\n", b="a")
    assert [line.partition(" (")[0] for line in told(found)] == [
        "a.yaml:2:7: cannot be the name of a user",
        "a.yaml:3:17: depends on itself: a -> b -> a",
        "b.yaml:2:17: depends on itself: b -> a -> b",
    ]


def test_what_goes_on_in_place_of_a_refused_spec_may_not_close_another_circle() -> None:
    """`a` is refused for its user; what goes on of it needs `c`, and the new `c` needs `a`."""
    before = after(assembled(a="c", c=""))
    found = assembled(before, a="worker_id: a\nuser: a b\n", c="a")
    assert kinds(found) == {"a": "stale", "c": "stale"}
    assert told(found)[1] == "c.yaml:2:17: depends on itself: c -> a -> c (take one of these dependencies out)"


def test_a_file_that_cannot_be_read_counts_with_its_last_good_spec() -> None:
    before = after(assembled(a="c", c=""))
    known = {"a": LastGood(document=before.workers["a"].document), "c": before.workers["c"]}
    found = assembled(Memory(workers=known), a="worker_id: [", c="a")
    assert kinds(found) == {"a": "stale", "c": "stale"}


NEEDS = st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from("abcd"), max_size=2).map(" ".join))
BROKEN = st.dictionaries(
    st.sampled_from("abcd"), st.sampled_from(["worker_id: [", "worker_id: {0}\nuser: a b"]), max_size=2
)


@given(st.lists(st.tuples(NEEDS, BROKEN), min_size=1, max_size=5))
def test_what_is_in_force_never_holds_a_circle(history: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    memory = Memory()
    for needs, broken in history:
        files = {name: broken.get(name, others).format(name) for name, others in needs.items()}
        found = assembled(memory, **files)
        present = {name: one.spec for name, one in found.workers.items() if name in needs}
        assert circular_dependencies(present.values()) == {}
        memory = Memory(workers={name: {**memory.workers, **found.accepted}[name] for name in present})
