"""`python -I -m controller.agent keeper STATE_AGENT_DIR [--detach]` and `... agent STATE_AGENT_DIR --keeper-fd N`.

The keeper starts the agent; nobody else does. `--detach` returns at once with a keeper left behind in a session of its
own. Exit status 2: the command line; 1: the folders cannot be used. No argument parser: both processes stay small.
"""

from __future__ import annotations

import importlib
import sys

from . import build, keeper, start
from .paths import AgentPaths, PathsError

USAGE = "usage: python -I -m controller.agent keeper STATE_AGENT_DIR [--detach] | agent STATE_AGENT_DIR --keeper-fd N"


def main(arguments: list[str]) -> int:
    """Run one role. Returns the exit status."""
    try:
        if len(arguments) in (2, 3) and arguments[0] == "keeper" and arguments[2:] in ([], ["--detach"]):
            return _keep(arguments[1], detached=len(arguments) == 3)
        if len(arguments) == 4 and arguments[0] == "agent" and arguments[2] == "--keeper-fd" and arguments[3].isdigit():
            return _serve(arguments[1], int(arguments[3]))
    except PathsError as error:
        print(error, file=sys.stderr)
        return 1
    print(USAGE, file=sys.stderr)
    return 2


def _keep(state: str, *, detached: bool) -> int:
    paths = AgentPaths(state)
    if complaint := build.complaint(paths.state):
        raise PathsError(complaint)
    paths.prepare()
    if detached:
        start.detach(paths)
    return keeper.main(lambda: AgentPaths(paths.state), keeper.default_options(paths.state))


def _serve(state: str, keeper_fd: int) -> int:
    # Imported late: the keeper's process must not carry the agent's modules.
    supervisor = importlib.import_module(".supervisor", __package__)
    paths = AgentPaths(state)
    paths.prepare()  # the keeper did so; they may have been removed since
    return int(supervisor.main(paths, keeper_fd) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
