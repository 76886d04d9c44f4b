"""Which spec files are as HEAD has them, and which commit that is: what `source.commit` says.

Called by directory.py at the end of a scan, in its thread. Git is asked when HEAD moved, twice and for all files at
once; after that a file costs one hash when its content changes. A file is compared by content, so nothing is claimed of
a file that was edited, staged or never added, whatever an index says. Line ends that git turns on checkout do not count
as an edit; a file that git keeps through another filter is never the same. Where git cannot be asked nothing is said.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from types import MappingProxyType

from controller.sources.documents import SpecFile
from controller.sources.git_command import Git, GitError

NONE: Mapping[str, str] = MappingProxyType({})
_FILE_MODES = ("100644", "100755")

log = logging.getLogger("workerctl.specs")


class Commits:
    """Remembers what HEAD holds. `asked` counts how often git was."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.asked = 0
        self._environment = environment
        self._stamp = ""
        self._head = ""
        self._blobs: dict[str, str] = {}
        self._judged: dict[str, tuple[SpecFile, bool]] = {}
        self._told = NONE

    def of(self, real_root: str, stamp: str, files: Mapping[str, SpecFile]) -> Mapping[str, str]:
        """The commit by path, of the files that are unchanged. `stamp` is another one when HEAD is."""
        if stamp != self._stamp:
            self._stamp, self._judged = stamp, {}
            self._head, self._blobs = self._read(real_root) if stamp else ("", {})
        if not self._head:
            return NONE
        self._judged = {path: self._judge(path, file) for path, file in files.items()}
        found = {path: self._head for path, (_, is_same) in self._judged.items() if is_same}
        if found != self._told:
            self._told = found
        return self._told

    def _judge(self, path: str, file: SpecFile) -> tuple[SpecFile, bool]:
        known = self._judged.get(path)
        if known is not None and known[0] is file:
            return known
        blob, content = self._blobs.get(path), file.content
        is_same = blob is not None and content is not None and blob in (_oid(content, blob), _oid(_lf(content), blob))
        return file, is_same

    def _read(self, real_root: str) -> tuple[str, dict[str, str]]:
        """HEAD and the blobs of its files below the root."""
        git = Git(real_root, self._environment)
        self.asked += 1
        try:
            head = git.perhaps("rev-parse", "-q", "--verify", "HEAD^{commit}")
            listed = git.run(["ls-tree", "-r", "-z", head]) if head else b""
        except (GitError, OSError) as error:
            log.debug("git does not say which commit the specs are at: %s", error)
            return "", {}
        blobs = {}
        for line in listed.split(b"\0"):
            about, _, path = line.partition(b"\t")
            mode, _, rest = about.decode().partition(" ")
            if mode in _FILE_MODES:
                blobs[path.decode("utf-8", "surrogateescape")] = rest.rpartition(" ")[2]
        return head, blobs


def _lf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def _oid(content: bytes, like: str) -> str:
    """The name that git gives this content, by the hash that the repository uses."""
    made = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % len(content))
    made.update(content)
    return made.hexdigest()
