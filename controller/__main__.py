"""The entry point: `workerctl` and `python -m controller`.

It imports nothing but the command tree; each verb brings its own modules when it is used. Ctrl-C at any moment,
also while Python is still importing, ends quietly with 130.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from controller.cli.main import root  # noqa: PLC0415 - inside the guard, so that Ctrl-C is quiet from the start

        root(prog_name="workerctl")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
