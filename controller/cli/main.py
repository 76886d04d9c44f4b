"""The root of the command tree: global options, examples, and the way out. The verbs are in lazy.py's table."""

from __future__ import annotations

import click

from controller.cli.common import EXAMPLES_MARK, remember_token_file, server_option
from controller.cli.lazy import LazyGroup


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from controller.cli.version import package_version  # noqa: PLC0415 - importlib.metadata is slow and rarely needed

    click.echo(f"workerctl {package_version()}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""{EXAMPLES_MARK}
  workerctl serve specs           run the controller on ./specs
  workerctl get -w                watch all workers
  workerctl describe web          why is it not running, and what comes next
  workerctl logs web -f           follow its output
  workerctl help exit-codes       more, by topic: workerctl help
""",
)
@server_option
@click.option(
    "--token-file",
    metavar="FILE",
    expose_value=False,
    callback=remember_token_file,
    help="The token is in it.  [default: WORKERCTL_TOKEN, then WORKERCTL_TOKEN_FILE]",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and leave.",
)
def root() -> None:
    """Run workers from YAML specs, and keep them as the specs say.

    A controller (`workerctl serve`) watches a directory of specs and makes processes match it. The other verbs ask a
    running controller, or check things without one.
    """
