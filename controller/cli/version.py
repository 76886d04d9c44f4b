"""`workerctl version`: ours, our agent's, Python's, and the platform's."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as metadata_version

import click

from controller.agent import build
from controller.cli.common import echo_json, examples, output_option


def package_version() -> str:
    """The installed version, or `unknown` when run from a copy that was never installed."""
    try:
        return metadata_version("workerctl")
    except PackageNotFoundError:
        return "unknown"


@click.command(epilog=examples(("workerctl version", ""), ("workerctl version -o json", "for scripts")))
@output_option("text", "json", default="text")
def version(output: str) -> None:
    """Show the version.

    `agent` is the build of the agent that this installation brings; `workerctl doctor` says which one runs.
    """
    facts = {
        "version": package_version(),
        "agent": build.fingerprint(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if output == "json":
        echo_json(facts)
    else:
        click.echo(
            f"workerctl {facts['version']}  (agent {facts['agent']}, Python {facts['python']}, {facts['platform']})"
        )
