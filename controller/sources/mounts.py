"""Mounts: on which file system a path lies, and whether the kernel reports what others do there.

Called by watch.py. Pure: the text of /proc/self/mountinfo is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|virtiofs|fuse(\..+)?|ceph|lustre|afs|gfs2|ocfs2|glusterfs|beegfs|gpfs|vboxsf|prl_fs|vmhgfs"
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo. A later one covers earlier ones at the same place."""

    number: str
    point: str
    kind: str


def mounts(mountinfo: str) -> Iterator[Mount]:
    """All mounts, in order; lines that are none are passed over."""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) >= 5:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
            yield Mount(fields[0], point, after.split(" ")[0])


def file_system_type(path: str, mountinfo: str) -> str:
    """The type of the file system that `path` (absolute, without links) lies on, or an empty text."""
    best, found = "", ""
    for mount in mounts(mountinfo):
        if _is_at_or_above(mount.point, path) and len(mount.point) >= len(best):
            best, found = mount.point, mount.kind
    return found


def silent_type(path: str, mountinfo: str) -> str:
    """The type of a file system at or below `path` where changes by others are not reported; empty where all are."""
    own = file_system_type(path, mountinfo)
    kinds = [own, *(mount.kind for mount in mounts(mountinfo) if _is_at_or_above(path, mount.point))]
    return next((kind for kind in kinds if _NETWORK.fullmatch(kind)), "")


def concerning(path: str, mountinfo: str) -> tuple[Mount, ...]:
    """The mounts at, above and below `path`: when they change, it may be another directory."""
    return tuple(
        mount for mount in mounts(mountinfo) if _is_at_or_above(mount.point, path) or _is_at_or_above(path, mount.point)
    )


def _is_at_or_above(upper: str, lower: str) -> bool:
    return lower == upper or lower.startswith(upper.rstrip("/") + "/")
