"""The user that a worker becomes, on the child's side: between fork and exec, called by `spawn` as root.

Order: groups, gid, uid (each of all three kinds), then a check that they took, then what a change of uid may leave
behind: capabilities (an inheritable set survives it), and the way back (`no_new_privs`, for any user but root).
Names and numbers are resolved by `accounts` in the agent; nothing here asks a name service, which may block.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
LIBC.signal.restype = ctypes.c_void_p
LIBC.sigprocmask.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

_LAST_ID = 2**32 - 2  # the one above means "leave it as it is"
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522


class Credentials(NamedTuple):
    """Who a worker is. `groups` are the supplementary ones, exactly."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def checked(uid: Any, gid: Any, groups: Sequence[Any]) -> Credentials:
    """From an order. Raises ValueError for what names nobody."""
    numbers = (uid, gid, *groups)
    if not all(type(number) is int and 0 <= number <= _LAST_ID for number in numbers):
        raise ValueError("uid, gid or groups is out of range")
    return Credentials(uid, gid, tuple(sorted(set(groups))))


def _take_groups(who: Credentials) -> None:
    os.setgroups(who.groups)


def _take_gid(who: Credentials) -> None:
    os.setresgid(who.gid, who.gid, who.gid)


def _take_uid(who: Credentials) -> None:
    os.setresuid(who.uid, who.uid, who.uid)
    took = os.getresuid() == (who.uid,) * 3 and os.getresgid() == (who.gid,) * 3
    if not took or tuple(sorted(set(os.getgroups()))) != who.groups:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _give_up_privileges(who: Credentials) -> None:
    """Nothing to do for root, whom the kernel would give all of it back at exec."""
    if who.uid == 0:
        return
    # This memory is the keeper's until exec: the user must not trace it, whatever fs.suid_dumpable says.
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if LIBC.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        _fail()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


STEPS: tuple[tuple[str, Callable[[Credentials], None]], ...] = (
    ("groups", _take_groups),
    ("gid", _take_gid),
    ("uid", _take_uid),
    ("privileges", _give_up_privileges),
)
"""In this order; the words are stages of `spawn`."""


def _prctl(option: int, value: int) -> None:
    if LIBC.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) != 0:
        _fail()


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
