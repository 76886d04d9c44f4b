"""The memory of restarts over a restart of the controller: one small file in the state directory. Blocks.

Called by the desk of figures: read once, and written before a scrape tells of what is new, so that no later scrape has
to tell less. Losing it loses no worker anything: the totals of those that went begin anew then, as after a power cut,
for it is not made durable.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from controller.outlets.tally import Kept, Tally

log = logging.getLogger("workerctl.figures")


class TallyFile:
    """Used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet."""
        self._path = path
        self._written: Kept = {}
        self._is_told = False

    def restore(self, tally: Tally) -> None:
        """Let `tally` go on where it was."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
            kept = {str(name): (int(total), _counts(slots)) for name, (total, slots) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return  # A scrape may begin anew; what is not there is no error.
        self._written = kept
        tally.restore(kept)

    def keep(self, kept: Kept) -> None:
        """Write it, where there is anything new."""
        if kept == self._written:
            return
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(kept), "utf-8")
            temporary.replace(self._path)
        except OSError as error:
            if not self._is_told:
                log.warning("the totals of restarts are not kept: %s", error)
            self._is_told = True
            return
        self._written, self._is_told = kept, False


def _counts(slots: object) -> list[tuple[str, str, int]]:
    return [(str(host), str(instance), int(count)) for host, instance, count in slots]  # type: ignore[attr-defined]  # TypeError
