"""What the verbs that write specs share: the plan first, then the question, then the write; and how it is told.

A verb makes `Change`s and calls `carry_out`. Each is tried with `dry_run`, so that all plans are shown, and all faults
told, before anything is written. On a terminal it is then asked; a script is not. Between the plan and the write
another may have changed the file: if the worker's spec is still as it was, the write goes on with the file's new etag,
else it is refused (6), because what would happen is not what was shown.

Several changes are written one after the other and not as one: the first that fails ends it, and what was written
before is told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from controller.cli.client import Answer, Client, Item, Request
from controller.cli.common import echo_json, known_ids, not_found, output_option, quoted, server_option
from controller.cli.errors import CliError, Exit, from_problem
from controller.cli.human import count
from controller.cli.plan import plan_lines
from controller.cli.terminal import Terminal, terminal

PATH = "/api/v1/worker-configs"
PAST = {"create": "created", "replace": "changed", "patch": "changed", "delete": "deleted"}
MOST_NAMES = 5  # in a question
_METHODS = {"create": "POST", "replace": "PUT", "patch": "PATCH", "delete": "DELETE"}

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A spec as the controller has it, and the etag of its file."""

    item: Item
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write: `create`, `replace`, `patch` or `delete`.

    `seen` is what it was made from, where it was from something. `placed` says where in a person's file a fault lies.
    """

    action: str
    worker_id: str
    body: Mapping[str, Any] | None = None
    seen: Seen | None = None
    placed: Callable[[Item], Item] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a verb is to write."""

    dry_run: bool = False
    yes: bool = False
    rewrite: bool = False
    output: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preview:
    """What a change would do."""

    change: Change
    is_changed: bool
    config: Item | None
    plan: Item


def write_options(function: _Function) -> _Function:
    """The options of every verb that writes specs; the verb gets a `manner`."""

    def with_manner(*arguments: Any, dry_run: bool, yes: bool, rewrite: bool, output: str, **others: Any) -> Any:
        manner = Manner(dry_run=dry_run, yes=yes, rewrite=rewrite, output=output)
        return function(*arguments, manner=manner, **others)

    with_manner.__doc__, with_manner.__name__ = function.__doc__, function.__name__
    with_manner.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]  # click's own
    decorated: Any = server_option(with_manner)
    decorated = output_option("text", "json", default="text")(decorated)
    decorated = click.option(
        "--rewrite",
        is_flag=True,
        help="Where an anchor or alias is shared: write the worker's document anew, without its comments.",
    )(decorated)
    decorated = click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")(decorated)
    result: _Function = click.option("--dry-run", is_flag=True, help="Show the plan, write nothing.")(decorated)
    return result


def see(api: Client, worker_id: str) -> Seen | None:
    """The spec as it is now, or None.

    A patch of nothing reads the file itself; what GET answers may be a moment older, and two quick `scale web=+1` must
    be two. Where it cannot be read so, because it is broken, what GET answers has to do.
    """
    path = f"{PATH}/{quoted(worker_id)}"
    fresh = api.ask("PATCH", path, query={"dry_run": 1}, body={})
    if fresh.status < 400 and fresh.document.get("config"):
        return Seen(item=fresh.document["config"], etag=fresh.etag)
    answer = fresh if fresh.status in {401, 403, 404} else api.ask("GET", path)
    if answer.status == 404:
        return None
    if answer.status >= 400:
        raise from_problem(answer.status, answer.document, doing=f"read {worker_id}")
    return Seen(item=answer.document, etag=answer.etag)


def must_see(api: Client, worker_id: str) -> Seen:
    """The spec as it is now; leaves with 5 and near names where there is none."""
    seen = see(api, worker_id)
    if seen is None:
        raise not_found(worker_id, known_ids(api))
    return seen


def carry_out(api: Client, changes: Sequence[Change], manner: Manner) -> None:
    """See the module. Leaves with the exit code of what went wrong; 10 where a guard holds what was written."""
    previews = _preview_all(api, changes, manner)
    is_asking = not manner.dry_run and not manner.yes and sys.stdin.isatty()
    if manner.output == "text" or is_asking:
        _tell_plan(previews, err=manner.output != "text")
    if manner.dry_run:
        _tell_end(previews, manner)
        return
    if is_asking and any(preview.is_changed for preview in previews) and not _agreed(previews):
        click.echo("nothing was written", err=True)
        click.get_current_context().exit(Exit.FAILED)
    done: list[_Preview] = []
    try:
        for preview in previews:
            done.append(_write(api, preview, manner))
            if manner.output == "text":
                click.echo(_told(done[-1], terminal()), color=True)
    except CliError as error:
        if done and len(previews) > 1:
            error.details = (
                *error.details,
                f"{len(done)} of {count(len(previews), 'change')} were written before this",
            )
        raise
    _tell_end(done, manner)
    _tell_guards(done)


def _preview_all(api: Client, changes: Sequence[Change], manner: Manner) -> list[_Preview]:
    """All of them, or all that is wrong with them: a person corrects every fault at once."""
    previews, errors = list[_Preview](), list[CliError]()
    for change in changes:
        try:
            previews.append(_preview(api, change, manner))
        except CliError as error:
            if error.exit_code == Exit.UNREACHABLE:
                raise
            errors.append(error)
    for told in errors[:-1]:
        told.show()
    if errors:
        last = errors[-1]
        raise CliError(last.message, Exit(errors[0].exit_code), details=last.details, hints=last.hints)
    return previews


def try_out(api: Client, change: Change, manner: Manner) -> None:
    """Raises what a change would be refused with. Nothing is written or told."""
    _send(api, change, replace(manner, dry_run=True))


def _preview(api: Client, change: Change, manner: Manner) -> _Preview:
    document = _send(api, change, replace(manner, dry_run=True)).document
    return _Preview(
        change=change,
        is_changed=bool(document.get("changed")),
        config=document.get("config"),
        plan=document.get("plan") or {},
    )


def _write(api: Client, preview: _Preview, manner: Manner) -> _Preview:
    change = preview.change
    if not preview.is_changed:
        return preview
    if change.seen is not None:
        now = see(api, change.worker_id)
        if now is None or now.item.get("spec") != change.seen.item.get("spec"):
            raise CliError(
                f"Cannot {_doing(change)}: its spec was changed since the plan was made",
                Exit.CONFLICT,
                hints=["ask again: the new plan is shown first"],
            )
        change = replace(change, seen=now)
    document = _send(api, change, manner).document
    return replace(preview, config=document or preview.config)


def _send(api: Client, change: Change, manner: Manner) -> Answer:
    query = {"dry_run": 1 if manner.dry_run else None, "rewrite": 1 if manner.rewrite else None}
    is_new = change.action == "create"
    headers = {"If-Match": change.seen.etag} if change.seen is not None and change.seen.etag else {}
    answer = api.send(
        Request(
            method=_METHODS[change.action],
            path=PATH if is_new else f"{PATH}/{quoted(change.worker_id)}",
            query=query,
            body={"worker_id": change.worker_id, **(change.body or {})} if is_new else change.body,
            headers=headers,
        )
    )
    if answer.status == 404 and not is_new:
        raise not_found(change.worker_id, known_ids(api))
    if answer.status >= 400:
        raise _refused(answer, change)
    return answer


def _refused(answer: Answer, change: Change) -> CliError:
    """The error for a write that was refused, with the option that helps where there is one."""
    document = answer.document
    if change.placed is not None:
        document = {**document, "errors": [change.placed(fault) for fault in document.get("errors") or ()]}
    error = from_problem(answer.status, document, doing=_doing(change))
    if answer.document.get("code") == "not_surgical":
        error.hints = ("--rewrite writes this worker's document anew, without its comments; other documents stay",)
    return error


def _doing(change: Change) -> str:
    return f"{'change' if change.action in {'replace', 'patch'} else change.action} {change.worker_id}"


def _tell_plan(previews: Sequence[_Preview], *, err: bool) -> None:
    screen = terminal(err=err)
    for preview in previews:
        lines = plan_lines(preview.plan.get("actions") or [], preview.plan.get("holds") or [], screen)
        if lines:
            click.echo("\n".join(lines), err=err, color=screen.colour)


def _agreed(previews: Sequence[_Preview]) -> bool:
    changed = [preview.change for preview in previews if preview.is_changed]
    words = {_doing(change).partition(" ")[0] for change in changed}
    names = ", ".join(change.worker_id for change in changed)
    if len(words) == 1 and len(changed) <= MOST_NAMES:
        question = f"{words.pop().capitalize()} {names}?"
    else:
        question = f"Write {count(len(changed), 'change')}?"
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo("\nnothing was written", err=True)
        click.get_current_context().exit(Exit.INTERRUPTED)


def _told(preview: _Preview, screen: Terminal) -> str:
    """`✓ web: changed in web.yaml`."""
    name = screen.paint(preview.change.worker_id, bold=True)
    if not preview.is_changed:
        return f"{screen.paint('=', dim=True)} {name}: unchanged"
    seen = preview.change.seen.item if preview.change.seen is not None else {}
    source = (preview.config or seen).get("source") or {}
    place = {"create": "as", "delete": "from"}.get(preview.change.action, "in")
    where = f" {place} {source['file']}" if source.get("file") else ""
    return f"{screen.paint(screen.sign('✓', 'ok'), 'green')} {name}: {PAST[preview.change.action]}{where}"


def _tell_end(previews: Sequence[_Preview], manner: Manner) -> None:
    if manner.output == "json":
        echo_json({"dry_run": manner.dry_run, "items": [_document(preview) for preview in previews]})
    elif manner.dry_run:
        changed = sum(preview.is_changed for preview in previews)
        would = f"{count(changed, 'spec')} would be written" if changed else "no spec would change"
        click.echo(f"dry run: {would}", err=True)


def _document(preview: _Preview) -> Item:
    return {
        "worker_id": preview.change.worker_id,
        "action": PAST[preview.change.action] if preview.is_changed else "unchanged",
        "config": preview.config,
        "plan": preview.plan,
    }


def _tell_guards(done: Sequence[_Preview]) -> None:
    holds = [hold for one in done if one.is_changed for hold in one.plan.get("holds") or ()]
    digests = list(dict.fromkeys(str(hold["confirm"]) for hold in holds if hold.get("confirm")))
    if digests:
        raise CliError(
            "it is written, but a guard holds back what it brings until somebody confirms",
            Exit.REFUSED,
            hints=[f"workerctl reconcile --confirm {digest}" for digest in digests],
        )
