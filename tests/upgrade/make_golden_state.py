"""What this build leaves on the disk, kept for all later ones: run as `python -m tests.upgrade.make_golden_state NAME`.

A real controller with a few workers is killed in the middle of its life. What agent, keeper and controller wrote goes
into golden/NAME: the state directory, the runtime folder (`runtime`), the database as SQL, and the facts that a reader
must find in it (`facts.json`). Made once per form that was released, and never again: test_golden_states.py reads them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

from controller.agent.paths import AgentPaths
from tests.e2e.e2e_installation import CANARY, PYTHON, Installation
from tests.e2e.e2e_processes import eventually

GOLDEN = Path(__file__).with_name("golden")
OF_NO_INTEREST = ("*.log", "*.lock", "*.tmp", "probes", "runtime", "secrets", "*.sock", "notify*", "n")
TABLES = ("worker_configs", "worker_runtime", "worker_logs", "events", "operations")


def live(site: Installation) -> None:
    """Workers in every condition, wishes, a broken file."""
    site.add("web", "--lines=5", replicas=2, env={"A": "1"}, readiness={"exec": ["/bin/true"]})
    site.add("brk", labels={"team": "a"})
    site.add("one", "--exit=0", "--after=50")
    site.add("bad", "--exit=3", "--after=50", auto_restart=False)
    site.add("off")
    site.add("gone")
    site.serve()
    site.until_running("web", "brk", "off", "gone")
    site.until_status("one", "stopped")
    site.until_status("bad", "error")
    assert site.run("restart", "web", "--wait", "20").code == 0
    assert site.ask("/api/v1/workers/off/stop", "POST", {"for_ms": 3_600_000, "reason": "golden"}).status == 202
    site.until_status("off", "stopped")
    (site.specs / "gone.yaml").unlink()
    eventually(lambda: "gone" not in site.workers(), told="it is gone")
    site.write("brk.yaml", "worker_id: brk\ncommand: [\n")
    eventually(lambda: site.workers()["brk"]["problems"], told="the file is known to be broken")
    eventually(lambda: len(site.ask("/api/v1/workers/web/logs").body["items"]) >= 10, told="its lines are stored")


def facts(site: Installation) -> dict[str, Any]:
    """What is so, before everything is killed."""
    workers = site.workers()
    return {
        "status": {name: item["status"] for name, item in sorted(workers.items())},
        "living": sorted(site.living()),
        "boot_id": (site.state / "agent/boot").read_text().strip(),
    }


def rows(path: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


def without_places(folder: Path, site: Installation) -> None:
    """Where it was made is nobody's business."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("key", "id"):
            text = path.read_text()
            for found, told in ((str(site.root), "/srv/golden"), (CANARY, "/srv/canary.py"), (PYTHON, "/bin/python3")):
                text = text.replace(found, told)
            path.write_text(text)


def main(name: str) -> None:
    """Make one. Fails where it is there."""
    target, site = GOLDEN / name, Installation()
    try:
        live(site)
        known = facts(site)
        runtime = AgentPaths(f"{site.state}/agent", {"XDG_RUNTIME_DIR": f"{site.root}/run"}).runtime
        site.kill("controller", "agent", "keeper")
        ignore = shutil.ignore_patterns(*OF_NO_INTEREST, "workerctl.db*", "logs")
        shutil.copytree(site.state, target / "state", ignore=ignore)
        for part in ("runs", "slots"):
            shutil.copytree(Path(runtime) / part, target / "runtime" / part, ignore=ignore)
        with contextlib.closing(sqlite3.connect(site.state / "workerctl.db")) as database:
            (target / "database.sql").write_text("\n".join(database.iterdump()) + "\n")
        without_places(target, site)
        known["rows"] = rows(site.state / "workerctl.db")
        (target / "facts.json").write_text(json.dumps(known, indent=1) + "\n")
    finally:
        site.close()
        site.remove()


if __name__ == "__main__":
    main(sys.argv[1])
