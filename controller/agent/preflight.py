"""Whether a launch could start, as far as can be told without starting it. Asked before a running one is replaced.

Called in a worker thread: a dead network file system must not stop supervision. Says exactly what is missing; an empty
text is a yes. Never a promise: what passes may still fail at exec, and what fails may be mended a second later.

For a worker of another user the kernel cannot be asked without becoming that user, which a process with threads must
not. So the mode bits on the way are read as the kernel reads them; where an access list says more, it is a yes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from .accounts import Account, AccountError, resolve
from .secret_values import SecretError, read_files

_BY_NOBODY = " "
_ACL = "system.posix_acl_access"


def check(launch: Mapping[str, Any], base: Mapping[str, str]) -> str:
    """The first reason why the launch cannot start, or an empty text. `base` is what the environment starts from."""
    try:
        account = resolve(launch)
    except AccountError as error:
        return str(error)
    return (
        _check_directory(launch["working_dir"], account)
        or _check_command(launch, base, account)
        or _check_secrets(launch, account)
    )


def _check_directory(path: str, account: Account) -> str:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"working_dir {path} does not exist"
    except OSError as error:
        return f"working_dir {path} cannot be read: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"working_dir {path} is not a directory"
    blocked = _blocked(path, account)
    return f"working_dir {path} cannot be entered{blocked}" if blocked else ""


def _check_secrets(launch: Mapping[str, Any], account: Account) -> str:
    try:
        read_files(launch.get("secret_files") or {}, account.uid)
    except SecretError as error:
        return str(error)
    return ""


def _check_command(launch: Mapping[str, Any], base: Mapping[str, str], account: Account) -> str:
    name = launch["argv"][0]
    if not name:
        return "command is empty"
    if "/" in name:
        return _check_file(name, os.path.join(launch["working_dir"], name), account)
    search = {**base, **launch["env"]}.get("PATH", os.defpath)
    blocked = ""
    for folder in search.split(":"):
        path = os.path.join(launch["working_dir"], folder, name)
        if os.path.isfile(path):
            reason = _unexecutable(path, account)
            if not reason:
                return ""
            blocked = blocked or f'command "{name}": {path} is not executable{reason}'.rstrip()
    return blocked or f'command not found: "{name}" (searched PATH {search})'


def _check_file(name: str, path: str, account: Account) -> str:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f'command not found: "{name}"' if name == path else f'command not found: "{name}" ({path})'
    except OSError as error:
        return f'command "{name}" cannot be read: {error.strerror}'
    if stat.S_ISDIR(found.st_mode):
        return f'command "{name}" is a directory'
    reason = _unexecutable(path, account)
    return f'command "{name}" is not executable{reason}'.rstrip() if reason else ""


def _unexecutable(path: str, account: Account) -> str:
    """A tail for the message, or an empty text. Nobody executes a file without any x, root neither."""
    if account.is_own:
        return "" if os.access(path, os.X_OK) else _BY_NOBODY
    return _blocked(path, account) or ("" if os.stat(path).st_mode & 0o111 else _BY_NOBODY)


def _blocked(path: str, account: Account) -> str:
    """Where on the way to `path`, or at it, this user may not pass; a tail for the message, or an empty text."""
    if account.is_own:
        return "" if os.access(path, os.X_OK) else ": permission denied"
    for place in _way(path):
        try:
            found = os.stat(place)
        except OSError as error:
            return f": {place}: {error.strerror}"
        if not _may_pass(place, found, account):
            whose = f"it belongs to uid {found.st_uid} and has mode {stat.S_IMODE(found.st_mode):04o}"
            what = "" if place == path else f" {place} is in the way:"
            return f" by user {account.name or account.uid}:{what} {whose}"
    return ""


def _way(path: str) -> Iterator[str]:
    """All folders from the root to the path and the path itself, as it is written and as links lead."""
    for whole in dict.fromkeys((os.path.normpath(path), os.path.realpath(path))):
        at = ""
        for part in whole.split("/"):
            at = f"{at}/{part}" if part else at
            yield at or "/"


def _may_pass(place: str, found: os.stat_result, account: Account) -> bool:
    """The kernel's rule for x: one class of bits decides, the first that fits."""
    if account.uid == 0 or _has_access_list(place):
        return True
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid or found.st_gid in account.groups:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _has_access_list(place: str) -> bool:
    try:
        return bool(os.getxattr(place, _ACL))
    except OSError:
        return False
