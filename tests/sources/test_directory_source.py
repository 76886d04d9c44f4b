"""A real directory of specs, edited as people edit: what becomes of each worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.core.desired import Removal
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


def test_a_damaged_record_is_set_aside_and_the_others_count(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    records = sorted((specs.state / "last_good").glob("*.json"))
    damaged = next(one for one in records if '"a.yaml"' in one.read_text())
    damaged.write_text('{"version": 1, "path": "a.yaml", "workers"')
    specs.write("a.yaml", "}")
    specs.write("b.yaml", "}")
    specs.start()
    assert states(specs.later().scan()) == {"b": "stale"}
    assert damaged.with_name(damaged.name + ".bad").exists()


def test_a_record_of_another_version_is_set_aside(specs: SpecsDirectory) -> None:
    (specs.state / "last_good" / "x.json").write_text('{"version": 2}')
    specs.start()
    assert [one.name for one in (specs.state / "last_good").iterdir()] == ["x.json.bad"]


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
    assert len(list(folder.glob("*.json"))) == 2


def test_a_full_directory_is_written_in_one_go(specs: SpecsDirectory) -> None:
    for number in range(70):
        specs.write(f"{number}.yaml", worker(f"w{number}"))
    specs.scan()
    assert len(list((specs.state / "last_good").glob("*.json"))) == 71
    specs.start()
    for number in range(70):
        specs.write(f"{number}.yaml", "}")
    assert set(states(specs.later().scan()).values()) == {"stale"}


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


# --- removal ---------------------------------------------------------------------------------------------------------


def test_a_removed_file_removes_its_workers_once_two_scans_agree(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    first = specs.result()
    assert states(first.desired) == {"a": "good", "b": "good"}
    assert first.again_at == pytest.approx(START + 0.2)
    assert states(specs.later(0.1).scan()) == {"a": "good", "b": "good"}
    second = specs.later(0.11).result()
    assert (states(second.desired), second.again_at) == ({"a": "removed", "b": "good"}, None)
    assert second.desired.removed == {
        "a": Removal(worker_id="a", proof="a.yaml is gone", source=Source(file="a.yaml", line=1))
    }


def test_a_document_taken_out_of_a_file_removes_its_worker(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a") + "---\n" + worker("b"))
    specs.scan()
    specs.write("a.yaml", worker("b"))
    desired = specs.later().settled()
    assert states(desired) == {"a": "removed", "b": "good"}
    assert desired.removed["a"].proof == "a.yaml no longer defines it"


def test_a_removed_worker_stays_removed_until_it_is_forgotten(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.settled()
    assert states(specs.later(60).scan()) == {"a": "removed", "b": "good"}
    specs.source.forget("a")
    specs.source.forget("b")
    specs.source.forget("unknown")
    assert states(specs.scan()) == {"b": "good"}
    specs.start()
    assert states(specs.settled()) == {"b": "good"}


def test_a_worker_that_comes_back_is_not_removed(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    assert states(specs.settled()) == {"a": "removed", "b": "good"}
    specs.source.forget("a")
    specs.write("a.yaml", worker("a"))
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}
    specs.remove("a.yaml")
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}


def test_a_file_that_vanished_while_the_controller_was_down_removes_its_workers(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.start()
    assert states(specs.scan()) == {"a": "good", "b": "good"}
    assert states(specs.later().scan()) == {"a": "removed", "b": "good"}


def test_a_renamed_file_changes_nothing(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    before = specs.scan()
    (specs.root / "a.yaml").rename(specs.root / "z.yaml")
    after = specs.later().settled()
    assert states(after) == {"a": "good"}
    assert after.workers["a"].instances == before.workers["a"].instances
    specs.write("z.yaml", "}")
    specs.start()
    assert states(specs.later().settled()) == {"a": "stale"}


def test_nothing_is_removed_while_a_file_that_broke_since_might_hold_it(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.write("b.yaml", worker("b") + "---\n" + worker("a", "replicas: [\n"))
    specs.later().settled()
    desired = specs.later(60).scan()
    assert states(desired) == {"a": "stale", "b": "stale"}
    assert str(desired.workers["a"].problems[0]) == (
        "a.yaml:1: a.yaml is gone, but a goes on: it may be in b.yaml, which cannot be understood now (correct b.yaml)"
    )
    specs.write("b.yaml", worker("b"))
    assert states(specs.later().settled()) == {"a": "removed", "b": "good"}


def test_a_file_that_was_broken_long_before_does_not_stop_a_removal(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", "}")
    specs.scan()
    specs.remove("a.yaml")
    assert states(specs.later().settled()) == {"a": "removed"}


def test_a_file_still_being_written_only_delays_a_removal(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.scan()
    specs.later()
    specs.write("c.yaml", worker("a"), age_s=0.0)
    waiting = specs.result()
    assert (states(waiting.desired), waiting.desired.problems) == ({"a": "good", "b": "good"}, ())
    assert waiting.again_at == pytest.approx(specs.now + 0.2)
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}


def test_a_name_nobody_can_read_is_no_proof(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("A!"))
    desired = specs.later().settled()
    assert states(desired) == {"a": "stale"}
    assert desired.workers["a"].problems[0].pointer == "/worker_id"


def test_a_document_of_another_kind_keeps_the_worker(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("a", "kind: Wroker\n"))
    specs.write("b.yaml", "kind: Channel\nurl: x\n")
    desired = specs.later().settled()
    assert states(desired) == {"a": "stale"}
    assert told(desired) == [
        'a.yaml:3:7: expected Worker or Defaults, got "Wroker" (a string) (did you mean `Worker`?)',
        'a.yaml:3:7: expected Worker, got "Wroker" (did you mean `Worker`?)',
        "b.yaml:1:7: `kind: Channel` is not yet supported (it comes with alerts)",
    ]


# --- Defaults --------------------------------------------------------------------------------------------------------


def test_defaults_lie_under_their_directory_and_below_the_nearest_wins(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\nenv: {A: top, B: top}\n")
    specs.write("team/defaults.yml", "kind: Defaults\nreplicas: 3\nenv: {A: team}\n")
    specs.write("a.yaml", worker("a"))
    specs.write("team/b.yaml", worker("b", "env: {C: own}\n"))
    specs.write("other/c.yaml", worker("c", "replicas: 1\n"))
    specs_of = {name: one.spec for name, one in specs.scan().workers.items()}
    assert {name: (spec.replicas, spec.env) for name, spec in specs_of.items()} == {
        "a": (2, {"A": "top", "B": "top"}),
        "b": (3, {"A": "team", "B": "top", "C": "own"}),
        "c": (1, {"A": "top", "B": "top"}),
    }


def test_broken_defaults_keep_their_last_good_content(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("a.yaml", worker("a"))
    specs.scan()
    for broken in ("kind: Defaults\nreplicas: x\n", "kind: Defaults\nreplicas: [\n"):
        specs.write("defaults.yaml", broken)
        specs.write("a.yaml", worker("a", "name: edited\n"))
        desired = specs.later().scan()
        assert (states(desired), desired.workers["a"].spec.replicas) == ({"a": "good"}, 2)
        assert [one.file for one in desired.problems] == ["defaults.yaml"]
    specs.start()
    assert specs.later().scan().workers["a"].spec.replicas == 2


def test_without_any_good_defaults_new_workers_below_are_not_accepted(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: x\n")
    specs.write("b.yaml", worker("b"))
    desired = specs.later().scan()
    assert states(desired) == {"a": "stale", "b": "broken"}
    assert told(desired) == ['defaults.yaml:2:11: expected an integer, got "x" (a string)']


def test_two_defaults_for_one_directory_are_an_error_of_both(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("b.yaml", "kind: Defaults\nreplicas: 3\n")
    specs.write("c.yaml", worker("c"))
    desired = specs.scan()
    assert states(desired) == {"c": "broken"}
    assert told(desired) == [
        "a.yaml:1:1: this directory has other Defaults in b.yaml:1 (keep one `kind: Defaults` per directory)",
        "b.yaml:1:1: this directory has other Defaults in a.yaml:1 (keep one `kind: Defaults` per directory)",
    ]


def test_defaults_that_vanish_stay_in_force_until_it_is_certain(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.remove("defaults.yaml")
    assert specs.later().scan().workers["a"].spec.replicas == 2
    assert specs.later().scan().workers["a"].spec.replicas == 1
    specs.start()
    assert specs.later().settled().workers["a"].spec.replicas == 1


def test_renamed_defaults_change_nothing(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("a.yaml", worker("a"))
    before = specs.scan().workers["a"]
    (specs.root / "defaults.yaml").rename(specs.root / "base.yaml")
    for _ in range(3):
        assert specs.later().scan().workers["a"].revision == before.revision


def test_a_fault_that_defaults_bring_into_a_worker_stands_in_their_file(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nenv: {CITY: '${env.CITY}'}\n")
    specs.write("a.yaml", worker("a"))
    assert told(specs.scan()) == [
        "defaults.yaml:2:13: `${env.CITY}` is not allowed (character 1) (start the controller with --allow-env CITY)"
    ]


# --- env files -------------------------------------------------------------------------------------------------------


def test_an_env_file_enters_the_environment_and_the_revision(specs: SpecsDirectory) -> None:
    specs.write("team/a.yaml", worker("a", "env_files: [../a.env]\nenv: {B: own}\n"))
    specs.write("a.env", "# comment\nA=1\nB=2\n")
    before = specs.scan().workers["a"]
    assert {name: before.instances[0].launch.env[name] for name in ("A", "B")} == {"A": "1", "B": "own"}
    specs.write("a.env", "# other comment\n\nA=1\nB=2\n")
    same = specs.later().scan().workers["a"]
    assert same.revision == before.revision
    specs.write("a.env", "A=2\nB=2\n")
    assert specs.later().scan().workers["a"].revision != before.revision


def test_the_key_makes_the_revision_of_an_env_file(specs: SpecsDirectory, tmp_path: Path) -> None:
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=1\n")
    before = specs.scan().workers["a"].revision
    specs.surroundings = Surroundings(host="localhost", cpu_count=2, interpreter="python3", key=b"other")
    specs.start()
    assert specs.scan().workers["a"].revision != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a.yaml:3:13: env file a.env cannot be read: No such file or directory"),
        ("A=1\nexport B=2\n", "a.env:2:1: expected NAME=value, got `export` (leave `export` out)"),
        ("A b=1\n", "a.env:1:1: `A b` cannot name a variable (names are letters, digits and '_', no digit first)"),
        ("x\n", "a.env:1:1: expected NAME=value, got a line without a name and `=`"),
        ("A=\x00\n", "a.env:1:1: the value contains a NUL byte (no process can be given one)"),
        (b"A=1\nB=\xff\n", "a.env:2:1: this line is not UTF-8 (save it as UTF-8)"),
    ],
)
def test_an_env_file_that_is_no_good_is_a_problem_of_its_worker(
    specs: SpecsDirectory, content: str | bytes | None, message: str
) -> None:
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=good\n")
    before = specs.scan().workers["a"]
    specs.remove("a.env")
    if content is not None:
        specs.write("a.env", content)
    desired = specs.later().scan()
    assert (states(desired), told(desired)) == ({"a": "stale"}, [message])
    assert desired.workers["a"].instances == before.instances


@pytest.mark.parametrize("name", ["../outside.env", "/etc/passwd", "a/../../x", "link.env"])
def test_an_env_file_stays_inside_the_directory(specs: SpecsDirectory, name: str, tmp_path: Path) -> None:
    (tmp_path / "outside.env").write_text("A=1\n")
    (specs.root / "link.env").symlink_to(tmp_path / "outside.env")
    specs.write("a.yaml", worker("a", f"env_files: [{name}]\n"))
    desired = specs.scan()
    assert states(desired) == {"a": "broken"}
    assert "leads out of the specs directory" in desired.problems[0].message


def test_an_env_file_in_the_making_is_waited_for(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=", age_s=0.0)
    first = specs.result()
    assert (states(first.desired), first.desired.problems) == ({}, ())
    assert first.again_at == pytest.approx(START + 0.2)
    assert states(specs.later().scan()) == {"a": "good"}
    specs.write("a.env", "A=2", age_s=0.0)
    assert specs.scan().workers["a"].instances[0].launch.env["A"] == ""


def test_a_new_env_file_in_the_making_leaves_the_worker_as_it_is(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=1", age_s=0.0)
    desired = specs.scan()
    assert (states(desired), desired.workers["a"].spec.env_files) == ({"a": "good"}, [])
