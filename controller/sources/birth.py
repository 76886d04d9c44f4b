"""When a directory was made: what tells it from another one that the kernel gave the same numbers.

Called by tree.py. Device and inode numbers are used again: two tmpfs mounted one after the other have the same, and so,
as a rule, has a directory that is deleted and made anew. `os.stat` does not tell the time of birth on Linux.
"""

from __future__ import annotations

import ctypes

_LIBC = ctypes.CDLL(None, use_errno=True)
_EMPTY_PATH, _BTIME = 0x1000, 0x800
_OVERLAY = 0x794C7630


def born_ns(descriptor: int) -> int:
    """The time of birth in ns since the epoch; 0 where the file system does not know it, or does not mean it.

    An overlay makes a directory anew, below its number, when something in it is first written.
    """
    found = ctypes.create_string_buffer(256)
    if _LIBC.fstatfs(descriptor, found) != 0 or int.from_bytes(found.raw[:4], "little") == _OVERLAY:
        return 0
    if not hasattr(_LIBC, "statx") or _LIBC.statx(descriptor, b"", _EMPTY_PATH, _BTIME, found) != 0:
        return 0
    if not int.from_bytes(found.raw[:4], "little") & _BTIME:
        return 0
    return int.from_bytes(found.raw[80:88], "little", signed=True) * 1_000_000_000 + int.from_bytes(
        found.raw[88:92], "little"
    )
