"""The command group that imports a verb only when it is used, and its table of verbs.

`workerctl get` must answer within a blink, so the group knows names and one-line helps by itself and nothing else.
A test compares each line here with the help of the command it stands for.
"""

from __future__ import annotations

import errno
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from controller.cli.errors import CliError, Exit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """Where a command lives (`module:attribute` below controller.cli), and what the overview says of it."""

    path: str
    help: str
    section: str


SEE, ACT, WRITE, SPECS, CHECK, SERVER = "See", "Act", "Write", "Specs", "Check", "Run"

VERBS: dict[str, Verb] = {
    "get": Verb(path="get:get", section=SEE, help="Show workers: status, figures, reasons."),
    "top": Verb(path="top:top", section=SEE, help="Show what workers use, live."),
    "status": Verb(path="status:status", section=SEE, help="Tell how a worker, or the fleet, is doing."),
    "describe": Verb(path="describe:describe", section=SEE, help="Tell everything about one worker: why, what next."),
    "tree": Verb(path="tree:tree", section=SEE, help="Draw what workers depend on, and who waits for whom."),
    "logs": Verb(path="logs:logs", section=SEE, help="Show what workers printed."),
    "events": Verb(path="events:events", section=SEE, help="Show what happened, and why."),
    "plan": Verb(path="plan:plan", section=SEE, help="Show what the controller would do now, and what it holds."),
    "start": Verb(path="act:start", section=ACT, help="Start workers: sets desired_state in their specs."),
    "stop": Verb(path="act:stop", section=ACT, help="Stop workers: sets desired_state in their specs."),
    "suspend": Verb(
        path="suspend:suspend", section=ACT, help="Stop workers for a while; their specs stay as they are."
    ),
    "resume": Verb(path="suspend:resume", section=ACT, help="End the suspension of workers: their specs decide again."),
    "restart": Verb(path="act:restart", section=ACT, help="Restart workers once; their specs stay as they are."),
    "batch": Verb(path="batch:batch", section=ACT, help="Start, stop or restart many workers, some at a time."),
    "reconcile": Verb(path="reconcile:reconcile", section=ACT, help="Look at the specs and the processes now."),
    "wait": Verb(path="wait:wait", section=ACT, help="Wait until workers are running, ready, stopped or gone."),
    "create": Verb(
        path="change:create", section=WRITE, help="Create a worker: writes NAME.yaml where the controller reads specs."
    ),
    "apply": Verb(
        path="apply:apply", section=WRITE, help="Create workers, or make their specs as these documents say."
    ),
    "edit": Verb(
        path="edit:edit", section=WRITE, help="Edit a worker's spec in your editor, and write what you changed."
    ),
    "set": Verb(path="change:set_", section=WRITE, help="Change fields of a worker's spec, in place."),
    "scale": Verb(
        path="change:scale", section=WRITE, help="Change how many instances a worker has: sets replicas in its spec."
    ),
    "delete": Verb(
        path="change:delete", section=WRITE, help="Delete workers: takes their specs away, and so stops them."
    ),
    "init": Verb(
        path="init:init", section=SPECS, help="Write a first spec, DIR/NAME.yaml, commented, and valid as it stands."
    ),
    "validate": Verb(path="validate:validate", section=SPECS, help="Check a directory of specs, without a controller."),
    "explain": Verb(
        path="explain:explain",
        section=SPECS,
        help="Explain a field of specs: its type, default, meaning, and what changing it does.",
    ),
    "render": Verb(
        path="render:render",
        section=SPECS,
        help="Show what would be executed for one worker: Defaults merged, texts expanded, per instance.",
    ),
    "fmt": Verb(
        path="fmt:fmt",
        section=SPECS,
        help="Put the white space of specs in order: line ends, trailing blanks, indentation.",
    ),
    "schema": Verb(path="schema:schema", section=SPECS, help="Print the JSON Schema of specs, for editors."),
    "doctor": Verb(path="doctor:doctor", section=CHECK, help="Check this host, the state directory, the controller."),
    "db": Verb(path="db:db", section=CHECK, help="Look at the database, copy it, check it."),
    "serve": Verb(path="serve:serve", section=SERVER, help="Run the controller on a directory of specs."),
    "token": Verb(path="token:token", section=SERVER, help="Create, list and revoke tokens for the API."),
    "config": Verb(path="config:config", section=SERVER, help="Name controllers, and choose the one that is asked."),
    "login": Verb(path="login:login", section=SERVER, help="Keep the token of a controller, after trying it."),
    "completion": Verb(
        path="completion:completion", section=SERVER, help="Print the script that lets a shell complete commands."
    ),
    "version": Verb(path="version:version", section=SERVER, help="Show the version."),
    "help": Verb(path="topics:topics", section=SERVER, help="Show the documentation, by topic."),
}


class LazyGroup(click.Group):
    """A group over `VERBS`. Ctrl-C inside a verb ends with 130 and without a word."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs, in the table's order."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return one verb, or None where there is no such."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        module, attribute = verb.path.split(":")
        command = getattr(importlib.import_module(f"controller.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with near names where there is no such command."""
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            raise click.UsageError(f'there is no command "{name}".{did_you_mean(name, list(VERBS))}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The overview, by section, from the table alone: nothing is imported for it."""
        for section in (SEE, ACT, WRITE, SPECS, CHECK, SERVER):
            with formatter.section(section):
                formatter.write_dl([(name, verb.help) for name, verb in VERBS.items() if verb.section == section])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs from the table, so that nothing is imported for it, and our own options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only for completion

        verbs = [CompletionItem(name, help=verb.help) for name, verb in VERBS.items() if name.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(Exit.INTERRUPTED)
        except OSError as error:
            # Of a file, or of the controller itself, it is told with its name, or is a fault of ours.
            if error.errno not in _NO_ROOM or error.filename is not None or ctx.invoked_subcommand == "serve":
                raise
            raise CliError(f"Cannot write the output: {error.strerror}", Exit.FAILED) from None


def near(name: str, known: Sequence[str]) -> str:
    """The known name most like `name`, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake, never on the fast path

    matches = get_close_matches(name, known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """` Did you mean "web"?`, or nothing."""
    found = near(name, known)
    return f' Did you mean "{found}"?' if found else ""
