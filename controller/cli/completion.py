"""`workerctl completion SHELL`: the script that lets a shell complete verbs, options and names of workers."""

from __future__ import annotations

import click

from controller.cli.common import examples

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=examples(
        ('eval "$(workerctl completion bash)"', "in ~/.bashrc"),
        ('eval "$(workerctl completion zsh)"', "in ~/.zshrc, after compinit"),
        ("workerctl completion fish >~/.config/fish/completions/workerctl.fish", "once"),
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete commands.

    Names of workers come from the controller; where none answers within a second, none are offered.
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    ctx = click.get_current_context()
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "workerctl", "_WORKERCTL_COMPLETE").source()
    click.echo(script)
