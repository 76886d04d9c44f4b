"""What this host adds to a launch: its user, its limits and what stands in its secret files.

May block on the user database of a network or on a dead file system. Called by orders.py, in a thread where it might.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from .accounts import AccountError, resolve
from .limits import Limiter
from .secret_values import SecretError, read_files


class HostError(Exception):
    """A launch cannot be carried out here. `transient`: only the host is at fault, and only now."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


@dataclass(frozen=True)
class Place:
    """Where a run will live: fields for its order, what its environment begins with, and its user (None: ours)."""

    order_fields: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    uid: Optional[int] = None


class Host:
    """One per agent. Without a limiter no control group limits anything or proves anything.

    An errand (a hook or a probe) has the same user and the same limits per process, but no part of the worker's control
    group: ending it must not end the worker, and the count of kills for memory is the worker's.
    """

    def __init__(self, limiter: Optional[Limiter]) -> None:
        self._limiter = limiter
        self._for_errands = Limiter("")

    def enforceable(self) -> list[str]:
        """The names of the limits that hold here."""
        return [] if self._limiter is None else self._limiter.enforceable()

    def has_died_of_oom(self, slot: str) -> bool:
        """Whether the kernel has killed for memory in the slot's cgroup since its run began."""
        return self._limiter is not None and self._limiter.ended(slot)

    def outlived_oom(self, runs: Mapping[str, str]) -> list[str]:
        """Which of these slots (slot -> run) go on although the kernel killed one of their processes for memory."""
        return [] if self._limiter is None else self._limiter.look(runs)

    def run_group(self, slot: str, run: str) -> Optional[str]:
        """The folder of a run's own control group, where it may have one."""
        return None if self._limiter is None else self._limiter.run_group(slot, run)

    def close(self) -> None:
        """The agent ends."""
        if self._limiter is not None:
            self._limiter.close()

    def forget(self, slot: str) -> None:
        """The slot is gone."""
        if self._limiter is not None:
            self._limiter.forget(slot)

    def place(self, slot: str, launch: Mapping[str, Any], *, is_errand: bool) -> Place:
        """Raises HostError."""
        fields: dict[str, Any] = {}
        environment: dict[str, str] = {}
        uid: Optional[int] = None
        if launch.get("user") or launch.get("group"):
            try:
                account = resolve(launch)
            except AccountError as error:
                raise HostError(str(error)) from None
            fields.update(account.order_fields())
            environment.update(account.environment())
            uid = account.uid
        limiter = self._for_errands if is_errand else self._limiter
        if limiter is not None:
            try:
                fields.update(limiter.order_fields(slot, launch))
            except OSError as error:
                raise HostError(f"Cannot set its limits: {error}", transient=True) from None
        try:
            secrets = read_files(launch.get("secret_files") or {}, uid)
        except SecretError as error:
            raise HostError(str(error)) from None
        return Place(fields, environment, secrets, uid)
