"""`workerctl batch`: start, stop or restart many workers at once, some at a time; and what became of it.

A batch is the controller's: it goes on when this command ends. Who is meant is settled here and shown first, then sent
by name, so that what was shown is what happens. Following it is in batch_progress.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from controller.cli.batch_progress import code_of, follow, sign, summary
from controller.cli.client import Answer, Client, Item
from controller.cli.common import (
    client,
    echo_json,
    echo_lines,
    echo_yaml,
    examples,
    fetch_all,
    fetch_workers,
    output_option,
    quoted,
    server_option,
)
from controller.cli.errors import CliError, Exit, from_problem
from controller.cli.human import clock, count
from controller.cli.lazy import did_you_mean
from controller.cli.names import worker_names
from controller.cli.table import Cell, Column, pairs, render
from controller.cli.terminal import Terminal, neutralise, terminal

SHOWN = 20
"""So many names are shown before a batch begins; a dry run shows all."""
_COLUMNS = (
    Column(title="ID"), Column(title="ACTION"), Column(title="STATE"), Column(title="WORKERS", right=True),
    Column(title="BEGAN"), Column(title="BY", droppable=True), Column(title="DETAIL"),
)  # fmt: skip
_RESULT_COLUMNS = (Column(title="WORKER", shrinkable=True), Column(title="STATE"), Column(title="DETAIL"))
_COLOURS = {"succeeded": "green", "failed": "red", "not_found": "red", "running": "cyan"}
_ORDER = ("failed", "not_found", "running", "pending", "skipped", "cancelled", "succeeded")

_Function = TypeVar("_Function", bound=Callable[..., Any])

_id = click.argument("batch_id", metavar="ID")
_wait = click.option("--wait/--no-wait", default=True, help="Follow it to its end, or leave at once.  [default: wait]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a batch is carried out, as the options say."""

    parallel: int
    stop_on_failure: bool
    no_graceful: bool
    reason: str | None
    wait: bool
    dry_run: bool


@click.group(
    epilog=examples(
        ("workerctl batch restart web mailer", "two workers, and how it goes"),
        ("workerctl batch restart -l tier=front --parallel 2", "all with a label, two at a time"),
        ("workerctl batch stop -l team=growth --dry-run", "who would be meant"),
        ("workerctl batch ls", "what there is and was"),
        ("workerctl batch retry 6f0b1d0c8a3e5b27", "those of it that failed, once more"),
    )
)
def batch() -> None:
    """Start, stop or restart many workers, some at a time.

    Shows whom it means, then how it goes, with a line for each worker that fails and why. Leaves with 1 when one
    failed or was left out, with 5 when there is no such worker. The batch is the controller's: it goes on without this
    command, and after a crash of the controller, which restarts no worker twice.
    """


def _labels(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    labels = tuple(part.strip() for value in values for part in value.split(","))
    if any(not label.partition("=")[0] for label in labels):
        raise click.BadParameter("expected labels, as in tier=front or tier=front,team")
    return labels


def _options(function: _Function) -> _Function:
    """What start, stop and restart share, in the order of their help."""
    for option in (
        server_option,
        click.option("--dry-run", is_flag=True, help="Only show whom it means."),
        _wait,
        click.option("--reason", metavar="TEXT", help="Why; it is kept with the events."),
        click.option("--no-graceful", is_flag=True, help="Kill at once instead of asking first."),
        click.option("--stop-on-failure", is_flag=True, help="Once a worker failed, begin no further one."),
        click.option(
            "--parallel",
            type=click.IntRange(1, 100),
            default=4,
            show_default=True,
            metavar="N",
            help="How many workers at a time.",
        ),
        click.option(
            "-l",
            "--label",
            "labels",
            multiple=True,
            metavar="SELECTOR",
            callback=_labels,
            help="Workers with these labels: key=value or key, with commas between; may be repeated.",
        ),
        click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=worker_names),
    ):
        function = option(function)
    return function


def _action(action: str, text: str) -> click.Command:
    @batch.command(
        name=action,
        help=f"{text}\n\nBy name or by label. Shows whom it means, then how it goes.",
        epilog=examples(
            (f"workerctl batch {action} web mailer", "two workers"),
            (f"workerctl batch {action} -l tier=front --dry-run", "who has the label"),
            (f"workerctl batch {action} -l tier=front --parallel 2 --stop-on-failure", "two at a time, with care"),
        ),
    )
    @_options
    def command(names: tuple[str, ...], labels: tuple[str, ...], **way: Any) -> None:
        _run(action, names, labels, Way(**way))

    return command


def _run(action: str, names: Sequence[str], labels: Sequence[str], way: Way) -> None:
    if bool(names) == bool(labels):
        raise click.UsageError("name workers, or choose them with -l SELECTOR: one of the two")
    api = client()
    known = fetch_workers(api)
    chosen = list(dict.fromkeys(names)) if names else _with_labels(known, labels)
    unknown = _unknown(chosen, known)
    _show_meant(action, chosen, way)
    if way.dry_run:
        for name, hint in unknown.items():
            click.echo(f'there is no worker "{neutralise(name)}".{hint}', err=True)
        click.get_current_context().exit(Exit.NOT_FOUND if unknown else Exit.OK)
    body = {
        "action": action,
        "worker_ids": chosen,
        "options": {
            "graceful": not way.no_graceful, "parallel": way.parallel, "stop_on_failure": way.stop_on_failure,
        },
        "reason": way.reason or "",
    }  # fmt: skip
    answer = api.ask("POST", "/api/v1/workers/batch", body=body)
    _go_on(api, answer, doing=f"{action} {count(len(chosen), 'worker')}", wait=way.wait, near=unknown)


def _go_on(api: Client, answer: Answer, *, doing: str, wait: bool, near: Mapping[str, str] | None = None) -> None:
    """Follow what was begun, or say where it can be looked at. `near`: what a name that nobody has may have meant."""
    if answer.status >= 400:
        raise from_problem(answer.status, answer.document, doing=doing)
    begun = answer.document
    if wait or begun["state"] != "running":
        follow(api, begun, near or {})
        return
    where = f"`workerctl batch show {begun['batch_id']}` shows how it goes"
    click.echo(f"{sign('running', terminal())} {summary(begun)}; {where}", color=True)
    click.get_current_context().exit(code_of(begun))


def _with_labels(known: Sequence[Item], labels: Sequence[str]) -> list[str]:
    wanted = [label.partition("=") for label in labels]
    found = [
        str(item["worker_id"])
        for item in known
        if all(
            key in (item.get("labels") or {}) and (not mark or item["labels"][key] == value)
            for key, mark, value in wanted
        )
    ]
    if not found:
        raise CliError(f"no worker has the labels {','.join(labels)}", Exit.NOT_FOUND)
    return found


def _unknown(names: Sequence[str], known: Sequence[Item]) -> dict[str, str]:
    """The names that no worker has, each with the words that name a near one."""
    ids = [str(item["worker_id"]) for item in known]
    return {name: did_you_mean(name, ids) for name in names if name not in ids}


def _show_meant(action: str, names: Sequence[str], way: Way) -> None:
    shown = names if way.dry_run else names[:SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    pace = "" if len(names) == 1 else f", {way.parallel} at a time"
    click.echo(f"{action} {count(len(names), 'worker')}{pace}: {neutralise(', '.join(shown))}{more}")


_action("restart", "Restart workers once, each; their specs stay as they are.")
_action("start", "Start workers: sets desired_state in their specs.")
_action("stop", "Stop workers: sets desired_state in their specs.")


@batch.command("ls", epilog=examples(("workerctl batch ls -o json", "for programs")))
@output_option("table", "json", default="table")
@server_option
def list_batches(output: str) -> None:
    """List the batches, the newest first.

    Those that are under way, and the newest hundred that are over.
    """
    items = fetch_all(client(), "/api/v1/batches", doing="list batches")
    if output == "json":
        echo_json({"items": items})
    elif items:
        echo_lines(batch_table(items, terminal(), time.time()))
    else:
        click.echo("no batches; `workerctl batch restart NAME...` begins one", err=True)


@batch.command(epilog=examples(("workerctl batch show 6f0b1d0c8a3e5b27", "its id, from `workerctl batch ls`")))
@_id
@output_option("text", "json", "yaml", default="text")
@server_option
def show(batch_id: str, output: str) -> None:
    """Tell how a batch goes, and what became of each worker."""
    document = client().get(f"/api/v1/batches/{quoted(batch_id)}", doing=f"show batch {batch_id}")
    match output:
        case "json":
            echo_json(document)
        case "yaml":
            echo_yaml(document)
        case _:
            echo_lines(batch_text(document, terminal(), time.time()))


@batch.command(epilog=examples(("workerctl batch cancel 6f0b1d0c8a3e5b27", "what has begun is waited for")))
@_id
@server_option
def cancel(batch_id: str) -> None:
    """Leave out what a batch has not begun.

    What it has begun goes on and is waited for; cancelled once more, not even that.
    """
    answer = client().ask("POST", f"/api/v1/batches/{quoted(batch_id)}/cancel")
    if answer.status >= 400:
        raise from_problem(answer.status, answer.document, doing=f"cancel batch {batch_id}")
    click.echo(summary(answer.document))


@batch.command(epilog=examples(("workerctl batch retry 6f0b1d0c8a3e5b27", "a new batch, of those that failed")))
@_id
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the events.")
@_wait
@server_option
def retry(batch_id: str, reason: str | None, wait: bool) -> None:
    """Try what failed once more, as a new batch.

    Also what was left out because another worker failed; in the same way as before.
    """
    api = client()
    body = {"reason": reason} if reason else None
    answer = api.ask("POST", f"/api/v1/batches/{quoted(batch_id)}/retry", body=body)
    _go_on(api, answer, doing=f"retry batch {batch_id}", wait=wait)


def batch_table(items: Sequence[Item], screen: Terminal, now: float) -> list[str]:
    """One line per batch."""
    rows: list[list[str | Cell]] = [
        [
            str(one["batch_id"]), str(one["action"]), _state(one), str(one["total"]),
            clock(one["created_at"], now), str(one["actor"]), str(one["detail"]),
        ]
        for one in items
    ]  # fmt: skip
    return render(_COLUMNS, rows, screen)


def batch_text(one: Item, screen: Terminal, now: float) -> list[str]:
    """One batch: how it goes, then its workers, failures first."""
    options = one["options"]
    how = [f"{options['parallel']} at a time"]
    how += ["stops at a failure"] if options["stop_on_failure"] else []
    how += [] if options["graceful"] else ["kills at once"]
    head = pairs(
        [
            ("Batch", str(one["batch_id"])), ("Action", f"{one['action']}, {', '.join(how)}"),
            ("State", f"{one['state']}: {one['detail']}"), ("By", neutralise(str(one["actor"]))),
            ("Reason", neutralise(str(one["reason"]))), ("Selector", neutralise(str(one["selector"] or ""))),
            ("Retry of", str(one["origin"] or "")), ("Began", clock(one["created_at"], now)),
            ("Ended", clock(one["ended_at"], now) if one["ended_at"] else ""),
        ],
        screen,
    )  # fmt: skip
    results = sorted(one["results"], key=lambda result: _ORDER.index(result["state"]))
    rows: list[list[str | Cell]] = [
        [str(result["worker_id"]), _state(result), str(result["detail"] or "-")] for result in results
    ]
    return [*head, "", *render(_RESULT_COLUMNS, rows, screen)]


def _state(item: Item) -> Cell:
    return Cell(text=str(item["state"]).replace("_", " "), colour=_COLOURS.get(str(item["state"])))
