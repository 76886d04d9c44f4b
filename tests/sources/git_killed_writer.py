"""A program that does one write in a work tree and is killed in the middle of it, by WORKERCTL_FAIL.

python git_killed_writer.py FOLDER MODE ACTION: test_git_kills.py starts it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from controller.core.authorship import SpecWish
from controller.core.config_views import shown_spec
from controller.sources.directory import DirectorySource
from controller.sources.git_writes import writes
from controller.sources.writer import SpecWriter
from tests.sources.specs_builder import SURROUNDINGS

NOW = 4_000_000_000.0
BODIES = {"patch": ("web", {"replicas": 5}), "create": ("new", {"command": ["true"]}), "delete": ("db", {})}


def main() -> None:
    """See the module."""
    folder, mode, action = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    root = str(folder / "specs")
    source = DirectorySource(root, str(folder / "state"), SURROUNDINGS)
    source.scan(NOW)
    ways = writes(mode, root, os.environ)  # type: ignore[arg-type]
    writer = SpecWriter(source, shown=shown_spec, now=lambda: NOW, writes=ways)
    worker_id, body = BODIES[action]
    outcome = writer.write(SpecWish(action=action, worker_id=worker_id, actor="bob", body=body))  # type: ignore[arg-type]
    print(json.dumps(type(outcome).__name__))


if __name__ == "__main__":
    main()
