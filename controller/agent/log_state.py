"""What is known of one log file, and why bytes of it may be missing. Data only; used by the other log files.

Physical positions are those in the file; `base + physical` is an offset, which only grows. When the file is cut off by
its writer or lost, `base` moves past the old end. It moves one byte further than that: what was written and went
between two of our looks cannot be counted, so each cut is a gap, also for a reader who had read all that we knew of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from .log_files import Inode, Key
from .log_index import TimeIndex

OVER_CAP = "over the cap"
TRUNCATED = "truncated by the writer; what it wrote just before may be missing too"
DELETED = "the file was deleted or replaced, and no process has it open"
DISK_FULL = "given up for a full disk"


@dataclass
class LogState:
    """One file. `size` and `head` (end of the punched part) are physical; `stored` is an offset.

    `head_why` and `base_why` say why the bytes below are not there. `tail` are the last bytes below `size`: what stands
    there when the file has grown shows whether it is still the same output; `doubted_at` when that was first in doubt
    (monotonic seconds, as `sought_at`). `held` is a descriptor of a file that
    has lost its name. `archive` is the name of the compressed file that it has become; empty while it is none.
    """

    key: Key
    changed: float
    size: int = 0
    head: int = 0
    base: int = 0
    stored: int = 0
    head_why: str = OVER_CAP
    base_why: str = TRUNCATED
    has_ended: bool = False
    gone_at: Optional[float] = None
    archive: str = ""
    inode: Optional[Inode] = None
    tail: bytes = b""
    held: Optional[int] = None
    doubted_at: Optional[float] = None
    sought_at: float = float("-inf")
    is_lost: bool = False
    index: TimeIndex = field(default_factory=TimeIndex)

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.base + self.size

    @property
    def is_stored(self) -> bool:
        """Whether nothing of it is missing elsewhere."""
        return self.stored >= self.end
