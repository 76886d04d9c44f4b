"""The user that a launch names: numbers, groups, home, as the host's name service has them now.

Asked by the agent at every spawn and by the preflight, in a thread where that matters: a name service may be slow. The
numbers go to the keeper, which asks nobody. An agent that is not root can only be itself.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

_LAST_ID = 2**32 - 2


class AccountError(Exception):
    """The launch names nobody, or somebody that we may not become. The message is for people."""


class Account(NamedTuple):
    """Whom a worker runs as. `groups` are the supplementary ones; `is_own`: it is who we are, nothing is to be done.

    `name` is empty for a number without an entry; its home is `/` then.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    is_own: bool = False

    def order_fields(self) -> dict[str, Any]:
        """What the order to spawn carries: uid, gid, groups; empty for our own user."""
        return {} if self.is_own else {"uid": self.uid, "gid": self.gid, "groups": list(self.groups)}

    def environment(self) -> dict[str, str]:
        """HOME, USER and LOGNAME of that user. One without a name is called by its number."""
        name = self.name or str(self.uid)
        return {"HOME": self.home, "USER": name, "LOGNAME": name}


def resolve(launch: Mapping[str, Any]) -> Account:
    """Whom `user` and `group` of a launch name (names, or numbers as text). Raises AccountError.

    Without `user` it is our own. `group` replaces the primary group; the others of the user stay.
    """
    user, group = launch.get("user"), launch.get("group")
    own = os.geteuid()
    entry = _user(str(user)) if user is not None else _entry_of(own)
    uid = own if entry is None and user is None else entry.pw_uid if entry is not None else int(str(user))
    if own not in (0, uid):
        raise AccountError(f'user "{user}": only root may run workers as another user')
    name = "" if entry is None else entry.pw_name
    home = "/" if entry is None or not os.path.isabs(entry.pw_dir) else entry.pw_dir
    if user is None and group is None:
        return Account(uid, os.getegid(), tuple(sorted(os.getgroups())), name, home, is_own=True)
    gid = _group(str(group)) if group is not None else _primary(uid, entry)
    groups = _groups_of(gid, entry)
    if own != 0:
        if gid not in (os.getegid(), os.getgid()):
            raise AccountError(
                f'group "{group if group is not None else gid}": only root may run workers as another group'
            )
        return Account(uid, gid, tuple(sorted(os.getgroups())), name, home, is_own=True)
    is_own = uid == own and gid == os.getegid() and set(groups) == set(os.getgroups())
    return Account(uid, gid, groups, name, home, is_own=is_own)


def _user(text: str) -> Optional[pwd.struct_passwd]:
    """The entry; None for a number without one. A name goes before a number, as everywhere. Raises AccountError."""
    try:
        return pwd.getpwnam(text)
    except (KeyError, ValueError):
        pass
    if _is_id(text):
        return _entry_of(int(text))
    raise AccountError(f'unknown user "{text}"')


def _group(text: str) -> int:
    try:
        return grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        pass
    if _is_id(text):
        return int(text)
    raise AccountError(f'unknown group "{text}"')


def _is_id(text: str) -> bool:
    """The highest id means "unchanged" to the kernel."""
    return text.isascii() and text.isdecimal() and int(text) <= _LAST_ID


def _entry_of(uid: int) -> Optional[pwd.struct_passwd]:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _primary(uid: int, entry: Optional[pwd.struct_passwd]) -> int:
    """A number without an entry has the group of the same number: never ours."""
    return uid if entry is None else entry.pw_gid


def _groups_of(gid: int, entry: Optional[pwd.struct_passwd]) -> tuple[int, ...]:
    """All supplementary groups, the primary one among them, as at a login."""
    if entry is None:
        return (gid,)
    return tuple(sorted({gid, *os.getgrouplist(entry.pw_name, entry.pw_gid)}))
