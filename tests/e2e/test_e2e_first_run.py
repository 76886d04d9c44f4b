"""A directory of specs becomes running workers, and every verb that reads tells of them."""

from __future__ import annotations

import json

import pytest

from tests.e2e.e2e_installation import Installation, Item
from tests.e2e.e2e_processes import eventually, process

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def empty_database() -> None:
    """The program makes its database itself."""


@pytest.fixture
def five(site: Installation) -> Installation:
    """Five running workers; the third is named in words of another language."""
    for name in ("api", "clock", "mailer", "queue"):
        site.add(name, "--lines=3")
    site.add("hame", "--lines=3", name="Hämeenlinnan työntekijä", labels={"team": "pohjoinen"})
    site.serve()
    site.until_running()
    return site


def test_five_specs_become_five_processes_that_are_shown_as_they_are(five: Installation) -> None:
    pids = five.pids()
    assert sorted(pids) == ["api/0", "clock/0", "hame/0", "mailer/0", "queue/0"]
    assert five.living() == pids
    assert all(len(book.starts) == 1 for book in five.journals().values())


def test_a_worker_gets_its_own_environment_and_nothing_of_the_controllers(site: Installation) -> None:
    site.add("web", port=18080, replicas=2, env={"QUEUE": "mail-${ordinal}"})
    site.serve(SECRET_OF_THE_CONTROLLER="hush")
    pids = site.until_running("web")
    found = process(pids["web/1"])
    assert found is not None
    values = dict(line.partition("=")[::2] for line in found.environ.split("\n"))
    assert "SECRET_OF_THE_CONTROLLER" not in values
    names = ("WORKER_ID", "WORKER_INSTANCE", "WORKER_ORDINAL", "PORT", "QUEUE", "WORKERCTL_URL")
    assert {name: values.get(name) for name in names} == {
        "WORKER_ID": "web", "WORKER_INSTANCE": "web/1", "WORKER_ORDINAL": "1", "PORT": "18081", "QUEUE": "mail-1",
        "WORKERCTL_URL": f"http://{site.listen}",
    }  # fmt: skip
    assert values["WORKER_REVISION"] == site.worker("web")["revision"]
    assert values["WORKER_RUN"] == site.worker("web")["instances"][1]["run"]


def test_get_shows_them_in_every_format(five: Installation) -> None:
    table = five.run("get")
    assert table.code == 0, table
    assert [line.split()[:3] for line in table.out.splitlines()[1:]] == [
        [name, "running", "1/1"] for name in ("api", "clock", "hame", "mailer", "queue")
    ]
    names = five.run("get", "-o", "name")
    assert (names.code, names.out.split()) == (0, ["api", "clock", "hame", "mailer", "queue"])
    document = json.loads(five.run("get", "-o", "json").out)
    items = document["items"] if isinstance(document, dict) else document
    assert [item["worker_id"] for item in items] == names.out.split()
    assert items[2]["name"] == "Hämeenlinnan työntekijä"
    as_yaml = five.run("get", "hame", "-o", "yaml")
    assert as_yaml.code == 0
    assert "Hämeenlinnan työntekijä" in as_yaml.out
    assert five.run("get", "-l", "team=pohjoinen", "-o", "name").out.split() == ["hame"]


def test_status_describe_and_plan_say_that_all_is_well(five: Installation) -> None:
    assert (five.run("status").code, five.run("status", "api").code) == (0, 0)
    described = five.run("describe", "api")
    assert described.code == 0
    assert f" {five.pids()['api/0']} " in described.out
    assert "it runs as the spec asks" in described.out
    plan = five.run("plan")
    assert (plan.code, "nothing to do" in plan.text) == (0, True)
    assert five.ask("/api/v1/plan").body["actions"] == []


def test_logs_and_events_tell_what_happened(five: Installation) -> None:
    logs = five.until_says(lambda out: out.count("\n") == 3, "logs", "api")
    assert [line.split()[:2] for line in logs.splitlines()] == [["line", f"{n:08d}"] for n in (1, 2, 3)]
    assert five.run("logs", "api", "-n", "1").out.startswith("line 00000003 ")
    events = five.until_says(lambda out: "became_running" in out, "events", "api")
    words = [line.split()[2] for line in events.splitlines()[1:]]
    assert words == ["spec_accepted", "create_ordered", "started", "became_running"]
    assert five.run("events", "api", "-o", "json").code == 0


def test_doctor_version_help_and_validate_work_beside_it(five: Installation) -> None:
    doctor = five.run("doctor", "--state-dir", str(five.state))
    assert doctor.code == 0, doctor
    assert "5 workers, 0 problems, 0 holds" in doctor.out
    assert five.run("version").out.startswith("workerctl ")
    assert five.run("help").code == 0
    assert five.run("validate", str(five.specs)).code == 0


def test_unknown_names_and_an_absent_server_have_their_exit_codes(five: Installation) -> None:
    assert {verb: five.run(verb, "nobody").code for verb in ("get", "status", "describe", "logs", "restart")} == {
        "get": 5, "status": 5, "describe": 5, "logs": 5, "restart": 5,
    }  # fmt: skip
    assert five.run("get", "--server", "http://127.0.0.1:1").code == 8
    assert five.run("get", "--no-such-flag").code == 2


def test_figures_of_cpu_and_memory_come_with_the_first_sweep(site: Installation) -> None:
    site.add("web", "--child")
    site.serve()
    site.until_running("web")

    def figures() -> Item | None:
        item = site.worker("web")
        return None if item["cpu_percent"] is None else item  # Its first value needs two sweeps.

    item = eventually(figures, 40, told="the figures are shown")
    assert item["memory_bytes"] > 5_000_000
    assert 0 <= item["cpu_percent"] < 100
    assert item["memory_bytes"] == item["instances"][0]["memory_bytes"]


def test_an_empty_directory_is_served_and_the_first_file_starts_the_first_worker(site: Installation) -> None:
    site.serve()
    assert site.workers() == {}
    site.add("web")
    assert site.until_running("web") == site.living()


def test_logs_show_all_runs_in_order(five: Installation) -> None:
    five.run("restart", "api", "--wait", "20")
    logs = five.until_says(lambda out: out.count("\n") == 6, "logs", "api")
    assert [line.split()[1] for line in logs.splitlines()] == [f"{n:08d}" for n in (1, 2, 3, 1, 2, 3)]
