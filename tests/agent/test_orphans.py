"""What is known of slots whose half of the state folder is gone."""

from __future__ import annotations

from typing import Any

import pytest

from controller.agent.orphans import Orphans
from controller.agent.states import Slot
from tests.agent.agent_builders import launch, wish


@pytest.mark.parametrize(("kill", "leaves"), [("main", True), ("group", False)])
def test_who_wants_its_leader_ended_alone_leaves_its_children(kill: str, leaves: bool) -> None:
    nobody: Any = None
    orphans = Orphans(nobody, lambda _name: None)
    orphans.load({"web/0": Slot(name="web/0", wish=wish(launch=launch(stop_kill=kill)))})
    assert orphans.leaves_children("web/0") is leaves
    assert not orphans.leaves_children("mail/0")
