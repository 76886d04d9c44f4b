"""Which agent a controller replaces by its own, which it leaves alone, and which it must not speak to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.backends.base import Unavailable
from controller.backends.renewal import TRIES, Build, Renewal, Step, check_program, judge, own_build, read_build

OWN = Build(version=2, form=1, fingerprint="new", folder="/new")
OLD = Build(version=1, form=1, fingerprint="old", folder="/old")


@pytest.mark.parametrize(
    ("agent", "on_disk", "tries", "step"),
    [
        pytest.param(OWN, "gone", 0, Step.GO_ON, id="ours"),
        pytest.param(OLD, "new", 0, Step.RENEW, id="older"),
        pytest.param(replace(OLD, version=3), "new", 0, Step.RENEW, id="newer, in a form that we read"),
        pytest.param(replace(OWN, folder="/elsewhere"), "new", 0, Step.RENEW, id="the same, installed elsewhere"),
        pytest.param(replace(OLD, form=2, version=2), "new", 0, Step.REFUSE, id="newer, in a form that we do not read"),
        pytest.param(OLD, "newest", 0, Step.REFUSE, id="we were replaced on the disk, it speaks another protocol"),
        pytest.param(replace(OLD, version=2), "newest", 0, Step.GO_ON, id="we were replaced on the disk"),
        pytest.param(OLD, "new", TRIES, Step.REFUSE, id="it stays what it is, and speaks another protocol"),
        pytest.param(replace(OLD, version=2), "new", TRIES, Step.GO_ON, id="it stays what it is"),
    ],
)
def test_an_agent_of_another_build_is_renewed_where_that_leads_to_ours(
    agent: Build, on_disk: str, tries: int, step: Step
) -> None:
    assert judge(agent, OWN, on_disk, tries)[0] is step


def test_a_refusal_says_what_runs_and_what_to_do() -> None:
    newer = replace(OLD, form=2, version=3)
    assert judge(newer, OWN, "new", 0)[1] == (
        "the running agent, old in /old (protocol 3), writes its files in form 2, and this workerctl reads up to 1: "
        "use the version that started it or a later one"
    )
    assert judge(OLD, OWN, "newest", 0)[1] == (
        "workerctl was changed on the disk under this controller: restart it (it speaks protocol 1, we 2)"
    )


def test_an_agent_that_stays_what_it_is_is_asked_a_few_times_only() -> None:
    renewal = Renewal(OWN, lambda: "new")
    asked = [renewal.decide(replace(OLD, version=2)) for _ in range(TRIES + 2)]
    assert asked == [True] * TRIES + [False, False]
    with pytest.raises(Unavailable, match=r"the agent stays old in /old .*it speaks protocol 1, we 2"):
        renewal.decide(OLD)


def test_a_build_that_does_not_begin_replaces_nobody() -> None:
    renewal = Renewal(OWN, lambda: "new")
    renewal.cannot(replace(OLD, version=2), "SyntaxError")
    with pytest.raises(Unavailable, match="SyntaxError"):
        renewal.cannot(OLD, "SyntaxError")


def test_our_own_build_begins_and_is_told_by_its_files() -> None:
    assert check_program() == ""
    own = own_build()
    answer = {"version": own.version, "form": own.form, "build": own.fingerprint, "folder": own.folder}
    assert read_build({**answer, "keeper_build": own.fingerprint}) == read_build(answer) == own
    older_keeper = read_build({**answer, "keeper_build": "older"})
    assert older_keeper is not None
    assert judge(older_keeper, own, own.fingerprint, 0)[0] is Step.RENEW
    assert read_build({"ok": False, "error": "hello_first"}) is None
