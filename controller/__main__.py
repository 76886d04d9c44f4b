"""The entry point: `workerctl` and `python -m controller`.

It imports nothing but the command tree; each verb brings its own modules when it is used. Ctrl-C at any moment,
also while Python is still importing, ends quietly with 130. What the terminal's encoding cannot show is escaped: a
worker's name in another script must never end a command.
"""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        from controller.cli.main import root  # noqa: PLC0415 - inside the guard, so that Ctrl-C is quiet from the start

        root(prog_name="workerctl")
    except KeyboardInterrupt:
        sys.exit(130)


def _open_what_is_closed() -> None:
    """A program that is started without standard output or error (`>&-`) has nobody to tell: that is no error."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as we live
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - the same


if __name__ == "__main__":
    main()
