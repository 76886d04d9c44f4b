"""Accidents: an error of ours while one file or document is read is a problem of that one, and ends nothing else.

Called where files are parsed, documents judged and workers built. The traceback is in the log, a person's answer says
where to look. What is checked across files has no file to blame: that ends the scan, which reconcile/specs.py tells.
"""

from __future__ import annotations

import logging

from controller.core.problems import Problem

log = logging.getLogger("workerctl.specs")


def accident(error: Exception, file: str, *, line: int | None = None, worker_id: str | None = None) -> Problem:
    """The problem that stands for an exception which nobody expected. Called while it is handled."""
    log.error("internal error: a spec could not be read", exc_info=error, extra={"fields": {"file": file}})
    return Problem(
        file=file,
        line=line,
        message=f"internal error while reading it ({type(error).__name__})",
        hint="a fault of workerctl, not of the file: the log has the details; what it said before goes on",
        worker_id=worker_id,
        code="internal",
    )
