"""The directory source: a directory of spec files, scanned into `Desired`.

The reconcile loop calls `scan` in a thread, whenever a watcher hints at a change, when a scan asked to be repeated
(`again_at`), and every 30 s. One thread at a time. `confirm` and `forget` may be called from any thread; they take
effect at the next scan. No clock is read here: `now` (epoch seconds) is an argument.

A scan is either consistent or held. It is held, with the last good workers and nothing removed, while git works on the
tree, and when the directory is missing, unreadable, replaced or empty although workers exist. The last three are
released by a confirmation of `hold_digest`. Everything that is decided about the content of files is in assembly.py,
about absences in removals.py; this file decides whether the directory can be believed at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from controller.core.desired import Desired, Removal
from controller.core.problems import Problem, Source
from controller.sources.assembly import Assembly, LastGood, Memo, Memory, assemble, in_order
from controller.sources.claims import Snapshot
from controller.sources.commits import Commits
from controller.sources.documents import SpecFile, read_spec_file
from controller.sources.env_files import EnvFile
from controller.sources.files import FileReader, ReadTree
from controller.sources.last_good import LastGoodFiles, RootIdentity
from controller.sources.launching import Launcher, Surroundings
from controller.sources.removals import Removals, Verdict
from controller.sources.tree import Tree, opened_tree, unreadable
from controller.sources.worktree import WorkTree, look_at_worktree

DEFAULTS_PREFIX = "defaults of "
MAX_HOLD_LOOK_S = 5.0
DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What a scan found. `again_at`: when to scan again even without a hint (epoch seconds), or None.

    `warning` is no fault of a person's file: the state directory cannot be written. Empty when all is well.
    """

    desired: Desired
    again_at: float | None = None
    warning: str = ""


class _Held(Exception):
    """The directory cannot be believed now.

    `digest` is what a confirmation names, empty where none helps. `is_short`: it should pass by itself soon.
    """

    def __init__(self, reason: str, *, digest: str = "", is_short: bool = False) -> None:
        super().__init__(reason)
        self.digest = digest
        self.is_short = is_short


class DirectorySource:
    """One specs directory with its memory of last good specs.

    `root` need not exist yet and may be a symbolic link. `state_dir` is the controller's; only `last_good/` in it is
    used. `settle_ms`: how long a file must be left alone before it counts.
    """

    def __init__(self, root: str, state_dir: str, surroundings: Surroundings, *, settle_ms: int = 200) -> None:
        self._root = os.path.abspath(root)
        self._settle_s = settle_ms / 1000
        self._launcher = Launcher(self._root, surroundings)
        self._reader = FileReader(self._settle_s)
        self._removals = Removals(self._settle_s)
        self._memo = Memo()
        self._commits = Commits(surroundings.environment or {})
        self._records = LastGoodFiles(os.path.join(state_dir, "last_good"))
        self._memory, self._accepted_root = self._records.load()
        self._last: Desired | None = None
        self._held_since: float | None = None
        self._warning = ""
        self._snapshot: Snapshot | None = None
        self._working = threading.RLock()
        self._wishes = threading.Lock()
        self._written: dict[str, bytes] = {}
        self._deleted: set[str] = set()
        self._wished_confirmation = ""
        self._to_forget: set[str] = set()
        self._confirmed = ""
        self._confirmation_used = False

    @property
    def root(self) -> str:
        """The specs directory, absolute, links in it kept."""
        return self._root

    def confirm(self, digest: str) -> None:
        """Releases the hold with this `hold_digest`, and only that one, from the next scan on."""
        with self._wishes:
            self._wished_confirmation = digest

    def forget(self, worker_id: str) -> None:
        """The processes of a removed worker are gone: drops it from `removed`. Ignored if its spec has come back."""
        with self._wishes:
            self._to_forget.add(worker_id)

    def writing(self) -> AbstractContextManager[object]:
        """No scan runs meanwhile: what is read, judged, written and told in it is one step."""
        return self._working

    def home(self, worker_id: str) -> Source | None:
        """Where the worker stands, as far as the last scan knows; of a broken one, where its first problem is."""
        if self._last is None:
            return None
        worker, broken = self._last.workers.get(worker_id), self._last.broken.get(worker_id)
        if worker is not None:
            return worker.source
        return Source(file=broken[0].file, line=broken[0].line or 1) if broken else None

    def problems_of(self, path: str) -> tuple[Problem, ...]:
        """What the last scan found wrong with a file."""
        return tuple(one for one in self._last.problems if one.file == path) if self._last is not None else ()

    def wrote(self, path: str, content: bytes) -> None:
        """We put this content at `path` (relative to the root): it counts without having settled."""
        with self._wishes:
            self._written[path] = content

    def deleted(self, worker_id: str) -> None:
        """We took the worker's document away, because somebody asked for it by name: no second look, no guard."""
        with self._wishes:
            self._deleted.add(worker_id)

    def content(self, path: str) -> bytes | None:
        """What the file at `path` held when it last counted; None where there is no such file."""
        file = self.files.get(path)
        return file.content if file is not None else None

    @property
    def files(self) -> Mapping[str, SpecFile]:
        """All spec files as they last counted, by path."""
        return {} if self._snapshot is None else self._snapshot.files

    def trial(self, path: str, content: bytes | None, now: float) -> Assembly | str:
        """What everything would be with this content at `path`, None for no file there. Nothing is changed.

        Or, where the directory cannot be believed now, why.
        """
        with self._working:
            if self._snapshot is None or (self._last is not None and self._last.hold_reason):
                return (self._last.hold_reason if self._last is not None else "") or "the specs were not read yet"
            files = {name: file for name, file in self._snapshot.files.items() if name != path}
            if content is not None:
                files[path] = read_spec_file(path, content)
            snapshot = replace(self._snapshot, files=files)
            try:
                with opened_tree(self._root) as tree:
                    lookup = partial(self._reader.env_file, tree, now=now)
                    return assemble(snapshot, self._memory, self._launcher, lookup, self._memo.copy())
            except OSError as error:
                return f"the specs directory {self._root} cannot be read: {error.strerror}"

    def scan(self, now: float) -> ScanResult:
        """Looks at the whole directory. Blocking; never raises for anything that is found there."""
        with self._working:
            return self._scan_or_hold(now)

    def _scan_or_hold(self, now: float) -> ScanResult:
        self._take_wishes()
        self._confirmation_used = False
        try:
            result = self._scan(now)
        except _Held as held:
            return self._hold(held, now)
        if not self._confirmation_used:
            self._confirmed = ""  # it was for what held then, not for the next time
        self._held_since = None
        self._last = result.desired
        return result

    # --- a consistent scan ---------------------------------------------------------------------------------------

    def _scan(self, now: float) -> ScanResult:
        try:
            with opened_tree(self._root) as tree:
                return self._scan_tree(tree, now)
        except FileNotFoundError:
            self._hold_unless_confirmed("missing", f"the specs directory {self._root} does not exist", self._root)
            return self._conclude(None, ReadTree(), now)
        except OSError as error:
            why = error.strerror or "unknown error"
            raise _Held(f"the specs directory {self._root} cannot be read: {why}") from None

    def _scan_tree(self, tree: Tree, now: float) -> ScanResult:
        before = look_at_worktree(tree.real_root)
        self._hold_while_git_works(before, before)
        with self._wishes:
            written, self._written = self._written, {}
        for path, content in written.items():
            self._reader.believe(path, content)
        read = self._reader.read(tree, now)
        self._hold_while_git_works(before, look_at_worktree(tree.real_root))
        top = read.folders.get("")
        if top is not None:
            raise _Held(f"the specs directory {self._root} {top.message}")
        if read.is_empty:
            self._hold_unless_confirmed("empty", f"the specs directory {self._root} is empty", tree.real_root)
        result = self._conclude(tree, read, now)
        commits = self._commits.of(tree.real_root, before.stamp, read.files)
        return replace(result, desired=replace(result.desired, commits=commits))

    def _conclude(self, tree: Tree | None, read: ReadTree, now: float) -> ScanResult:
        """Assembles what was read, and lets only what is certain count."""
        files = {**read.files, **self._behind_missing_mounts(tree, read)}
        snapshot = self._snapshot = Snapshot(files=files, folders=read.folders)

        def lookup(path: str) -> EnvFile | None:
            return _no_env_file(path) if tree is None else self._reader.env_file(tree, path, now)

        assembly = assemble(snapshot, self._memory, self._launcher, lookup, self._memo)
        if tree is not None:
            self._accept_root(tree, assembly, is_settled=read.again_at is None and self._reader.env_again_at is None)
        asked = self._asked_for(assembly)
        self._removals.grant(asked)
        absent_defaults = {DEFAULTS_PREFIX + path: path for path in assembly.absent_defaults}
        verdict = self._removals.step(frozenset(assembly.absent) | absent_defaults.keys(), assembly.suspects, now)
        gone_defaults = {path for name, path in absent_defaults.items() if name in verdict.gone}
        if gone_defaults:
            known = {path: one for path, one in self._memory.defaults.items() if path not in gone_defaults}
            self._memory = replace(self._memory, defaults=known)
            assembly = assemble(snapshot, self._memory, self._launcher, lookup, self._memo)
        self._remember(assembly)
        again = [read.again_at, self._reader.env_again_at, verdict.again_at]
        return ScanResult(
            desired=self._desired(assembly, verdict),
            again_at=min((time for time in again if time is not None), default=None),
            warning=self._warning,
        )

    def _asked_for(self, assembly: Assembly) -> frozenset[str]:
        """What was deleted through us and is gone; what is there again was not deleted."""
        with self._wishes:
            self._deleted &= assembly.absent.keys() | self._removals.gone
            return frozenset(self._deleted & assembly.absent.keys())

    def _behind_missing_mounts(self, tree: Tree | None, read: ReadTree) -> Mapping[str, SpecFile]:
        """Files that lay on another file system, where there is none now: not gone, but out of sight."""
        hidden: dict[str, SpecFile] = {}
        for known in self._memory.workers.values():
            path = known.document.file
            if tree is None or not known.on_submount or path in read.files:
                continue
            if tree.folder_device(path) == tree.status.st_dev:
                problem = unreadable(path, "the file system that held it is not mounted", "mount it")
                hidden[path] = SpecFile(path=path, problems=(problem,))
        return hidden

    def _remember(self, assembly: Assembly) -> None:
        workers = {**self._memory.workers, **assembly.accepted}
        defaults = {**self._memory.defaults, **assembly.defaults}
        self._memory = Memory(workers=workers, defaults=defaults)
        try:
            self._records.save(self._memory, self._accepted_root)
            self._warning = ""
        except OSError as error:
            # It costs the memory of a restart, not the supervision of workers; the next scan tries again.
            self._warning = f"cannot write last good specs: {error.strerror or error}"

    def _desired(self, assembly: Assembly, verdict: Verdict) -> Desired:
        workers = dict(assembly.workers)
        removed: dict[str, Removal] = {}
        problems = list(assembly.problems)
        for worker_id, proof in sorted(assembly.absent.items()):
            known = self._memory.workers[worker_id]
            if worker_id in verdict.gone:
                workers.pop(worker_id, None)
                removed[worker_id] = Removal(
                    worker_id=worker_id, proof=proof, source=known.document.source, asked=worker_id in self._deleted
                )
            elif worker_id in verdict.obstacles:
                problem = _not_removed(worker_id, known, proof, verdict.obstacles[worker_id])
                problems.append(problem)
                if worker_id in workers:
                    workers[worker_id] = replace(workers[worker_id], problems=(problem,), stale=True)
        broken = {worker_id: found for worker_id, found in assembly.broken.items() if worker_id not in removed}
        return Desired(
            workers=dict(sorted(workers.items())),
            removed=removed,
            broken=dict(sorted(broken.items())),
            problems=in_order(problems),
        )

    # --- holds -----------------------------------------------------------------------------------------------------

    def _hold(self, held: _Held, now: float) -> ScanResult:
        """The last consistent snapshot goes on, and nothing is removed."""
        self._removals.interrupt()
        before = self._last if self._last is not None else self._from_memory()
        desired = replace(before, removed={}, hold_reason=str(held), hold_digest=held.digest)
        again_at = None
        if held.is_short:
            # A lock that git left behind when it died stays: look less and less often.
            self._held_since = min(now, self._held_since if self._held_since is not None else now)
            again_at = now + min(MAX_HOLD_LOOK_S, max(self._settle_s, (now - self._held_since) / 4))
        return ScanResult(desired=desired, again_at=again_at, warning=self._warning)

    def _from_memory(self) -> Desired:
        """All last good workers, when no consistent snapshot has been seen since the start."""
        assembly = assemble(Snapshot(files={}), self._memory, self._launcher, _no_env_file, self._memo)
        return Desired(
            workers=dict(sorted(assembly.workers.items())),
            broken=dict(sorted(assembly.broken.items())),
            problems=assembly.problems,
        )

    def _hold_while_git_works(self, before: WorkTree, after: WorkTree) -> None:
        if after.busy:
            raise _Held(f"git is at work in the specs directory ({after.busy} exists)", is_short=True)
        if before.stamp != after.stamp:
            raise _Held("git changed the specs directory while it was read", is_short=True)

    def _hold_unless_confirmed(self, kind: str, reason: str, detail: str) -> None:
        """A directory that seems to have lost its workers is not believed until a person says so."""
        existing = sorted(self._memory.workers.keys() - self._removals.gone - self._deleted)
        if not existing:
            return
        text = json.dumps([kind, detail, existing])
        digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:DIGEST_LENGTH]
        if digest == self._confirmed:
            self._confirmation_used = True
            return
        count = "1 worker is" if len(existing) == 1 else f"{len(existing)} workers are"
        raise _Held(f"{reason}, but {count} known from it", digest=digest)

    def _accept_root(self, tree: Tree, assembly: Assembly, *, is_settled: bool) -> None:
        """Holds when the directory is not the one that was accepted, unless a link was flipped or nothing changes.

        What changes nobody knows before its files have settled: a directory that is copied back just now is waited for.
        """
        status, before = tree.status, self._accepted_root
        now = RootIdentity(
            path=self._root, real=tree.real_root, dev=status.st_dev, ino=status.st_ino, born_ns=tree.born_ns
        )
        is_same = before is not None and before.is_also(now)
        if before is not None and not is_same and not _was_flipped(before, now):
            reason = f"the specs directory {self._root} was replaced by another one"
            if not is_settled:
                raise _Held(f"{reason}, which is still being written", is_short=True)
            if not self._changes_nothing(assembly):
                self._hold_unless_confirmed("replaced", reason, f"{now.real} {now.dev} {now.ino} {now.born_ns}")
        self._accepted_root = now

    def _changes_nothing(self, assembly: Assembly) -> bool:
        """Whether every known worker is accepted again as it was: copied back, restored, or a device's new number."""
        for worker_id, known in self._memory.workers.items():
            accepted = assembly.accepted.get(worker_id)
            if worker_id not in self._removals.gone and (
                accepted is None or accepted.document.data != known.document.data
            ):
                return False
        return True

    # --- wishes ----------------------------------------------------------------------------------------------------

    def _take_wishes(self) -> None:
        with self._wishes:
            to_forget, self._to_forget = self._to_forget, set()
            if self._wished_confirmation:
                self._confirmed, self._wished_confirmation = self._wished_confirmation, ""
        gone = to_forget & self._removals.gone
        if gone:
            left = {worker_id: known for worker_id, known in self._memory.workers.items() if worker_id not in gone}
            self._memory = replace(self._memory, workers=left)


def _was_flipped(before: RootIdentity, now: RootIdentity) -> bool:
    """The same path, reached through a link that now leads elsewhere."""
    via_link = before.path != before.real and now.path != now.real
    return before.path == now.path and via_link and before.real != now.real


def _no_env_file(path: str) -> EnvFile:
    return EnvFile(path=path, problems=(unreadable(path, "the specs directory cannot be used now"),))


def _not_removed(worker_id: str, known: LastGood, proof: str, obstacle: str) -> Problem:
    source = known.document.source
    return Problem(
        file=source.file,
        line=source.line,
        message=f"{proof}, but {worker_id} goes on: it may be in {obstacle}, which cannot be understood now",
        hint=f"correct {obstacle}",
        worker_id=worker_id,
        code="removal_held",
    )
