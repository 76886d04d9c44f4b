"""Absences over many scans: properties that no order of events may break."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.sources.removals import Removals, Suspect

Step = tuple[frozenset[str], dict[str, Suspect], float, bool]
NAMES = st.frozensets(st.sampled_from("ab"))
SUSPECTS = st.dictionaries(st.sampled_from("xy"), st.builds(Suspect, token=st.integers(0, 1), is_broken=st.booleans()))
STEPS = st.lists(st.tuples(NAMES, SUSPECTS, st.sampled_from([0.0, 0.1, 0.2, 5.0, -3.0]), st.booleans()), max_size=12)


@given(STEPS)
def test_gone_needs_two_scans_that_agree_and_never_comes_from_less(steps: list[Step]) -> None:
    removals, now, absent_scans = Removals(0.2), 100.0, dict.fromkeys("ab", 0)
    for absent, suspects, passed, interrupted in steps:
        now += passed
        if interrupted:
            removals.interrupt()
        before = removals.gone
        verdict = removals.step(absent, suspects, now)
        absent_scans = {name: absent_scans[name] + 1 if name in absent else 0 for name in "ab"}
        assert verdict.gone <= absent
        assert before & absent <= verdict.gone
        assert all(absent_scans[name] >= 2 for name in verdict.gone)
        assert all(suspects[path].is_broken for path in verdict.obstacles.values())
        assert verdict.again_at is None or verdict.again_at > now
        if interrupted:
            assert verdict.gone == before & absent


def test_a_file_that_broke_before_an_interruption_still_counts() -> None:
    removals = Removals(0.2)
    removals.step(frozenset(), {}, 0.0)
    removals.step(frozenset("a"), {}, 1.0)
    broken = {"x": Suspect(token="1", is_broken=True)}
    removals.step(frozenset("a"), broken, 1.1)
    removals.interrupt()
    removals.step(frozenset("a"), broken, 2.0)
    assert removals.step(frozenset("a"), broken, 3.0).obstacles == {"a": "x"}
    assert removals.step(frozenset("a"), {}, 4.0).gone == frozenset("a")


def test_while_more_and_more_is_absent_nothing_is_gone() -> None:
    removals = Removals(0.2)
    removals.step(frozenset(), {}, 0.0)
    for now, absent in ((1.0, "a"), (1.2, "ab"), (1.4, "abc")):
        verdict = removals.step(frozenset(absent), {}, now)
        assert (verdict.gone, verdict.again_at) == (frozenset(), now + 0.2)
    assert removals.step(frozenset("abc"), {}, 1.6).gone == frozenset("abc")
    assert removals.step(frozenset("abcd"), {}, 1.7).gone == frozenset("abc")
    assert removals.step(frozenset("abcd"), {}, 0.5).gone == frozenset("abc")
    assert removals.step(frozenset("abcd"), {}, 0.7).gone == frozenset("abcd")
