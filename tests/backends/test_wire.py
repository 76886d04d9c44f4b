"""Reading what an agent says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.agent.protocol import ProtocolError
from controller.backends.wire import read_chunk, read_event, read_figures, read_log_file, read_result, read_view
from controller.core.observed import LastExit, Status

VIEW: dict[str, Any] = {
    "slot": "web/3", "generation": 2, "revision": "1-a", "digest": "d", "run_request": 7, "wanted": "running",
    "status": "running", "last_exit": {"cause": "signaled", "code": None, "signal": 9, "at": 5.0, "run": "r"},
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_view_is_an_observation_and_a_signal_has_its_name() -> None:
    seen = read_view(VIEW)
    assert (seen.instance, seen.status, seen.wanted) == ("web/3", Status.RUNNING, "running")
    assert seen.last_exit == LastExit(cause="signaled", code=None, signal="SIGKILL", at=5.0, run="r")
    assert read_view({**VIEW, "last_exit": {**VIEW["last_exit"], "signal": 50}}).last_exit == LastExit(
        cause="signaled", code=None, signal="signal 50", at=5.0, run="r"
    )


def test_a_status_of_a_newer_agent_is_unknown() -> None:
    assert read_view({**VIEW, "status": "frozen"}).status is Status.UNKNOWN


@pytest.mark.parametrize(
    "change",
    [{"slot": "web"}, {"slot": "/0"}, {"generation": None}, {"wanted": "maybe"}, {"pid": "x"}],
)
def test_a_view_of_the_wrong_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="slot view cannot be read"):
        read_view({**VIEW, **change})


@given(base=st.sampled_from([VIEW, {}]), name=st.sampled_from(sorted(VIEW)), value=JSON)
def test_nothing_that_an_agent_says_raises_anything_else(base: dict[str, Any], name: str, value: Any) -> None:
    for read in (read_view, read_event, read_log_file, read_result, read_figures):
        try:
            read({**base, name: value})
        except ProtocolError:
            continue


@given(JSON, JSON, JSON)
def test_no_chunk_goes_back_before_what_was_asked(offset: Any, size: Any, times: Any) -> None:
    try:
        chunk = read_chunk({"offset": offset, "size": size, "ended": False, "times": times}, b"abc", 10)
    except ProtocolError:
        return
    assert chunk.offset >= 10
    assert chunk.size >= chunk.offset + 3
