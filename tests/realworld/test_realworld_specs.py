"""Ten configurations of other programs, converted by hand: every spec is right, and each conversion really runs.

What is asked of all: the specs are valid and can be rendered; served, everything comes up in the order of its
dependencies; stopped, everything ends by itself and nothing is left. What is asked of each: what its original promises.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.cli_site import run
from tests.e2e.e2e_installation import Installation, Item
from tests.e2e.e2e_processes import eventually, process
from tests.realworld.realworld_site import HERE, IS_ROOT, Case, Served

CELERY = Case(folder="01-celery-supervisord", running={"shop-default": 1, "shop-mail": 1, "shop-beat": 1})
PROCFILE = Case(
    folder="02-procfile", running={"release": 0, "web": 2, "worker": 1}, ports=(8000,),
    allow_env=("WEB_CONCURRENCY",), environment={"WEB_CONCURRENCY": "3"},
)  # fmt: skip
GROUP = Case(folder="03-supervisord-group", running={"thumbs-resize": 3, "thumbs-gc": 1})
SYSTEMD = Case(folder="04-systemd-hardened", running={"reports": 1})
COMPOSE = Case(
    folder="05-compose-worker", running={"db": 1, "migrate": 0, "worker": 2}, ports=(5432,), allow_env=("LOG_LEVEL",)
)  # fmt: skip
PM2 = Case(folder="06-pm2-ecosystem", running={"api": 2, "digest": 0}, ports=(4000,))
NOMAD = Case(
    folder="07-nomad-raw-exec", running={"billing-api": 2}, ports=(8181,), environment={"STRIPE_KEY": "sk-of-vault"}
)  # fmt: skip
KUBERNETES = Case(
    folder="08-kubernetes-deployment", running={"gateway": 2}, ports=(8080,),
    environment={"GATEWAY_SIGNING_KEY": "signed-by-nobody"},
)  # fmt: skip
PROCESS_COMPOSE = Case(
    folder="09-process-compose", running={"db": 1, "migrate": 0, "api": 1, "mailhog": 0}, ports=(5433, 8090, 8026)
)  # fmt: skip
PEBBLE = Case(folder="10-pebble-layer", running={"store": 1, "proxy": 1, "compactor": 0}, ports=(6400, 8070))
CASES = (CELERY, PROCFILE, GROUP, SYSTEMD, COMPOSE, PM2, NOMAD, KUBERNETES, PROCESS_COMPOSE, PEBBLE)

Serve = Callable[[Case], Served]


@pytest.fixture
def serve(site: Installation) -> Serve:
    """Serves a case and waits until all is as expected."""

    def served(case: Case) -> Served:
        opened = Served(site, case)
        opened.settled()
        return opened

    return served


# --- all of them, without running them ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder)
def test_every_conversion_is_valid_and_renders(case: Case) -> None:
    found = run(None, "validate", str(case.specs), *case.flags)
    assert (found.exit_code, found.output) == (0, f"{_workers(len(case.running))}, all valid\n")
    for worker_id in case.running:
        rendered = run(None, "render", worker_id, "--dir", str(case.specs), *case.flags)
        assert rendered.exit_code == 0, rendered.output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder)
def test_every_conversion_is_formatted_and_has_its_original_and_notes(case: Case) -> None:
    assert run(None, "fmt", "--check", str(case.specs)).exit_code == 0
    folder = HERE / case.folder
    assert len(list(folder.glob("original.*"))) == 1
    assert "cannot say" in (folder / "notes.md").read_text("utf-8")


def test_the_table_of_the_readme_names_every_conversion() -> None:
    table = (HERE / "README.md").read_text("utf-8")
    folders = sorted(path.name for path in HERE.iterdir() if path.name[:2].isdigit())
    assert folders == sorted(case.folder for case in CASES)
    assert [name for name in folders if f"({name}/notes.md)" not in table] == []


# --- each of them, for real ---------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_a_celery_pool_begins_a_warm_shutdown_and_loses_no_task(serve: Serve) -> None:
    here = serve(CELERY)
    _in_order(here, ("shop-default", "became_running"), ("shop-beat", "started"))
    _in_order(here, ("shop-mail", "became_running"), ("shop-beat", "started"))
    values = here.environ("shop-default/0")
    secret = (HERE / CELERY.folder / "secrets/broker_url").read_text().strip()
    assert (values["CELERY_BROKER_URL"], values["DJANGO_SETTINGS_MODULE"]) == (secret, "shop.settings.production")
    assert _places_of(here.site.state, secret) == []
    _runs_as_nobody(here, "shop-default/0")
    assert here.process("shop-mail/0").command.endswith("-n mail@localhost --loglevel=INFO ")

    pool = _children(here.site.pids()["shop-mail/0"])
    assert len(pool) == 2
    here.reborn("shop-mail/0")
    assert [pid for pid in pool if process(pid)] == []  # killasgroup

    ends = here.ended()
    assert _exits(ends) == [(name, "stopped") for name in ("shop-beat/0", "shop-default/0", "shop-mail/0")]
    assert ends.index(_end_of(ends, "shop-beat/0")) < ends.index(_end_of(ends, "shop-mail/0"))
    printed = here.printed("shop-default")
    assert (printed.count("Warm shutdown"), printed.count("WorkerLostError")) == (1, 0)


@pytest.mark.e2e
def test_a_procfile_runs_its_release_before_web_and_worker_and_again_when_it_changes(serve: Serve) -> None:
    here = serve(PROCFILE)
    for worker_id in ("web", "worker"):
        _in_order(here, ("release", "started"), (worker_id, "started"))
    assert here.printed("release").count("migrations done") == 1
    assert here.get(8001, "/env/PORT") == str(here.port(8001))
    assert "--workers 3" in here.process("web/0").command
    assert here.environ("worker/0")["QUEUES"] == "high,low"
    before = here.settled()

    release = here.site.specs / "release.yaml"
    release.write_text(release.read_text().replace("RELEASE: v1", "RELEASE: v2"))
    eventually(lambda: here.printed("release").count("migrations done") == 2, told="the release ran again")
    here.until_event("release", "completed", lambda event: event["seq"] > _last(here, "release", "started"))
    assert here.settled() == before
    here.reborn("worker/0")

    assert _exits(here.ended()) == [("web/0", "stopped"), ("web/1", "stopped"), ("worker/0", "stopped")]
    assert "goodbye" in here.printed("worker")


@pytest.mark.e2e
def test_a_supervisord_group_has_its_shards_its_umask_and_its_restarts(serve: Serve) -> None:
    here = serve(GROUP)
    values = [here.environ(f"thumbs-resize/{n}") for n in range(3)]
    assert [(one["SHARD"], one["QUEUE"], one["HOME"]) for one in values] == [
        (str(n), "thumbs", "/var/lib/thumbs") for n in range(3)
    ]  # fmt: skip
    assert here.process("thumbs-resize/2").command.endswith("--shard=2 --of=3 ")
    assert {here.proc_status(name)["Umask"] for name in ("thumbs-resize/0", "thumbs-gc/0")} == {"0027"}
    assert {item["labels"]["group"] for item in here.site.workers().values()} == {"thumbs"}
    assert here.reborn("thumbs-resize/1")["restart_count"] == 1

    assert len(_exits(here.ended())) == 4
    assert here.printed("thumbs-resize").count("got SIGINT") == 3


@pytest.mark.e2e
def test_a_systemd_service_says_when_it_is_ready_and_is_given_up_after_its_burst(serve: Serve) -> None:
    here = serve(SYSTEMD)
    instance = eventually(lambda: _with(here.instance("reports/0"), "notify_status"), told="it says its status")
    assert (instance["ready"], instance["notify_status"]) == (True, "waiting for jobs")
    values = here.environ("reports/0")
    names = ("QUEUE", "PAGE_SIZE", "MODE", "REGION", "SMTP_PASSWORD", "WATCHDOG_USEC")
    assert {name: values[name] for name in names} == {
        "QUEUE": "reports", "PAGE_SIZE": "A4", "MODE": "batch", "REGION": "eu", "SMTP_PASSWORD": "hunter2",
        "WATCHDOG_USEC": "30000000",
    }  # fmt: skip
    assert here.proc_status("reports/0")["Umask"] == "0077"
    pid = here.process("reports/0").pid
    assert re.search(r"Max open files +8192 +8192", Path(f"/proc/{pid}/limits").read_text())
    assert os.getpriority(os.PRIO_PROCESS, pid) == 5
    _runs_as_nobody(here, "reports/0")

    assert here.site.run("restart", "reports", "--wait", "30").code == 0
    last = here.instance("reports/0")["last_exit"]
    assert (last["cause"], last["code"]) == ("stopped", 143)
    for _ in range(3):
        here.reborn("reports/0")
    os.kill(here.instance("reports/0")["pid"], signal.SIGKILL)
    assert "GaveUp" in str(here.site.until_status("reports", "error")["conditions"])

    def hooks() -> list[str]:
        return [event["data"]["hook"] for event in here.site.events("reports", "hook_succeeded")]

    eventually(lambda: len(hooks()) == 10, told=f"all hooks ran: {hooks()}")
    assert hooks() == ["pre_start", "post_stop"] * 5
    assert here.ended() == []


@pytest.mark.e2e
def test_a_compose_worker_waits_for_a_healthy_database_and_goes_on_without_it(serve: Serve) -> None:
    here = serve(COMPOSE)
    _in_order(here, ("db", "became_ready"), ("migrate", "started"), ("worker", "started"))
    values = here.environ("worker/1")
    assert {name: values[name] for name in ("DATABASE_URL", "LOG_LEVEL", "INVOICE_PREFIX")} == {
        "DATABASE_URL": f"postgres://invoices@127.0.0.1:{here.port(5432)}/invoices", "LOG_LEVEL": "info",
        "INVOICE_PREFIX": "INV",
    }  # fmt: skip
    workers = here.site.pids("worker")
    here.reborn("db/0")
    assert here.site.pids("worker") == workers
    assert here.site.worker("migrate")["restart_count"] == 0

    ends = here.ended()
    assert _exits(ends) == [("db/0", "stopped"), ("worker/0", "stopped"), ("worker/1", "stopped")]
    for worker in ("worker/0", "worker/1"):
        assert ends.index(_end_of(ends, worker)) < ends.index(_end_of(ends, "db/0"))


@pytest.mark.e2e
def test_a_pm2_app_has_a_port_for_each_instance_and_comes_back_at_once(serve: Serve) -> None:
    here = serve(PM2)
    assert [here.get(4000 + n, "/env/PORT") for n in (0, 1)] == [str(here.port(4000 + n)) for n in (0, 1)]
    assert here.get(4001, "/env/NODE_ENV") == "production"
    here.reborn("api/1")
    assert "0.1 s" in here.until_event("api", "restart_scheduled")["message"]

    assert here.printed("digest") == "digest sent\n"
    assert here.site.run("restart", "digest", "--wait", "30").code == 0
    assert here.printed("digest") == "digest sent\ndigest sent\n"

    assert _exits(here.ended()) == [("api/0", "stopped"), ("api/1", "stopped")]
    assert here.printed("api").count("got SIGINT") == 2


@pytest.mark.e2e
def test_a_nomad_task_is_restarted_when_its_check_fails(serve: Serve) -> None:
    here = serve(NOMAD)
    assert here.get(8182, "/env/STRIPE_KEY") == "sk-of-vault"
    assert _places_of(here.site.state, "sk-of-vault") == []
    assert "--shard 1" in here.process("billing-api/1").command
    _runs_as_nobody(here, "billing-api/0")

    _break(here, 8181, "billing-api/0")
    assert here.site.worker("billing-api")["restart_count"] == 1

    ends = here.ended()
    assert _exits(ends) == [("billing-api/0", "stopped"), ("billing-api/1", "stopped")]
    assert _hooks(ends) == [("billing-api/0", "pre_stop"), ("billing-api/1", "pre_stop")]
    assert here.printed("billing-api").count("got SIGINT") == 3


@pytest.mark.e2e
def test_a_kubernetes_deployment_is_probed_and_drained(serve: Serve) -> None:
    here = serve(KUBERNETES)
    _in_order(here, ("gateway", "started"), ("gateway", "became_running"), ("gateway", "became_ready"))
    names = ("POD_NAME", "LOG_LEVEL", "SIGNING_KEY")
    assert [here.get(8081, f"/env/{name}") for name in names] == ["gateway/1", "info", "signed-by-nobody"]
    _runs_as_nobody(here, "gateway/1")

    _break(here, 8080, "gateway/0")
    here.settled()

    ends = here.ended()
    assert _exits(ends) == [("gateway/0", "stopped"), ("gateway/1", "stopped")]
    assert _hooks(ends) == [("gateway/0", "pre_stop"), ("gateway/1", "pre_stop")]
    drained = [text for text in _runs_of(here, "gateway/1") if "draining" in text]
    assert [re.findall("draining|got SIGTERM|goodbye", text) for text in drained] == [
        ["draining", "got SIGTERM", "goodbye"]
    ]  # fmt: skip


@pytest.mark.e2e
def test_a_process_compose_project_starts_and_stops_in_order(serve: Serve) -> None:
    here = serve(PROCESS_COMPOSE)
    _in_order(here, ("db", "became_ready"), ("migrate", "started"), ("api", "started"))
    assert [here.get(8090, f"/env/{name}") for name in ("APP_ENV", "DATABASE_PORT")] == ["dev", str(here.port(5433))]
    here.reborn("api/0")
    assert here.site.worker("mailhog")["status"] == "stopped"
    assert here.site.run("start", "mailhog", "--wait", "30").code == 0
    assert here.site.worker("mailhog")["status"] == "running"

    ends = here.ended()
    assert _exits(ends) == [("api/0", "stopped"), ("db/0", "stopped"), ("mailhog/0", "stopped")]
    assert ends.index(_end_of(ends, "api/0")) < ends.index(_end_of(ends, "db/0"))


@pytest.mark.e2e
def test_a_pebble_layer_restarts_what_its_check_finds_dead(serve: Serve) -> None:
    here = serve(PEBBLE)
    _in_order(here, ("store", "became_ready"), ("proxy", "started"))
    assert here.get(8070, "/env/GOMAXPROCS") == "2"
    assert here.site.worker("compactor")["status"] == "stopped"
    _runs_as_nobody(here, "proxy/0")

    _break(here, 8070, "proxy/0")
    here.reborn("store/0")
    here.settled()
    assert here.printed("compactor") == ""

    assert _exits(here.ended()) == [("proxy/0", "stopped"), ("store/0", "stopped")]


# --- what they share ----------------------------------------------------------------------------------------------


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"


def _in_order(here: Served, *steps: tuple[str, str]) -> None:
    """Each step is (worker, type of event): the first such is later than that of the step before."""
    found = [here.until_event(worker_id, type_)["seq"] for worker_id, type_ in steps]
    assert found == sorted(found), f"{steps} happened as {found}"


def _last(here: Served, worker_id: str, type_: str) -> int:
    return max(int(event["seq"]) for event in here.site.events(worker_id, type_))


def _exits(events: list[Item]) -> list[tuple[str, str]]:
    """(instance, cause) of the ends among these events, by instance."""
    return sorted((event["instance"], event["cause"]) for event in events if event["type"] == "exited")


def _hooks(events: list[Item]) -> list[tuple[str, str]]:
    """(instance, hook) of the hooks that succeeded."""
    return sorted((event["instance"], event["data"]["hook"]) for event in events if event["type"] == "hook_succeeded")


def _end_of(events: list[Item], instance: str) -> Item:
    return next(event for event in events if event["type"] == "exited" and event["instance"] == instance)


def _with(instance: Item, name: str) -> Item | None:
    return instance if instance[name] else None


def _break(here: Served, port: int, instance: str) -> None:
    """Let the service at `port` answer 500 from now on, and wait for what liveness makes of it."""
    before = here.instance(instance)
    with pytest.raises(OSError, match="500"):
        here.get(port, "/break")

    def look() -> Item | None:
        now = here.instance(instance)
        return now if now["run"] != before["run"] and now["status"] == "running" and now["ready"] else None

    assert eventually(look, told=f"{instance} was restarted")["last_exit"]["cause"] == "liveness"


def _runs_as_nobody(here: Served, instance: str) -> None:
    if IS_ROOT:
        nobody, status = pwd.getpwnam("nobody"), here.proc_status(instance)
        assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert status["NoNewPrivs"] == "1"


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _places_of(folder: Path, secret: str) -> list[str]:
    """The files of a state directory in which a secret stands."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def _runs_of(here: Served, instance: str) -> list[str]:
    """The standard output of each run of an instance that is kept."""
    folder = here.site.state / "logs" / instance
    return [path.read_text("utf-8", "replace") for path in sorted(folder.glob("*.stdout"))]
