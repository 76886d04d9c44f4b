"""The agent's few facts about itself: whose it is, who may command (epoch), its boot and form, and whether all stops.

One small file each under STATE/agent, written through the Flusher. A command counts when its mark is durable.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Optional

from .build import FORM
from .flusher import Flusher


class Marks:
    """Read once at start, then kept in memory and written on change."""

    def __init__(self, folder: str, boot_id: str, flusher: Flusher) -> None:
        self._folder = folder
        self._flusher = flusher
        self.boot_id = boot_id
        self.realm = self._read("realm")
        epoch = self._read("epoch")
        self.epoch = int(epoch) if epoch.isdigit() else 0
        self.former_boot = self._read("boot")
        self.was_rebooted = self.former_boot not in ("", boot_id)
        if self.former_boot != boot_id:
            flusher.replace(f"{folder}/boot", boot_id.encode())
        if self._read("form") != str(FORM):
            flusher.replace(f"{folder}/form", str(FORM).encode())
        self._was_lost = False
        self.is_adjourned = os.path.exists(f"{folder}/adjourned")
        self._adjourned = self._read("adjourned").encode()

    def adjourned_until(self, now: float) -> Optional[float]:
        """The deadline (mono) by which everything is to have stopped; None when nothing is adjourned."""
        if not self.is_adjourned:
            return None
        with contextlib.suppress(ValueError, KeyError, TypeError):
            value: dict[str, Any] = json.loads(self._read("adjourned"))
            if value["boot_id"] == self.boot_id:
                return float(value["deadline"])
        return now

    def write_again(self) -> None:
        """Everything, after the folder was lost."""
        self._was_lost = not os.path.exists(f"{self._folder}/realm")
        self._flusher.replace(f"{self._folder}/boot", self.boot_id.encode())
        self._flusher.replace(f"{self._folder}/epoch", str(self.epoch).encode())
        self._flusher.replace(f"{self._folder}/form", str(FORM).encode())
        if self.realm:
            self._flusher.replace(f"{self._folder}/realm", self.realm.encode())
        if self._adjourned:
            self._flusher.replace(f"{self._folder}/adjourned", self._adjourned)

    def may_join(self, realm: str) -> bool:
        """Whether a controller of this realm is ours to obey: the first one is, or the first after our folder was lost.

        For the controller's own name may have been lost with it, and nobody else comes to this socket.
        """
        is_open = not self.realm or self._was_lost or not os.path.exists(f"{self._folder}/realm")
        return is_open or self.realm == realm

    def set_realm(self, realm: str) -> None:
        """This realm is ours from now on."""
        self.realm, self._was_lost = realm, False
        self._flusher.replace(f"{self._folder}/realm", realm.encode())

    def next_epoch(self) -> int:
        """A controller claims: older ones are refused from now on."""
        self.epoch += 1
        self._flusher.replace(f"{self._folder}/epoch", str(self.epoch).encode())
        return self.epoch

    def resume(self) -> None:
        """Nothing is adjourned any more."""
        self.is_adjourned, self._adjourned = False, b""
        self._flusher.remove(f"{self._folder}/adjourned")

    def adjourn(self, deadline: float) -> None:
        """Nothing starts until the next claim."""
        self.is_adjourned = True
        self._adjourned = json.dumps({"boot_id": self.boot_id, "deadline": deadline}).encode()
        self._flusher.replace(f"{self._folder}/adjourned", self._adjourned)

    def _read(self, name: str) -> str:
        try:
            with open(f"{self._folder}/{name}", encoding="utf-8") as file:
                return file.read(1024).strip()
        except (OSError, UnicodeDecodeError):
            return ""
