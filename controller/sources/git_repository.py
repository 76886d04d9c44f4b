"""One file's change as one commit in the work tree of a person, who may be working in it at the same time.

Called by git_writes.py, one write at a time. Nothing but that file goes into the commit: its tree is that of HEAD with
one entry replaced, made in an index of our own, so what a person has staged stays staged. Theory of operation:

`build` looks and makes the objects; nobody can see them yet. `finish` takes `index.lock` (a hard link of an index of
ours, with the one entry replaced: whoever sees it knows that git is at work), looks again, writes the file, moves the
branch from the commit that was seen, and renames the lock to be the index, as git itself does. A journal is written
before the lock: killed anywhere, `mend` finds out how far it came, and ends what was begun once the file was written.
Locks of others are never taken away: ours is the one that is the same file as our index.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from controller.agent.failpoints import failpoint
from controller.sources.atomic import Conflict, FileChange
from controller.sources.git_command import Git, GitError
from controller.sources.worktree import git_dir_of, look_at_worktree

_FILE_MODES = ("100644", "100755")


class Blocked(Exception):
    """The change cannot be committed, and nothing was written. `reason` and `retry_after_s` as in SpecRefused."""

    def __init__(self, reason: str, message: str, *, hint: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.hint = hint
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a commit says beside its content. `author`: name and address."""

    message: str
    author: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A commit that no branch has yet. `blob` is empty for a deletion, `old` on a branch without commits."""

    ref: str
    old: str
    commit: str
    path: str
    mode: str
    blob: str


class Repository:
    """The work tree at or above `folder`. Raises Blocked where there is none."""

    def __init__(self, folder: str, environment: Mapping[str, str]) -> None:
        self.git = Git(folder, environment)
        where = _told(lambda: self.git.text("rev-parse", "--show-toplevel", "--absolute-git-dir")).splitlines()
        self.git.folder, self._git_dir = where[0], where[1]
        self._index = os.path.join(self._git_dir, "index")
        self._lock = os.path.join(self._git_dir, "index.lock")
        self._own_index = os.path.join(self._git_dir, "workerctl.index")
        self._copied = (0, 0, 0)
        self._zeros = "0" * 40
        self._journal = os.path.join(self._git_dir, "workerctl.pending")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other writer of ours is at work in this repository, not even in another process. Raises Conflict."""
        descriptor = os.open(
            os.path.join(self._git_dir, "workerctl.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict("another controller is writing to this repository") from None
            yield
        finally:
            os.close(descriptor)

    # --- looking and building ---

    def build(self, change: FileChange, note: Note) -> Built:
        """The commit on top of HEAD. Raises Blocked where a person's work stands in the way."""
        self._check_quiet()
        ref, old = self.head()
        path = self._path_of(change)
        mode = self._check_clean(change, path, old)
        blob = "" if change.after is None else self._blob(change.after, path, keep=True)
        extra = {"GIT_INDEX_FILE": os.path.join(self._git_dir, "workerctl.tree")}
        self.git.text("read-tree", *([old] if old else ["--empty"]), extra=extra)
        self._set_entry(extra, path, mode, blob)
        tree = self.git.text("write-tree", extra=extra)
        os.unlink(extra["GIT_INDEX_FILE"])
        name, address = note.author
        who = {
            "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address,
            "GIT_COMMITTER_NAME": "workerctl", "GIT_COMMITTER_EMAIL": "workerctl@localhost",
        }  # fmt: skip
        parents = ["-p", old] if old else []
        commit = self.git.text(
            "commit-tree", "--no-gpg-sign", *parents, "-F", "-", tree, stdin=note.message.encode(), extra=who
        )
        return Built(ref=ref, old=old, commit=commit, path=path, mode=mode, blob=blob)

    def head(self) -> tuple[str, str]:
        """The branch that HEAD is on, and its commit, empty where it has none. Raises Blocked for no branch."""
        ref = self.git.perhaps("symbolic-ref", "-q", "HEAD")
        if not ref:
            hint = "git switch BRANCH, or write with --writes file"
            raise Blocked("detached_head", "HEAD is on no branch: a commit would be on none either", hint=hint)
        commit = self._commit_of(ref)
        self._zeros = "0" * len(commit) or self._zeros
        return ref, commit

    def _check_quiet(self) -> None:
        busy = look_at_worktree(self.git.folder).busy
        if busy:
            hint = "try again when it is done; a lock that a dead git left behind is deleted by hand"
            raise Blocked("busy", f"git is at work in the specs directory ({busy} exists)", hint=hint, retry_after_s=2)

    def _path_of(self, change: FileChange) -> str:
        """Where the file lies in the repository; a link is followed when it is written through, not when it goes."""
        folder, name = os.path.split(change.path)
        real = os.path.join(os.path.realpath(folder), name) if change.after is None else os.path.realpath(change.path)
        path = os.path.relpath(real, self.git.folder)
        if path.startswith("../") or git_dir_of(os.path.dirname(real)) != git_dir_of(self.git.folder):
            raise Blocked("read_only_source", f"{path} is in another repository than the specs directory")
        return path

    def _check_clean(self, change: FileChange, path: str, head: str) -> str:
        """The file's mode in git. What a person did to this very file and did not commit is not swept in."""
        kind = self.git.run(["check-attr", "-z", "filter", "--", path]).split(b"\0")[2].decode()
        if kind not in ("unspecified", "unset"):
            raise Blocked("read_only_source", f"git keeps {path} through the filter {kind}", hint="edit it in git")
        committed = self._entry(["ls-tree", "-z", head, "--", path]) if head else ("", "")
        staged = self._entry(["ls-files", "-z", "--stage", "--", path])
        if change.before is None and not any((*committed, *staged)) and self._is_ignored(path):
            raise Blocked("read_only_source", f"git is told to ignore {path}", hint="correct .gitignore")
        present = "" if change.before is None else self._blob(change.before, path)
        if committed != staged or committed[1] != present:
            message = f"{path} has changes that are not committed; they are not committed by us"
            raise Blocked("uncommitted_changes", message, hint=f"commit them, or take them back: git status {path}")
        mode = committed[0] or _FILE_MODES[0]
        if mode not in _FILE_MODES:
            raise Blocked("read_only_source", f"{path} is a symbolic link in git", hint="edit it in git")
        return mode

    def _is_ignored(self, path: str) -> bool:
        """This one command knows no literal paths."""
        return bool(self.git.perhaps("check-ignore", "--", path, extra={"GIT_LITERAL_PATHSPECS": "0"}))

    def _entry(self, arguments: list[str]) -> tuple[str, str]:
        """Mode and blob of one path, in HEAD (`MODE blob OID`) or in the index (`MODE OID STAGE`)."""
        found = self.git.run(arguments).split(b"\0")
        if len(found) > 2:
            return "unmerged", ""
        words = found[0].split(b"\t")[0].decode().split()
        if not words:
            return "", ""
        return words[0], words[2] if words[1] in ("blob", "commit", "tree") else words[1]

    def _blob(self, content: bytes, path: str, *, keep: bool = False) -> str:
        """The content as git would keep it at that path, its line ends with it."""
        write = ["-w"] if keep else []
        return self.git.text("hash-object", *write, "--stdin", f"--path={path}", stdin=content)

    def _set_entry(self, extra: Mapping[str, str], path: str, mode: str, blob: str) -> None:
        line = f"{mode} {blob}\t{path}" if blob else f"0 {self._zeros}\t{path}"
        self.git.text("update-index", "-z", "--index-info", stdin=os.fsencode(line) + b"\0", extra=extra)

    # --- carrying out ---

    def finish(self, built: Built, change: FileChange) -> None:
        """File, branch and index. Raises Conflict or Blocked where somebody was faster: nothing is changed then."""
        self._copy_index(built)
        self._note(built)
        try:
            failpoint("sources.git_after_journal")
            self._take_lock()
            failpoint("sources.git_after_lock")
            self._check_unmoved(built)
            change.apply()
            self._move(built, change)
        except BaseException:
            self._unlock()
            self._forget()
            raise
        failpoint("sources.git_after_branch")
        os.rename(self._lock, self._index)
        failpoint("sources.git_after_index")
        self._unlock()
        self._forget()

    def _check_unmoved(self, built: Built) -> None:
        if _identity(self._index) != self._copied or (built.ref, built.old) != self.head():
            raise Conflict("git changed the repository since it was read")

    def _take_lock(self) -> None:
        try:
            os.link(self._own_index, self._lock)
        except FileExistsError:
            raise Blocked("busy", "git is at work in the specs directory", hint="try again", retry_after_s=2) from None

    def _copy_index(self, built: Built) -> None:
        """An index like the person's, but for our entry."""
        with suppress(FileNotFoundError):
            os.unlink(self._own_index)
        self._copied = _identity(self._index)
        with suppress(FileNotFoundError), open(self._index, "rb") as source, open(self._own_index, "xb") as copy:
            os.fchmod(copy.fileno(), os.fstat(source.fileno()).st_mode & 0o777)
            copy.write(source.read())
        self._set_entry({"GIT_INDEX_FILE": self._own_index}, built.path, built.mode, built.blob)

    def _move(self, built: Built, change: FileChange) -> None:
        """The branch, from the commit that was seen; else the file is put back, where it is still ours."""
        try:
            failpoint("sources.git_after_file")
            self._update_ref(built)
        except (GitError, OSError) as error:
            if self._commit_of(built.ref) == built.commit:
                return
            with suppress(Conflict):
                change.opposite.apply()
            if isinstance(error, GitError):
                raise Conflict(f"the branch cannot be moved: {error}") from None
            raise

    def _commit_of(self, ref: str) -> str:
        return self.git.perhaps("rev-parse", "-q", "--verify", f"{ref}^{{commit}}")

    def _update_ref(self, built: Built) -> None:
        message = "workerctl: one spec"
        old = built.old or "0" * len(built.commit)
        self.git.text("update-ref", "-m", message, "--no-deref", built.ref, built.commit, old)

    # --- after a kill ---

    def mend(self) -> None:
        """Ends or undoes what a killed writer left. Call it alone."""
        try:
            with open(self._journal, encoding="utf-8", errors="surrogateescape") as file:
                built = Built(**json.load(file))
        except FileNotFoundError:
            self._unlock()
            return
        except (ValueError, TypeError):  # it was never finished: no lock was taken
            self._unlock()
            self._forget()
            return
        branch = self._commit_of(built.ref)
        if branch == built.old and self._is_locked and self._is_written(built) and self.head()[0] == built.ref:
            self._update_ref(built)
            branch = built.commit
        if branch == built.commit and self._is_locked:
            os.rename(self._lock, self._index)
        self._unlock()
        self._forget()

    @property
    def _is_locked(self) -> bool:
        """Whether the lock is one of ours."""
        try:
            return os.path.samefile(self._lock, self._own_index)
        except FileNotFoundError:
            return False

    def _is_written(self, built: Built) -> bool:
        try:
            with open(os.path.join(self.git.folder, built.path), "rb") as file:
                return self._blob(file.read(), built.path) == built.blob
        except FileNotFoundError:
            return not built.blob

    def _unlock(self) -> None:
        if self._is_locked:
            os.unlink(self._lock)
        with suppress(FileNotFoundError):
            os.unlink(self._own_index)

    def _note(self, built: Built) -> None:
        with open(self._journal, "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(asdict(built), file)
            file.flush()
            os.fsync(file.fileno())

    def _forget(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._journal)


def _identity(path: str) -> tuple[int, int, int]:
    """Git replaces its index and never writes into it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _told(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except GitError as error:
        hint = "--writes commit and push want the specs directory in a git work tree of the controller's user"
        raise Blocked("read_only_source", f"no commit can be made: {error}", hint=hint) from None
