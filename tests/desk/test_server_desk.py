"""What a controller says of itself: what people look for, and no secret."""

from __future__ import annotations

from pathlib import Path

from controller.config import load
from controller.desk.server import ServerDesk
from controller.store import open_store
from controller.store.engine import locate
from tests.store.store_builders import QUICK


def test_a_controller_says_where_it_is_and_what_it_keeps(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "WORKERCTL_RETAIN_DAYS": "7"}
    settings = load({"state_dir": tmp_path, "specs": tmp_path / "specs"}, env, root=False)
    store = open_store(settings.db, settings=QUICK)
    told = ServerDesk(settings, store, 0.0).about()
    assert store.close()

    assert (told["specs"], told["state_dir"]) == (str(tmp_path / "specs"), str(tmp_path))
    assert told["database"] == {"kind": "sqlite", "at": str(tmp_path / "workerctl.db")}
    assert told["retain"] == {"days": 7, "lines": None, "bytes": settings.retain_bytes}
    assert (told["started_at"], told["auth"], told["is_encrypted"]) == ("1970-01-01T00:00:00.000Z", "peer", False)
    assert told["version"][0].isdigit()
    assert told["user"]


def test_the_address_of_a_database_is_shown_without_its_passwords() -> None:
    shown = locate("postgresql://ann:hunter2@db/workers?password=hunter2&sslmode=require").shown
    assert "hunter2" not in shown
    assert "@db/workers" in shown
