"""A real directory of specs, edited as people edit: what becomes of each worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.core.problems import Source
from controller.sources.launching import Surroundings
from tests.sources.specs_builder import START, SURROUNDINGS, SpecsDirectory, revisions, states, told, worker


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    return SpecsDirectory(tmp_path)


ONE_PLACE = "each worker stands in one place; remove or rename one"

# --- what is read ----------------------------------------------------------------------------------------------------


def test_every_spec_file_below_the_directory_is_read_and_nothing_else(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("deep/er/b.yml", worker("b") + "---\n" + worker("c"))
    for ignored in (".hidden.yaml", ".git/x.yaml", "x.yaml~", "#x.yaml#", ".#x.yaml", "x.yaml.swp", "4913", "x.json"):
        specs.write(ignored, worker("ignored"))
    desired = specs.scan()
    assert {name: one.source for name, one in desired.workers.items()} == {
        "a": Source(file="a.yaml", line=1),
        "b": Source(file="deep/er/b.yml", line=1),
        "c": Source(file="deep/er/b.yml", line=4),
    }
    assert (desired.problems, desired.hold_reason) == ((), "")


def test_a_worker_is_ready_to_launch_in_the_directory_of_its_file(specs: SpecsDirectory) -> None:
    specs.write("team/a.yaml", worker("a", "replicas: 2\nport: 4000\n"))
    instances = specs.scan().workers["a"].instances
    assert [(one.ordinal, one.launch.argv, one.launch.port) for one in instances] == [
        (0, ("sleep", "60"), 4000),
        (1, ("sleep", "60"), 4001),
    ]
    assert instances[0].launch.working_dir == str(specs.root / "team")


def test_an_empty_directory_without_known_workers_is_fine(specs: SpecsDirectory) -> None:
    desired = specs.scan()
    assert (dict(desired.workers), desired.problems, desired.hold_reason) == ({}, (), "")


def test_a_scan_without_changes_builds_nothing_anew(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    assert specs.scan().workers["a"] is specs.scan().workers["a"]


def test_fifos_sockets_and_odd_names_are_named_and_hang_nothing(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    os.mkfifo(specs.root / "fifo.yaml")
    os.mkfifo(specs.root / "pipe")
    (specs.root / os.fsdecode(b"b\xff.yaml")).write_text(worker("b"))
    desired = specs.scan()
    assert states(desired) == {"a": "good"}
    assert told(desired) == [
        "b\\xff.yaml: cannot be read: its name is not UTF-8 (rename it)",
        "fifo.yaml: cannot be read: it is no regular file (specs are regular files)",
    ]


def test_a_file_that_is_too_large_is_not_read(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", "#" * (1024 * 1024 + 1))
    assert told(specs.scan()) == ["a.yaml: cannot be read: it is larger than 1024 KiB"]


# --- links -----------------------------------------------------------------------------------------------------------


def test_links_are_followed_inside_the_directory_only(specs: SpecsDirectory, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    specs.write("secret.yaml", worker("stolen"), root=outside)
    specs.write(".data/v1/a.yaml", worker("a"))
    specs.write(".data/v1/sub/b.yaml", worker("b"))
    (specs.root / "a.yaml").symlink_to(".data/v1/a.yaml")
    (specs.root / "folder").symlink_to(".data/v1/sub")
    (specs.root / "round").symlink_to(".")
    (specs.root / "out.yaml").symlink_to(outside / "secret.yaml")
    (specs.root / "outfolder").symlink_to(outside)
    (specs.root / "null.yaml").symlink_to("/dev/zero")
    (specs.root / "loop.yaml").symlink_to("loop.yaml")
    (specs.root / "gone.yaml").symlink_to("nowhere")
    (specs.root / ".fifo").touch()
    (specs.root / ".fifo").unlink()
    os.mkfifo(specs.root / ".fifo")
    (specs.root / "pipe.yaml").symlink_to(".fifo")
    desired = specs.scan()
    assert states(desired) == {"a": "good", "b": "good"}
    assert told(desired) == [
        "gone.yaml: cannot be read: No such file or directory",
        "loop.yaml: cannot be read: the link is a loop",
        "null.yaml: cannot be read: it leads out of the specs directory (links must stay inside it)",
        "out.yaml: cannot be read: it leads out of the specs directory (links must stay inside it)",
        "pipe.yaml: cannot be read: it is no regular file",
    ]


def test_a_configmap_flip_is_an_edit(specs: SpecsDirectory) -> None:
    specs.write("..v1/a.yaml", worker("a"))
    specs.write("..v2/a.yaml", worker("a", "replicas: 2\n"))
    (specs.root / "..data").symlink_to("..v1")
    (specs.root / "a.yaml").symlink_to("..data/a.yaml")
    assert specs.scan().workers["a"].spec.replicas == 1
    (specs.root / "..tmp").symlink_to("..v2")
    (specs.root / "..tmp").rename(specs.root / "..data")
    assert specs.later().scan().workers["a"].spec.replicas == 2


# --- last good -------------------------------------------------------------------------------------------------------


def test_a_broken_file_keeps_its_workers_and_hurts_no_other(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a") + "---\n" + worker("b"))
    specs.write("c.yaml", worker("c"))
    before = specs.scan()
    specs.write("a.yaml", worker("a", "replicas: [\n"))
    specs.write("c.yaml", worker("c", "replicas: 2\n"))
    after = specs.later().scan()
    assert states(after) == {"a": "stale", "b": "stale", "c": "good"}
    assert after.workers["a"].spec == before.workers["a"].spec
    assert [str(one) for one in after.workers["b"].problems] == told(after)
    assert told(after) == [
        (
            "a.yaml:4:1: expected a value here: a bracket before it is not closed, or stands where none belongs "
            "(check the brackets, or quote the value)"
        )
    ]


def test_an_invalid_worker_is_stale_and_its_neighbour_in_the_file_is_not(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a") + "---\n" + worker("b"))
    specs.scan()
    specs.write("a.yaml", worker("a", "replicas: x\n") + "---\n" + worker("b", "replicas: 2\n"))
    after = specs.later().scan()
    assert states(after) == {"a": "stale", "b": "good"}
    assert (after.workers["a"].spec.replicas, after.workers["b"].spec.replicas) == (1, 2)
    assert told(after) == ['a.yaml:3:11: expected an integer, got "x" (a string)']
    assert after.problems[0].worker_id == "a"


def test_a_worker_that_was_never_good_is_broken_with_its_problems(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a", "replicas: x\n"))
    specs.write("b.yaml", worker("b", "replicas: 012\n"))
    specs.write("c.yaml", "name: x\n")
    desired = specs.scan()
    assert states(desired) == {"a": "broken", "b": "broken"}
    assert told(desired) == [
        'a.yaml:3:11: expected an integer, got "x" (a string)',
        (
            "b.yaml:3:11: `012` has a leading zero, which some read as octal "
            '(write `12` for the number, `"012"` for the text)'
        ),
        "c.yaml:1:1: `worker_id` is missing (every worker needs one)",
    ]


def test_a_correction_ends_it(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("a", "replicas: x\n"))
    specs.later().scan()
    specs.write("a.yaml", worker("a", "replicas: 3\n"), age_s=1)
    after = specs.later().scan()
    assert (states(after), after.workers["a"].spec.replicas, after.problems) == ({"a": "good"}, 3, ())


def test_a_file_broken_while_the_controller_was_down_still_yields_its_last_good_workers(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a", "env: {A: '${worker_id}'}\n") + "---\n" + worker("b"))
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    before = specs.scan()
    specs.write("a.yaml", "}")
    specs.start()
    after = specs.later().scan()
    assert states(after) == {"a": "stale", "b": "stale"}
    assert revisions(after) == revisions(before)
    assert after.workers["a"].instances == before.workers["a"].instances
    assert after.workers["b"].source == Source(file="a.yaml", line=5)


def test_a_last_good_spec_that_cannot_be_built_any_more_is_broken_and_not_removed(tmp_path: Path) -> None:
    around = Surroundings(host="localhost", cpu_count=1, interpreter="python3", key=b"k", allowed_env={"CITY": "Rome"})
    specs = SpecsDirectory(tmp_path, around)
    specs.write("a.yaml", worker("a", "env: {CITY: '${env.CITY}'}\n"))
    assert states(specs.scan()) == {"a": "good"}
    specs.write("a.yaml", "}")
    specs.surroundings = SURROUNDINGS
    specs.start()
    desired = specs.later().scan()
    assert (states(desired), dict(desired.removed)) == ({"a": "broken"}, {})
    assert desired.broken["a"][0].message == "`${env.CITY}` is not allowed (character 1)"


def test_an_unwritable_state_directory_is_a_warning_and_workers_go_on(specs: SpecsDirectory) -> None:
    folder = specs.state / "last_good"
    folder.rmdir()
    folder.write_text("in the way")
    specs.write("a.yaml", worker("a"))
    result = specs.result()
    assert states(result.desired) == {"a": "good"}
    assert result.warning == "cannot write last good specs: Not a directory"
    folder.unlink()
    folder.mkdir()
    assert specs.result().warning == ""
    assert sorted(one.name for one in folder.iterdir()) == ["records.jsonl", "root.json"]


# --- files in the making ---------------------------------------------------------------------------------------------


def test_a_young_file_counts_only_once_it_was_left_alone(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("a", "replicas: 2\n"), age_s=0.0)
    first = specs.result()
    assert first.desired.workers["a"].spec.replicas == 1
    assert first.again_at == pytest.approx(START + 0.2)
    specs.later(0.1)
    specs.write("a.yaml", worker("a", "replicas: 20\n"), age_s=0.0)
    second = specs.later(0.1).result()
    assert second.desired.workers["a"].spec.replicas == 1
    assert second.again_at == pytest.approx(START + 0.4)
    third = specs.later().result()
    assert (third.desired.workers["a"].spec.replicas, third.again_at) == (20, None)


def test_a_new_young_file_is_not_there_yet_and_nothing_is_wrong(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", "worker_id: a\ncomm", age_s=0.0)
    desired = specs.scan()
    assert (states(desired), desired.problems) == ({}, ())


def test_a_file_from_the_future_is_late_by_one_window_only(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"), age_s=-3600.0)
    assert states(specs.scan()) == {}
    assert states(specs.later().scan()) == {"a": "good"}


def test_a_clock_set_back_delays_a_young_file_by_one_window_only(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"), age_s=0.0)
    specs.scan()
    assert states(specs.later(-3600.0).scan()) == {}
    assert states(specs.later().scan()) == {"a": "good"}


def test_a_truncated_file_is_a_problem_and_not_a_removal(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", "")
    specs.later().settled()
    desired = specs.later().scan()
    assert states(desired) == {"a": "stale"}
    assert told(desired) == ["a.yaml: the file is empty (delete the file to remove its workers)"]


def test_an_empty_file_that_never_had_workers_is_fine(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", "")
    specs.write("b.yaml", "# to come\n")
    assert told(specs.scan()) == []


# --- duplicates and ports --------------------------------------------------------------------------------------------


def test_a_second_definition_is_an_error_of_both_and_the_running_one_stays(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("b.yaml", worker("a", "replicas: 5\n"))
    desired = specs.later().scan()
    assert (states(desired), desired.workers["a"].spec.replicas) == ({"a": "stale"}, 1)
    assert told(desired) == [
        f"a.yaml:1:12: worker_id `a` is also defined in b.yaml:1 ({ONE_PLACE})",
        f"b.yaml:1:12: worker_id `a` is also defined in a.yaml:1 ({ONE_PLACE})",
    ]


def test_a_worker_defined_thrice_from_the_start_does_not_run(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a") + "---\n" + worker("a"))
    specs.write("b.yaml", worker("a"))
    desired = specs.scan()
    assert states(desired) == {"a": "broken"}
    assert told(desired)[0] == (
        "a.yaml:1:12: worker_id `a` is also defined in a.yaml:4 and 1 more "
        "(each worker stands in one place; remove or rename one)"
    )


def test_a_copy_of_a_worker_whose_file_is_broken_waits_for_its_correction(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", "}")
    specs.write("b.yaml", worker("a", "replicas: 5\n"))
    desired = specs.later().scan()
    assert (states(desired), desired.workers["a"].spec.replicas) == ({"a": "stale"}, 1)
    assert told(desired)[1] == (
        "b.yaml:1:12: worker_id `a` is also defined in a.yaml, which cannot be understood now "
        "(each worker stands in one place; remove or rename one)"
    )


def test_overlapping_ports_are_an_error_of_both(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a", "port: 4000\nreplicas: 3\n"))
    specs.scan()
    specs.write("b.yaml", worker("b", "port: 4002\n"))
    desired = specs.later().scan()
    assert states(desired) == {"a": "stale", "b": "broken"}
    assert [(one.file, one.line, one.column, one.code) for one in desired.problems] == [
        ("a.yaml", 3, 7, "port_overlap"),
        ("b.yaml", 3, 7, "port_overlap"),
    ]


def test_a_stale_worker_keeps_its_ports(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a", "port: 4000\n"))
    specs.scan()
    specs.write("a.yaml", "}")
    specs.write("b.yaml", worker("b", "port: 4000\n"))
    assert states(specs.later().scan()) == {"a": "stale", "b": "broken"}
    specs.start()
    assert states(specs.later().scan()) == {"a": "stale", "b": "broken"}
