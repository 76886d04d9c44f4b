"""Assembly by itself: files as values, no directory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.core.desired import DesiredWorker
from controller.core.problems import Problem
from controller.sources.assembly import Assembly, LastGood, Memo, Memory, assemble
from controller.sources.claims import Snapshot
from controller.sources.documents import SpecFile, read_spec_file
from controller.sources.launching import Launcher
from tests.sources.specs_builder import SURROUNDINGS, worker

LAUNCHER = Launcher("/specs", SURROUNDINGS)


def assembled(
    files: dict[str, str], memory: Memory | None = None, folders: dict[str, Problem] | None = None
) -> Assembly:
    """Assembles files given as texts."""
    read: dict[str, SpecFile] = {path: read_spec_file(path, text.encode()) for path, text in files.items()}
    snapshot = Snapshot(files=read, folders=folders or {})
    return assemble(snapshot, memory or Memory(), LAUNCHER, lambda _: None, Memo())


def remembered(files: dict[str, str]) -> Memory:
    """The memory after these files were accepted."""
    assembly = assembled(files)
    return Memory(workers=assembly.accepted, defaults=assembly.defaults)


def kinds(assembly: Assembly) -> dict[str, str]:
    found = {name: "stale" if one.stale else "good" for name, one in assembly.workers.items()}
    return {**found, **dict.fromkeys(assembly.broken, "broken"), **dict.fromkeys(assembly.absent, "absent")}


def test_an_unreadable_directory_keeps_all_below_it_and_nothing_else() -> None:
    memory = remembered({"a.yaml": worker("a"), "team/b.yaml": worker("b"), "team/deep/c.yaml": worker("c")})
    problem = Problem(file="team", message="cannot be read: Permission denied")
    found = assembled({}, memory, {"team": problem})
    assert kinds(found) == {"a": "absent", "b": "stale", "c": "stale"}
    assert found.problems == (problem,)


def test_defaults_taken_out_of_their_file_are_absent_and_stay_in_force() -> None:
    memory = remembered({"a.yaml": "kind: Defaults\nreplicas: 2\n---\n" + worker("a")})
    found = assembled({"a.yaml": worker("a")}, memory)
    assert (sorted(found.absent_defaults), found.workers["a"].spec.replicas) == (["a.yaml"], 2)


def test_a_worker_known_without_its_launch_is_built_from_its_last_good_fields() -> None:
    memory = remembered({"a.yaml": worker("a", "replicas: 2\n")})
    started = Memory(workers={"a": LastGood(document=memory.workers["a"].document)})
    found = assembled({"a.yaml": "}"}, started)
    before = memory.workers["a"].worker
    assert isinstance(before, DesiredWorker)
    assert found.workers["a"].instances == before.instances


PIECES = st.sampled_from(
    [
        worker("a"),
        worker("a", "port: 80\n"),
        worker("b", "port: 80\n"),
        worker("b", "replicas: x\n"),
        worker("c", "kind: Wroker\n"),
        "worker_id: C!\n",
        "kind: Defaults\nreplicas: 2\n",
        "kind: Defaults\nreplicas: x\n",
        "kind: Channel\n",
        "a: [\n",
        "# nothing\n",
        "- list\n",
        "",
    ]
)
PATHS = st.sampled_from(["1.yaml", "2.yaml", "team/3.yaml", "team/4.yaml"])
FILES = st.dictionaries(PATHS, st.lists(PIECES, min_size=1, max_size=3).map("---\n".join))


@given(FILES, FILES)
def test_every_known_worker_goes_on_whatever_the_files_say_and_their_order_does_not_matter(
    before: dict[str, str], after: dict[str, str]
) -> None:
    memory = remembered(before)
    found = assembled(after, memory)
    again = assembled(dict(reversed(after.items())), memory)
    assert memory.workers.keys() <= found.workers.keys()
    assert set(found.absent) <= set(memory.workers)
    assert not set(found.workers) & set(found.broken)
    assert (found.problems, found.workers, found.broken) == (again.problems, again.workers, again.broken)
    assert all(one.stale == bool(one.problems) for one in found.workers.values())
    told = {str(problem) for problem in found.problems}
    assert {str(problem) for one in found.workers.values() for problem in one.problems} <= told
    assert {str(problem) for problems in found.broken.values() for problem in problems} <= told
