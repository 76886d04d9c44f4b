"""Two hundred workers are handled as three are."""

from __future__ import annotations

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_two_hundred_workers_start_change_crash_and_stop(site: Installation) -> None:
    for number in range(200):
        site.add(f"w{number:03}")
    site.serve()
    names = [f"w{number:03}" for number in range(200)]
    before = site.until_running(*names, patience_s=90)
    assert site.living() == before

    site.add("w042", "--mark=v2")
    eventually(lambda: site.journal("w042/0").marks == ["-", "v2"], told="the edit is done")
    after_edit = site.until_running(*names)
    assert {name for name in before if after_edit[name] != before[name]} == {"w042/0"}

    site.until_reborn("w100/0", site.kill_worker("w100/0"))
    after_kill = site.until_running(*names)
    assert {name for name in before if after_kill[name] != after_edit[name]} == {"w100/0"}

    (site.specs / "w007.yaml").unlink()
    eventually(lambda: "w007" not in site.workers(), told="one is gone")

    del after_kill["w007/0"], names[7]
    site.kill("controller", "agent", "keeper")
    site.serve()
    assert site.until_running(*names, patience_s=60) == after_kill == site.living()
    assert site.run("get").out.count("running") == 199

    site.stop()
    books = site.journals()
    assert sum(len(book.starts) for book in books.values()) == 202
    assert {code for book in books.values() for _, code in book.exits} == {0}
