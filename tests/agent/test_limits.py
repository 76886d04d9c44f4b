"""What an order is given of limits, over a folder that looks like cgroupfs; a real one is in test_cgroups."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from controller.agent.limits import Limiter, group_name
from tests.fakes.cgroupfs import FakeCgroupfs

ALL = {"memory_bytes": 100_000_000, "cpu": 0.5, "nofile": 500, "pids": 20, "nice": 5}


def limiter(folder: Path, **more: Any) -> Limiter:
    return Limiter(str(folder / "base"), FakeCgroupfs(folder / "base", **more))


def texts(group: str) -> dict[str, str]:
    return {name: (Path(group) / name).read_text() for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max")}


def test_everything_is_enforceable_in_a_subtree_with_all_controllers(tmp_path: Path) -> None:
    assert limiter(tmp_path).enforceable() == ["nofile", "nice", "memory_bytes", "cpu", "pids"]


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"offered": ()}, []),
        ({"offered": ("pids",)}, ["pids"]),
        ({"refused": "memory"}, ["cpu", "pids"]),
    ],
)
def test_what_the_subtree_does_not_give_is_not_enforceable(tmp_path: Path, more: Any, names: list[str]) -> None:
    assert limiter(tmp_path, **more).enforceable() == ["nofile", "nice", *names]


def test_a_host_without_a_subtree_enforces_files_and_nice(tmp_path: Path) -> None:
    found = Limiter(str(tmp_path / "nowhere"))
    assert found.enforceable() == ["nofile", "nice"]
    fields = found.order_fields("web/0", {"limits": ALL})
    assert fields == {"rlimits": {"nofile": 500}, "nice": 5}
    assert found.ended("web/0") is False
    found.forget("web/0")


def test_an_order_names_the_group_with_its_limits_written(tmp_path: Path) -> None:
    fields = limiter(tmp_path).order_fields("web/0", {"limits": ALL})
    group = str(tmp_path / "base" / "workerctl-agent" / "slot-web_s0")
    assert fields == {"rlimits": {"nofile": 500}, "nice": 5, "cgroup": group}
    assert texts(group) == {
        "memory.max": "100000000", "memory.swap.max": "0", "cpu.max": "50000 100000", "pids.max": "20",
    }  # fmt: skip


def test_a_limit_that_was_taken_out_is_lifted(tmp_path: Path) -> None:
    found = limiter(tmp_path)
    found.order_fields("web/0", {"limits": ALL})
    group = found.order_fields("web/0", {"limits": {"pids": 3}})["cgroup"]
    assert texts(group) == {
        "memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 100000", "pids.max": "3",
    }  # fmt: skip


def test_a_group_that_cannot_be_made_is_an_error_unless_best_effort_will_do(tmp_path: Path) -> None:
    found = limiter(tmp_path)
    (tmp_path / "base" / "workerctl-agent" / "slot-web_s0").write_text("in the way")
    with pytest.raises(OSError, match="slot-web_s0"):
        found.order_fields("web/0", {"limits": {"pids": 3}})
    assert found.order_fields("web/0", {"limits": {"pids": 3, "enforce": "best_effort"}}) == {}
    assert found.order_fields("web/0", {"limits": {"nofile": 3}}) == {"rlimits": {"nofile": 3}}


def test_an_out_of_memory_kill_is_believed_only_when_the_counter_grew_during_the_run(tmp_path: Path) -> None:
    found = limiter(tmp_path)
    group = found.order_fields("web/0", {"limits": ALL})["cgroup"]
    events = Path(group) / "memory.events"
    assert found.ended("web/0") is False
    events.write_text("oom 1\noom_kill 2\noom_group_kill 0\n")
    assert (found.ended("web/0"), found.ended("web/1")) == (True, False)
    found.order_fields("web/0", {"limits": ALL})
    assert found.ended("web/0") is False


def killed(group: str, count: int) -> None:
    (Path(group) / "memory.events").write_text(f"oom {count}\noom_kill {count}\n")


def test_the_next_agent_tells_old_kills_from_new_ones(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    first = Limiter(str(tmp_path / "base"), files)
    for slot in ("web/0", "web/1"):
        group = first.order_fields(slot, {"limits": ALL})["cgroup"]
        killed(group, 1)
        first.order_fields(slot, {"limits": ALL})
        files.make(f"{group}/r1")
        Path(group, "r1", "cgroup.procs").write_text("1234\n")
    after = Limiter(str(tmp_path / "base"), files)
    killed(group, 2)
    assert (after.ended("web/0"), after.ended("web/1")) == (False, True)


def test_a_kill_while_no_agent_was_there_is_believed_although_the_group_is_empty_by_now(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    first = Limiter(str(tmp_path / "base"), files)
    killed(first.order_fields("web/0", {"limits": ALL})["cgroup"], 1)
    first.order_fields("web/1", {"limits": ALL})
    after = Limiter(str(tmp_path / "base"), files)
    assert (after.ended("web/0"), after.ended("web/1")) == (True, False)
    after.order_fields("web/0", {"limits": ALL})
    assert after.ended("web/0") is False


def test_a_group_of_which_nothing_was_written_down_proves_nothing(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    group = Limiter(str(tmp_path / "base"), files).order_fields("web/0", {"limits": ALL})["cgroup"]
    Path(group, "cgroup.procs").write_text("1234\n")
    for name in os.listxattr(group):
        os.removexattr(group, name)
    killed(group, 1)
    assert Limiter(str(tmp_path / "base"), files).ended("web/0") is False


def test_a_kill_that_a_run_has_outlived_is_no_reason_for_its_later_end(tmp_path: Path) -> None:
    found = limiter(tmp_path)
    group = found.order_fields("web/0", {"limits": ALL})["cgroup"]
    assert found.look({"web/0": "r1", "web/9": "r7"}) == []
    killed(group, 1)
    assert (found.look({"web/0": "r1"}), found.ended("web/0")) == ([], True)
    assert (found.look({"web/0": "r1"}), found.ended("web/0")) == (["web/0"], False)
    assert found.look({"web/0": "r1"}) == []
    killed(group, 2)
    found.look({"web/0": "r1"})
    assert (found.look({"web/0": "r2"}), found.ended("web/0")) == ([], True)


def test_an_agent_that_ends_leaves_no_group_in_which_nobody_lives(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    found = Limiter(str(tmp_path / "base"), files)
    for slot in ("web/0", "web/1"):
        group = found.order_fields(slot, {"limits": ALL})["cgroup"]
    Path(group, "cgroup.procs").write_text("1234\n")
    found.close()
    top = tmp_path / "base" / "workerctl-agent"
    assert sorted(path.name for path in top.iterdir() if path.is_dir()) == ["self", "slot-web_s1"]
    Limiter(str(tmp_path / "nowhere")).close()


def test_a_slot_that_is_gone_leaves_no_group(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    found = Limiter(str(tmp_path / "base"), files)
    group = found.order_fields("web/0", {"limits": ALL})["cgroup"]
    files.make(f"{group}/r1")
    found.forget("web/0")
    assert not Path(group).exists()


def test_what_a_killed_agent_left_is_removed_at_the_next_start_unless_somebody_lives_in_it(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    first = Limiter(str(tmp_path / "base"), files)
    for slot in ("web/0", "web/1"):
        files.make(first.order_fields(slot, {"limits": ALL})["cgroup"] + "/r1")
    top = tmp_path / "base" / "workerctl-agent"
    (top / "slot-web_s1" / "r1" / "cgroup.procs").write_text("1234\n")
    Limiter(str(tmp_path / "base"), files)
    assert sorted(path.name for path in top.iterdir() if path.is_dir()) == ["self", "slot-web_s1"]


def test_names_of_groups_are_one_to_one_and_never_a_file_of_the_kernel() -> None:
    slots = ["a/b_c", "a_b/c", "a.b/c", "a/b.c", "a/b/c", "cgroup.procs", "self", "ä/0", "x" * 300, "web/0#probe", ".."]
    names = [group_name(slot) for slot in slots]
    assert len(set(names)) == len(slots)
    assert all(name.startswith("slot") and "." not in name and "/" not in name and len(name) < 120 for name in names)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not raise limits")
def test_best_effort_takes_what_it_may(tmp_path: Path) -> None:
    found = Limiter(str(tmp_path))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    asked = {"nofile": hard + 1, "nice": -5}
    os.seteuid(65534)
    try:
        strict = found.order_fields("web/0", {"limits": asked})
        best = found.order_fields("web/0", {"limits": {**asked, "enforce": "best_effort"}})
    finally:
        os.seteuid(0)
    assert strict == {"rlimits": {"nofile": hard + 1}, "nice": -5}
    assert best == {"rlimits": {"nofile": hard}}
