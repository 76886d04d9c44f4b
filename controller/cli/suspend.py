"""`workerctl suspend NAME... --for 30m` and `workerctl resume NAME...`: stopped for a while, and no longer.

Nothing is written into a spec: the controller keeps such a wish beside it, with who asked, why, and until when. So both
work where specs are read-only or broken, and a suspended worker starts again by itself. How they are asked for and told
is act.py's.
"""

from __future__ import annotations

import click

from controller.cli.act import Wish, act, acting_options
from controller.cli.common import examples
from controller.cli.human import parse_duration

LEAST_S, MOST_S = 1.0, 365 * 86_400.0


def _length(_ctx: click.Context, _parameter: click.Parameter, text: str) -> float:
    seconds = parse_duration(text)
    if seconds is None:
        raise click.BadParameter(f'"{text}": expected a duration, as in 30s, 10m or 1h30m')
    if not LEAST_S <= seconds <= MOST_S:
        raise click.BadParameter(f'"{text}": expected 1s to 365d')
    return seconds


@click.command(
    epilog=examples(
        ("workerctl suspend web --for 30m", "it starts again by itself"),
        ('workerctl suspend web db --for 2h --reason "moving disks"', "the reason is shown as long as it lasts"),
        ("workerctl suspend web --for 1h --wait 30", "and wait until it is stopped, at most 30 s"),
        ("workerctl resume web", "end it earlier"),
    )
)
@click.option(
    "--for", "for_s", required=True, metavar="T", callback=_length, help="How long: 30s, 10m, 1h30m, 2d; 365d at most."
)
@acting_options
def suspend(names: tuple[str, ...], reason: str | None, wait_s: float | None, for_s: float) -> None:
    """Stop workers for a while; their specs stay as they are.

    When the time is over, their specs decide again: what they want running is started. It lasts over restarts of the
    controller and whatever is done to the clock. Works where specs are read-only, or broken.
    """
    act(Wish(verb="suspend", action="stop", reason=reason, wait_s=wait_s, for_s=for_s), names)


@click.command(
    epilog=examples(
        ("workerctl resume web", "let its spec decide again"),
        ("workerctl resume web db --wait 30", "and wait for what follows from it, at most 30 s"),
    )
)
@acting_options
def resume(names: tuple[str, ...], reason: str | None, wait_s: float | None) -> None:
    """End the suspension of workers: their specs decide again.

    Leaves with 6 for a worker that nobody keeps stopped.
    """
    act(Wish(verb="resume", action="resume", reason=reason, wait_s=wait_s), names)
