"""What was asked for before a restart of the controller: nothing is said of it before it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.reconcile.operations import Operation
from tests.desk.test_desk import Scene
from tests.reconcile.reconcile_site import until


def left(action: Any) -> Operation:
    """An operation as the controller before us left it."""
    return Operation(
        operation_id="op", worker_id="web", action=action, state="running", detail="", actor="ann", reason="",
        number=0, created_at=1.0,
    )  # fmt: skip


async def test_a_stop_is_done_when_its_host_has_told_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.host.reachable = False
    scene.desk._operations.put(left("stop"))
    await scene.start(web="desired_state: stopped\n")
    scene.desk._judge(None)
    assert [one["state"] for one in scene.desk.known_operations()] == ["running"]
    scene.host.reachable = True
    scene.loop.queue.everything()
    await until(lambda: scene.desk.known_operations()[0]["state"] == "succeeded")
    await scene.close()


async def test_before_the_specs_are_read_no_worker_is_taken_for_gone(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.desk._operations.put(left("restart"))
    scene.desk._judge(None)
    assert [one["state"] for one in scene.desk.known_operations()] == ["running"]
    await scene.start(web="")
    await until(lambda: scene.desk.known_operations()[0]["state"] == "succeeded")
    await scene.close()
