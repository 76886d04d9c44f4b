"""`workerctl serve`: the flags of the controller, nothing more. `controller.config` judges them, `controller.app` runs.

Every flag's default is None here, so that the environment and the settings file can say what no flag says.
"""

from __future__ import annotations

import gc
import os
from typing import Any

import click

from controller.cli.common import examples
from controller.first_process import leave_first_place


@click.command(
    epilog=examples(
        ("workerctl serve", "run the specs in ./specs"),
        ("workerctl serve /srv/specs --on-exit keep", "workers go on when the controller ends"),
        ("workerctl serve specs --listen unix:/run/workerctl/api.sock", "no TCP port"),
        ("workerctl serve specs --listen 0.0.0.0:3000 --tls-cert c.pem --tls-key k.pem", "for others, by token"),
        ("WORKERCTL_LOG_FORMAT=json workerctl serve", "every flag also as a variable"),
    )
)
@click.argument("specs", required=False, type=click.Path())
@click.option("--state-dir", metavar="DIR", help="Where we keep what must survive.  [default: /var/lib/workerctl, XDG]")
@click.option(
    "--db",
    metavar="URL",
    help="The database: a file, or postgresql://USER@HOST/NAME.  [default: STATE_DIR/workerctl.db]",
)
@click.option("--listen", metavar="HOST:PORT|unix:PATH", help="Where the API listens.  [default: 127.0.0.1:3000]")
@click.option(
    "--on-exit",
    type=click.Choice(["stop", "keep"]),
    help="What becomes of the workers when we are told to end.  [default: stop]",
)
@click.option(
    "--stop-timeout",
    type=click.FloatRange(0, 86_400),
    metavar="S",
    help="How long stopping them all may take.  [default: 90]",
)
@click.option("--allow-env", metavar="N,...", help="Variables that specs may read as ${env.N}.")
@click.option("--allowed-host", metavar="N,...", help="Further names that a Host header may give this server.")
@click.option(
    "--auth",
    type=click.Choice(["peer", "required"]),
    help="peer: our own user and root need no token, over loopback. required: everybody needs one.  [default: peer]",
)
@click.option("--tls-cert", metavar="FILE", help="The certificate with its chain, PEM. Taken up again when it changes.")
@click.option("--tls-key", metavar="FILE", help="Its key, PEM, without a password.")
@click.option(
    "--insecure-http",
    is_flag=True,
    default=None,
    help="Listen without TLS where others can reach it. Tokens are sent in the clear then.",
)
@click.option(
    "--writes",
    type=click.Choice(["file", "commit", "push", "readonly"]),
    help="How the API writes specs: the file only, with a git commit, pushed too, or not.  [default: file]",
)
@click.option(
    "--forward",
    metavar="URL,...",
    help="Send log lines on: loki+http://HOST:3100, otlp+http://HOST:4318, syslog+tcp://HOST:601; see operations.",
)
@click.option("--retain-days", metavar="N", help="No log line stays longer in the database.  [default: as specs say]")
@click.option(
    "--retain-lines", metavar="N", help="Log lines in the database, of all workers together.  [default: none, no limit]"
)
@click.option(
    "--retain-bytes", metavar="N", help="Bytes of them, all together, or none.  [default: 4294967296; see operations]"
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="The format of our own log.  [default: text]")
def serve(**flags: Any) -> None:
    """Run the controller on a directory of specs.

    SPECS is the directory, ./specs unless given. It is watched: a changed file is a changed worker about a second
    later. SIGTERM or Ctrl-C stops all workers gracefully and ends; a second one kills them at once.
    """
    leave_first_place()
    gc.disable()
    from controller.app import serve as run  # noqa: PLC0415 - the whole server; no other verb may pay for it
    from controller.config import ConfigError, load  # noqa: PLC0415 - the same

    # What imports make stays: looking for garbage in it is a tenth of a start, and later a part of each collection.
    gc.freeze()
    gc.enable()

    try:
        settings = load(flags, os.environ)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    raise SystemExit(run(settings))
