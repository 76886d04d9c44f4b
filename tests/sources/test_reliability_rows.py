r"""The faults that specs can bring, row by row, with the tests that prove what is promised; and what had no test yet.

F1 directory deleted, unmounted, replaced: test_a_lost_directory_removes_nothing_and_every_worker_goes_on
   test_an_unmounted_directory_is_held_and_goes_on_by_itself_when_it_is_mounted_again
   test_an_unmounted_directory_costs_no_worker_and_goes_on_by_itself_when_it_is_back
   test_a_confirmation_removes_all_once_two_scans_agree_and_only_for_what_was_lost_then
   test_removing_four_of_five_waits_for_a_confirmation_of_exactly_that
F2 permission denied: test_what_is_not_permitted_keeps_its_workers_and_forbids_removals
   test_an_unreadable_directory_is_held_until_it_can_be_read_again
   test_a_directory_that_may_be_entered_again_is_a_hint_and_is_watched
F3 half-written files: test_a_file_written_byte_by_byte_counts_once_and_whole
   test_a_young_file_counts_only_once_it_was_left_alone
   test_a_truncated_file_is_a_problem_and_not_a_removal
   test_a_file_that_changes_while_it_is_looked_at_is_looked_at_again
F4 names, encodings, layouts: test_every_spec_file_below_the_directory_is_read_and_nothing_else
   test_every_odd_encoding_is_read_or_named_and_hurts_nobody_else
   test_a_configmap_flip_is_an_edit test_a_configmap_flip_is_a_hint_each_time
   test_a_git_sync_flip_of_the_link_is_one_change_and_restarts_nothing_by_itself
   test_a_flipped_link_changes_what_differs_and_nothing_else
   test_in_the_middle_of_a_conflict_nothing_is_read_and_giving_up_changes_nothing
   test_conflict_markers_that_were_committed_hurt_their_file_alone
F5 links and odd files: test_links_are_followed_inside_the_directory_only
   test_fifos_sockets_and_odd_names_are_named_and_hang_nothing
   test_devices_and_sockets_are_named_and_never_opened_for_good
   test_a_path_behind_a_link_that_was_swapped_in_leads_nowhere
F6 thousands of specs, one changed: test_one_change_among_thousands_reads_one_file_and_builds_one_worker
   test_what_is_lost_in_an_overflowing_queue_is_found_and_watched
   test_without_inotify_the_directory_is_looked_at_and_that_is_said_once
   test_a_network_file_system_is_looked_at_and_every_kind_of_change_is_found
F7 bombs: test_a_bomb_is_refused test_no_file_costs_much_time_or_memory
   test_a_file_of_faults_is_told_in_part_and_hurts_nobody_else test_a_file_that_is_too_large_is_not_read
   test_a_trap_is_named_with_its_place_and_what_to_write
F8 double names: test_a_second_definition_is_an_error_of_both_and_the_running_one_stays
   test_names_that_differ_by_case_or_unicode_only_are_refused_or_are_different
   test_file_names_that_differ_by_case_or_unicode_only_are_different_files
   test_a_name_that_two_files_claim_is_an_error_of_both_and_the_running_one_stays
F9 types: test_plain_values_mean_what_yaml_1_2_says
   test_a_variable_that_older_yaml_misreads_is_the_text_that_stands_there
   test_a_variable_that_yaml_reads_as_something_else_is_told_how_to_quote
F10 valid but impossible: test_an_edit_that_cannot_start_leaves_the_old_one_and_says_why
   test_a_first_start_that_cannot_be_is_an_error_with_its_reason
   test_the_message_names_what_is_missing test_who_is_not_there_is_named
   test_overlapping_ports_are_an_error_of_both test_an_unknown_host_is_named
F15 crash in a write: test_killed_at_any_point_the_file_is_whole_and_the_next_write_works
   test_killed_at_any_system_call_the_file_is_old_or_new
F16 renamed, moved: test_a_renamed_file_changes_nothing test_a_renamed_file_restarts_nothing
   test_a_worker_that_moves_to_another_file_goes_on
F17 deleted while we were away: test_what_was_edited_added_and_removed_while_the_controller_was_away_is_done_once
   test_a_file_that_vanished_while_the_controller_was_down_removes_its_workers
   test_a_removed_worker_stays_removed_until_it_is_forgotten
F18 one bad value: test_a_bad_value_hurts_its_own_worker_alone
   test_a_fault_is_told_with_what_was_expected_and_what_to_write
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.specs_builder import SpecsDirectory, revisions, states, told, worker
from tests.sources.test_atomic_write import WRITE

TESTS = Path(__file__).parents[1]


def test_every_test_that_this_table_names_is_there() -> None:
    defined = set()
    for path in TESTS.rglob("test_*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    assert __doc__ is not None
    rows = re.split(r"^(F\d+) ", __doc__, flags=re.MULTILINE)[1:]
    named = {row: re.findall(r"test_\w+", text) for row, text in zip(rows[::2], rows[1::2], strict=True)}
    assert list(named) == [f"F{number}" for number in (*range(1, 11), *range(15, 19))]
    assert {row: [name for name in names if name not in defined] for row, names in named.items()} == {
        row: [] for row in named
    }
    assert [row for row, names in named.items() if not names] == []


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    """One good worker that nothing may hurt."""
    specs = SpecsDirectory(tmp_path)
    specs.write("good.yaml", worker("good"))
    return specs


# --- F3 --------------------------------------------------------------------------------------------------------------


def test_a_file_written_byte_by_byte_counts_once_and_whole(specs: SpecsDirectory) -> None:
    """Looked at after every byte, a fifth of a settle window apart; what is torn often parses."""
    specs.write("a.yaml", worker("a"))
    before = specs.scan()
    text = worker("a", "replicas: 12\nenv: {A: one, B: two}\n")
    for length in range(len(text) + 1):
        specs.write("a.yaml", text[:length], age_s=0)
        for _ in range(2):
            found = specs.later(0.04).scan()
            assert (found.workers, found.problems, dict(found.removed)) == (before.workers, (), {})
    assert specs.later(0.2).settled().workers["a"].spec.replicas == 12


# --- F4, F5 ----------------------------------------------------------------------------------------------------------


def test_every_odd_encoding_is_read_or_named_and_hurts_nobody_else(specs: SpecsDirectory) -> None:
    text = worker("x")
    odd = {
        "bom": b"\xef\xbb\xbf" + worker("bom").encode(),
        "crlf": worker("crlf").replace("\n", "\r\n").encode(),
        "cr": worker("cr").replace("\n", "\r").encode(),
        "no-end": worker("no-end").rstrip("\n").encode(),
        "two": f"{worker('two')}---\n{worker('three')}...\n".encode(),
        "empty": b"",
        "comment": b"# nothing\n",
        "utf-16": text.encode("utf-16"),
        "utf-32": text.encode("utf-32"),
        "latin-1": text.encode() + b"name: gr\xfc\xdfe\n",
        "nul": text.encode() + b"\0",
        "binary": bytes(range(256)),
        "tab": b"worker_id: tab\ncommand:\n\t- x\n",
        "control": text.encode() + b"name: \x1b[31m\n",
        "surrogate": text.encode() + b"name: \xed\xa0\x80\n",
    }
    for name, content in odd.items():
        specs.write(f"{name}.yaml", content)
    desired = specs.scan()
    assert {name for name, state in states(desired).items() if state == "good"} == {
        "good", "bom", "crlf", "cr", "no-end", "two", "three",
    }  # fmt: skip
    assert {problem.file.removesuffix(".yaml") for problem in desired.problems} == {
        "utf-16", "utf-32", "latin-1", "nul", "binary", "tab", "control", "surrogate",
    }  # fmt: skip
    assert all(problem.line for problem in desired.problems)
    assert not any("\x1b" in line for line in told(desired))


def test_devices_and_sockets_are_named_and_never_opened_for_good(specs: SpecsDirectory) -> None:
    kinds = ["socket", "pipe"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(specs.root / "socket.yaml"))
        os.mkfifo(specs.root / "pipe.yaml")
        if os.getuid() == 0:
            for name, minor in (("null", 3), ("zero", 5), ("random", 8)):
                os.mknod(specs.root / f"{name}.yaml", 0o20000 | 0o600, os.makedev(1, minor))
                kinds.append(name)
        (specs.root / "folder.yaml").mkdir()
        desired = specs.scan()
    assert states(desired) == {"good": "good"}
    assert told(desired) == [
        f"{kind}.yaml: cannot be read: it is no regular file (specs are regular files)" for kind in sorted(kinds)
    ]


# --- F6 --------------------------------------------------------------------------------------------------------------


def test_one_change_among_thousands_reads_one_file_and_builds_one_worker(specs: SpecsDirectory) -> None:
    """Proved by identity, which no load of the machine disturbs: all others are the very objects of before."""
    for number in range(2000):
        specs.write(f"{number % 20}/w{number}.yaml", worker(f"w{number}"))
    before = specs.scan()
    specs.write("7/w7.yaml", worker("w7", "replicas: 2\n"))
    after = specs.later().scan()
    assert [name for name, one in after.workers.items() if one is not before.workers[name]] == ["w7"]
    assert len(after.workers) == 2001


# --- F7 --------------------------------------------------------------------------------------------------------------

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MEGABYTE = 1024 * 1024
BOMBS = {
    "laughs": LAUGHS,
    "lists in lists": "[" * 100_000,
    "mappings in mappings": "{a: " * 100_000,
    "keys in keys": "? " * 100_000,
    "items in items": "- " * 100_000,
    "ten million entries, cut": "a:\n" * (MEGABYTE // 3),
    "entries": "".join(f"k{number}: 1\n" for number in range(90_000)),
    "anchors": "".join(f"- &a{number} x\n" for number in range(80_000)),
    "aliases": "a: &a x\nb: [" + "*a, " * 250_000,
    "merges": "a: &a {" + ",".join(f"k{n}: 1" for n in range(1000)) + "}\nb: {<<: [" + ",".join(["*a"] * 99) + "]}\n",
    "a merge of itself": "a: &a {<<: *a}\n",
    "a list of itself": "a: &a [*a]\n",
    "a huge integer": "a: " + "9" * (MEGABYTE - 10),
    "a huge float": "a: 1" + "0" * 500_000 + ".5e500000",
    "a huge key": "9" * 500_000 + ": a",
    "a huge tag": "a: !" + "x" * (MEGABYTE - 10),
    "a python object": "a: !!python/object/apply:os.system ['touch /tmp/pwned']\n",
    "brackets and commas": "[" + "a," * 500_000,
    "documents": "---\na\n" * 150_000,
}
COST = """
import resource, sys, time
from tests.sources.test_reliability_rows import BOMBS, MEGABYTE
from controller.sources.strict_yaml import parse
content = BOMBS[sys.argv[1]].encode()[:MEGABYTE]
parse(b"a: b", "warm.yaml")
peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
parsed = parse(content, "bomb.yaml")
spent = time.process_time() - begun
print(spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024, len(parsed.problems))
"""


@pytest.mark.parametrize("name", BOMBS)
def test_no_file_costs_much_time_or_memory(name: str) -> None:
    """The worst take 0.4 s and 36 MB where this was written: a hundred thousand values, each read and then refused."""
    done = subprocess.run(
        [sys.executable, "-c", COST, name], capture_output=True, text=True, check=False, cwd=TESTS.parent, timeout=60
    )
    assert done.stderr == ""
    seconds, megabytes, problems = map(float, done.stdout.split())
    assert (seconds < 3, megabytes < 50, problems <= 101) == (True, True, True), done.stdout


FAULTS = {
    "unknown fields": worker("bomb", "".join(f"replicaz{number}: 1\n" for number in range(40_000))),
    "variables of another type": worker("bomb", "env:\n" + "".join(f"  K{number}: 5\n" for number in range(40_000))),
    "one name in all documents": "---\n".join([worker("bomb")] * 990),
    "nameless documents": "---\n".join(["command: [x]\nreplicaz: 4\n"] * 990),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_of_faults_is_told_in_part_and_hurts_nobody_else(specs: SpecsDirectory, name: str) -> None:
    """Minutes in every scan, if each fault looks for its place from the beginning: the time limit of a test tells."""
    specs.write("bomb.yaml", FAULTS[name])
    for _ in range(3):
        desired = specs.later().scan()
        assert states(desired)["good"] == "good"
        assert 100 < len(desired.problems) <= 2000


# --- F8, F9, F10, F18 ------------------------------------------------------------------------------------------------


def test_names_that_differ_by_case_or_unicode_only_are_refused_or_are_different(specs: SpecsDirectory) -> None:
    alike = ("Good", "GOOD", "go\u03bfd", "go\u200bod", "good ", "g\u00f6od", "good\\n", "\uff47ood")
    for number, name in enumerate(alike):
        specs.write(f"{number}.yaml", worker(f'"{name}"'))
    desired = specs.scan()
    assert states(desired) == {"good": "good"}
    assert [problem.file for problem in desired.problems] == [f"{number}.yaml" for number in range(len(alike))]


def test_file_names_that_differ_by_case_or_unicode_only_are_different_files(specs: SpecsDirectory) -> None:
    for name in ("A.yaml", "a.yaml", "\u00e9.yaml", "e\u0301.yaml"):
        specs.write(name, worker("same"))
    desired = specs.scan()
    assert states(desired) == {"good": "good", "same": "broken"}
    assert {problem.file for problem in desired.problems} == {"A.yaml", "a.yaml", "\u00e9.yaml", "e\u0301.yaml"}


@pytest.mark.parametrize("value", ["012", "1e3", "0x1f", "1.10", "true", "~"])
def test_a_variable_that_yaml_reads_as_something_else_is_told_how_to_quote(specs: SpecsDirectory, value: str) -> None:
    specs.write("a.yaml", worker("a", f"env:\n  VALUE: {value}\n"))
    desired = specs.scan()
    assert states(desired) == {"a": "broken", "good": "good"}
    assert [problem.line for problem in desired.problems] == [4]
    if value != "~":
        assert f'"{value}"' in told(desired)[0]


@pytest.mark.parametrize("value", ["no", "on", "y", "1:30", "12:30:45", "2024-01-02", "1_000"])
def test_a_variable_that_older_yaml_misreads_is_the_text_that_stands_there(specs: SpecsDirectory, value: str) -> None:
    specs.write("a.yaml", worker("a", f"env:\n  VALUE: {value}\n"))
    assert specs.scan().workers["a"].instances[0].launch.env["VALUE"] == value


def test_an_unknown_host_is_named(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    before = specs.scan()
    specs.write("a.yaml", worker("a", "host: nowhere.example\n"))
    desired = specs.later().scan()
    assert (states(desired), revisions(desired)) == ({"a": "stale", "good": "good"}, revisions(before))
    assert told(desired)[0].startswith('a.yaml:3:7: host "nowhere.example" is not known')


@pytest.mark.parametrize(
    "lines",
    [
        "restart_delay_ms: 1y2x\n",
        "stop: {grace_ms: -1}\n",
        "stop: {signal: SIGNOTHING}\n",
        "schedule: '61 * * * *'\n",
        "readiness: {log_line: '(['}\n",
        "readiness: {log_line: '(a+)+$'}\n",
        "replicas: 1.5\n",
        "port: 70000\n",
        "env: {'A B': c}\n",
    ],
)
def test_a_bad_value_hurts_its_own_worker_alone(specs: SpecsDirectory, lines: str) -> None:
    specs.write("a.yaml", worker("a"))
    before = specs.scan()
    specs.write("a.yaml", worker("a", lines))
    desired = specs.later().scan()
    assert (states(desired), revisions(desired)) == ({"a": "stale", "good": "good"}, revisions(before))
    assert {(problem.file, problem.line) for problem in desired.problems} == {("a.yaml", 3)}


# --- F15 -------------------------------------------------------------------------------------------------------------


@pytest.mark.campaign
def test_killed_at_any_system_call_the_file_is_old_or_new(specs: SpecsDirectory) -> None:
    """Each system call of a write that touches the file, its folder or the temporary one is its last."""
    if shutil.which("strace") is None:
        assert not os.environ.get("CI"), "CI must have strace"
        pytest.skip("strace is not installed")
    path, record = specs.root / "a.yaml", specs.root.parent / "calls"
    touched = [path, specs.root, specs.root / ".a.yaml.workerctl"]
    strace = ["strace", "-f", "-o", str(record), *(word for one in touched for word in ("-P", str(one)))]
    write = [sys.executable, "-c", WRITE, str(path)]
    old, new = worker("a"), "worker_id: a\nname: new\n"
    specs.write("a.yaml", old)
    subprocess.run([*strace, *write], check=True)
    calls = re.findall(r"^\d+ +(\w+)\(", record.read_text(), re.MULTILINE)
    assert {"write", "fsync", "rename"} <= set(calls)
    points = [(name, calls[: number + 1].count(name)) for number, name in enumerate(calls)]
    for name, nth in points:
        specs.write("a.yaml", old)
        kill = ["-e", f"inject={name}:signal=SIGKILL:when={nth}"]
        done = subprocess.run([*strace, *kill, *write], check=False)
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), (name, nth)
        assert path.read_text() in (old, new), (name, nth)
        assert states(specs.later().scan())["good"] == "good"
        assert {problem.file for problem in specs.scan().problems} <= {"a.yaml"}
        subprocess.run(write, check=True)
        assert (path.read_text(), sorted(os.listdir(specs.root))) == (new, ["a.yaml", "good.yaml"])
