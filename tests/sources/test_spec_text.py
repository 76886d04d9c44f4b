"""The text of a spec file as it may be shown: no secret in it, every line at its place, and where fields come from."""

from __future__ import annotations

from controller.core.problems import Source
from controller.sources.documents import SpecFile, read_spec_file
from controller.sources.spec_text import ShownText, hidden, shown_text


def files(**texts: str) -> dict[str, SpecFile]:
    paths = {name.replace("__", "/") + ".yaml": text for name, text in texts.items()}
    return {path: read_spec_file(path, text.encode()) for path, text in paths.items()}


def test_what_looks_like_a_secret_is_hidden_and_all_else_stays_as_it_is_written() -> None:
    text = (
        "worker_id: web  # the shop\n"
        "command: [serve, --token, hunter2, 'http://ann:hunter2@db/']\n"
        'env:\n  QUEUE: mail\n  API_KEY: "hunter2"\n  SMTP_PASSWORD: |\n    hunter2\n    hunter2\n'
        "secrets: {TOKEN: {file: /run/token}}\n"
        "# was: PASSWORD=hunter2\n"
    )
    assert hidden(text) == (
        "worker_id: web  # the shop\n"
        'command: [serve, --token, "***", "***"]\n'
        'env:\n  QUEUE: mail\n  API_KEY: "***"\n  SMTP_PASSWORD: "***"\n\n\n'
        "secrets: {TOKEN: {file: /run/token}}\n"
        "# was: PASSWORD=***\n"
    )


def test_a_file_that_is_no_yaml_shows_no_secret_either() -> None:
    assert hidden("command: [\nenv:\n  API_KEY: hunter2\n  QUEUE: mail\n  - TOKEN: x: hunter2\n") == (
        "command: [\nenv:\n  API_KEY: ***\n  QUEUE: mail\n  - TOKEN: ***\n"
    )


def test_each_field_comes_from_its_own_line_or_from_the_nearest_defaults_that_have_it() -> None:
    found = files(
        base="kind: Defaults\nreplicas: 2\nenv: {A: '1', B: '2'}\nstop: {grace_ms: 1}\n",
        team__base="kind: Defaults\nstop: {grace_ms: 5}\n",
        team__web="worker_id: api\n---\nworker_id: web\nenv:\n  B: '3'\ncommand: [x]\n---\nworker_id: last\n",
        other__base="kind: Defaults\nport: 1\n",
    )
    shown = shown_text("web", found["team/web.yaml"], found)
    assert shown == ShownText(
        text="worker_id: api\n---\nworker_id: web\nenv:\n  B: '3'\ncommand: [x]\n---\nworker_id: last\n",
        line=3,
        last_line=7,
        origins={
            "command": Source(file="team/web.yaml", line=6),
            "env.A": Source(file="base.yaml", line=3),
            "env.B": Source(file="team/web.yaml", line=5),
            "replicas": Source(file="base.yaml", line=2),
            "stop.grace_ms": Source(file="team/base.yaml", line=2),
        },
    )


def test_a_value_that_is_no_group_takes_the_place_of_a_group_below_it() -> None:
    found = files(
        base="kind: Defaults\nlimits: {nice: 1}\nreadiness: {tcp: {port: 1}}\n", web="worker_id: web\nlimits: null\n"
    )
    shown = shown_text("web", found["web.yaml"], found)
    assert shown is not None
    assert shown.origins == {
        "limits": Source(file="web.yaml", line=2),
        "readiness.tcp.port": Source(file="base.yaml", line=3),
    }


def test_a_file_that_cannot_be_read_has_no_text_and_one_without_the_worker_no_places() -> None:
    assert shown_text("web", SpecFile(path="web.yaml"), {}) is None
    broken = read_spec_file("web.yaml", b"worker_id: [\n")
    assert shown_text("web", broken, {"web.yaml": broken}) == ShownText(
        text="worker_id: [\n", line=1, last_line=1, origins={}
    )
