"""Whether a launch could start, as far as can be told without starting it. Asked before a running one is replaced.

Called in a worker thread: a dead network file system must not stop supervision. Says exactly what is missing; an empty
text is a yes. Never a promise: what passes may still fail at exec, and what fails may be mended a second later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any


def check(launch: Mapping[str, Any], base: Mapping[str, str]) -> str:
    """The first reason why the launch cannot start, or an empty text. `base` is what the environment starts from."""
    return _check_directory(launch["working_dir"]) or _check_command(launch, base)


def _check_directory(path: str) -> str:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"working_dir {path} does not exist"
    except OSError as error:
        return f"working_dir {path} cannot be read: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"working_dir {path} is not a directory"
    if not os.access(path, os.X_OK):
        return f"working_dir {path} cannot be entered: permission denied"
    return ""


def _check_command(launch: Mapping[str, Any], base: Mapping[str, str]) -> str:
    name = launch["argv"][0]
    if not name:
        return "command is empty"
    if "/" in name:
        return _check_file(name, os.path.join(launch["working_dir"], name))
    search = {**base, **launch["env"]}.get("PATH", os.defpath)
    blocked = ""
    for folder in search.split(":"):
        path = os.path.join(launch["working_dir"], folder, name)
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return ""
            blocked = blocked or f'command "{name}": {path} is not executable'
    return blocked or f'command not found: "{name}" (searched PATH {search})'


def _check_file(name: str, path: str) -> str:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f'command not found: "{name}"' if name == path else f'command not found: "{name}" ({path})'
    except OSError as error:
        return f'command "{name}" cannot be read: {error.strerror}'
    if stat.S_ISDIR(found.st_mode):
        return f'command "{name}" is a directory'
    if not os.access(path, os.X_OK):
        return f'command "{name}" is not executable'
    return ""
