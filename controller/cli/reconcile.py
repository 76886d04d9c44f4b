"""`workerctl reconcile`: look now; with --confirm, let happen what a guard holds back."""

from __future__ import annotations

import click

from controller.cli.common import client, echo_lines, examples, server_option
from controller.cli.errors import CliError, Exit, from_problem
from controller.cli.human import count
from controller.cli.plan import hold_line
from controller.cli.terminal import neutralise, terminal


@click.command(
    epilog=examples(
        ("workerctl reconcile", "read the specs and look at the processes now"),
        ("workerctl reconcile --confirm 3f9a1c", "let a large change happen; the digest is in `workerctl plan`"),
    )
)
@click.option("--confirm", metavar="DIGEST", help="Let the change happen that is held back under this digest.")
@server_option
def reconcile(confirm: str | None) -> None:
    """Look at the specs and the processes now.

    The controller does this by itself whenever something changes, and every 30 seconds. Leaves with 10 when a guard
    holds a change back that somebody must confirm.
    """
    api = client()
    answer = api.ask("POST", "/api/v1/reconcile", body=None if confirm is None else {"confirm": confirm})
    if answer.status >= 400:
        error = from_problem(answer.status, answer.document, doing="reconcile")
        if error.exit_code == Exit.CONFLICT and confirm and not error.hints:
            error.hints = ("`workerctl plan` shows what is held back now, and its digest",)
        raise error
    detail = neutralise(str(answer.document.get("detail") or ""))
    click.echo(detail or (f"confirmed {confirm}; looking now" if confirm else "looking now"))
    if confirm is None:
        guarded = [
            hold for hold in api.get("/api/v1/plan", doing="get the plan").get("holds") or () if hold.get("confirm")
        ]
        if guarded:
            echo_lines(hold_line(hold, terminal()) for hold in guarded)
            raise CliError(
                f"{count(len(guarded), 'change')} held back until somebody confirms",
                Exit.REFUSED,
                hints=[
                    f"workerctl reconcile --confirm {digest}" for digest in dict.fromkeys(h["confirm"] for h in guarded)
                ],
            )
