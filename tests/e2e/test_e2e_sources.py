"""The specs directory as a mount that goes and comes back, and as what a sync tool flips: workers do not notice.

The controller runs in a mount namespace of its own, where root may mount and unmount over the specs as it likes; the
test reaches what is mounted there through /proc.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually
from tests.sources.hint_listener import needs_namespaces

pytestmark = pytest.mark.e2e


class Mounted:
    """An installation whose controller sees the specs on a tmpfs."""

    def __init__(self, site: Installation) -> None:
        self.site, self.place = site, site.specs
        self._holder = subprocess.Popen(["unshare", "--mount", "sleep", "600"])
        eventually(self._is_apart, told="the namespace is there")
        command = site.serve_command
        site.serve_command = lambda *flags: [*self._enter, *command(*flags)]  # type: ignore[method-assign] # a prefix
        self.inside = Path(f"/proc/{self._holder.pid}/root{self.place}")

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--"]

    def _is_apart(self) -> bool:
        name = "ns/mnt"
        return Path(f"/proc/{self._holder.pid}/{name}").readlink() != Path(f"/proc/self/{name}").readlink()

    def do(self, *command: str) -> None:
        subprocess.run([*self._enter, *command], check=True)

    def mount(self, *worker_ids: str, mark: str = "-") -> None:
        """A tmpfs with these workers, filled before it is seen."""
        beside = self.site.root / "filled"
        beside.mkdir(exist_ok=True)
        self.do("mount", "-t", "tmpfs", "specs", str(beside))
        for name in worker_ids:
            path = Path(f"/proc/{self._holder.pid}/root{beside}/{name}.yaml")
            path.write_text(self.site.spec(name, *([] if mark == "-" else [f"--mark={mark}"])))
        self.do("mount", "--move", str(beside), str(self.place))

    def unmount(self) -> None:
        self.do("umount", "--lazy", str(self.place))

    def end(self) -> None:
        self._holder.kill()
        self._holder.wait()


@pytest.fixture
def mounted(site: Installation) -> Iterator[Mounted]:
    needs_namespaces("--mount")
    found = Mounted(site)
    found.do("mount", "--make-rprivate", "/")
    found.mount("a", "b", "c")
    site.serve()
    site.until_running("a", "b", "c")
    yield found
    found.end()


def held(site: Installation, *words: str) -> None:
    """At once, not at the next look after half a minute."""
    told = [f"the specs directory {site.specs}", *words]
    eventually(lambda: all(word in site.run("plan").text for word in told), 15, told=f"the plan says {told}")


def test_an_unmounted_directory_costs_no_worker_and_goes_on_by_itself_when_it_is_back(mounted: Mounted) -> None:
    site, before = mounted.site, mounted.site.pids()
    mounted.unmount()
    held(site, "is empty", "3 workers are known from it", "[confirm ")
    assert site.pids() == before == site.living()
    reborn = site.until_reborn("b/0", site.kill_worker("b/0"))  # they are looked after as ever
    site.kill("controller")
    site.serve()
    held(site, "is empty")
    mounted.mount("a", "b", "c")
    eventually(lambda: "no longer held" in site.log(), 15, told="the hold has ended")
    (mounted.inside / "c.yaml").write_text(site.spec("c", "--mark=v2"))
    site.until_reborn("c/0", before["c/0"], 15)
    site.until_running("a", "b", "c")
    living = site.living()
    assert (living["a/0"], living["b/0"]) == (before["a/0"], reborn)
    assert not any(site.journal(f"{name}/0").signals for name in "ab")


def test_another_file_system_in_its_place_is_not_believed_until_somebody_says_so(mounted: Mounted) -> None:
    site, before = mounted.site, mounted.site.pids()
    mounted.unmount()
    held(site, "is empty")
    mounted.mount("a", "x", mark="v2")
    held(site, "was replaced by another one", "3 workers are known from it")
    assert site.pids() == before == site.living()
    digests = {hold["confirm"] for hold in site.ask("/api/v1/plan").body["holds"] if hold.get("confirm")}
    assert len(digests) == 1
    assert site.run("reconcile", "--confirm", digests.pop()).code in (0, 10)
    eventually(lambda: sorted(site.living()) == ["a/0", "x/0"], told="what it says is done")


def test_a_flipped_link_changes_what_differs_and_nothing_else(site: Installation) -> None:
    trees = site.root / "trees"
    site.specs.rename(site.root / "unused")

    def publish(version: str, **marks: str) -> None:
        (trees / version).mkdir(parents=True)
        for name, mark in marks.items():
            (trees / version / f"{name}.yaml").write_text(site.spec(name, f"--mark={mark}"))
        (site.root / "link").symlink_to(trees / version)
        (site.root / "link").rename(site.specs)

    publish("v1", a="one", b="one", c="one")
    site.serve()
    before = site.until_running("a", "b", "c")
    publish("v2", a="one", b="two", d="one")
    site.until_reborn("b/0", before["b/0"], 15)
    eventually(lambda: sorted(site.living()) == ["a/0", "b/0", "d/0"], told="c is gone and d is there")
    assert site.living()["a/0"] == before["a/0"]
    assert site.journal("a/0").signals == ()
