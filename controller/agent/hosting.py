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

_CGROUP = "cgroup"


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

    @property
    def errand_fields(self) -> dict[str, Any]:
        """Those of a hook or a probe: no part of the worker's cgroup, because ending it must not end the worker."""
        return {name: value for name, value in self.order_fields.items() if name != _CGROUP}


class Host:
    """One per agent. Without a limiter nothing is limited and nothing is proven."""

    def __init__(self, limiter: Optional[Limiter]) -> None:
        self._limiter = limiter

    def enforceable(self) -> list[str]:
        """The names of the limits that hold here."""
        return [] if self._limiter is None else self._limiter.enforceable()

    def has_died_of_oom(self, slot: str) -> bool:
        """Whether the kernel has killed for memory in the slot's cgroup since its run began."""
        return self._limiter is not None and self._limiter.ended(slot)

    def forget(self, slot: str) -> None:
        """The slot is gone."""
        if self._limiter is not None:
            self._limiter.forget(slot)

    def place(self, slot: str, launch: Mapping[str, Any]) -> Place:
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
        if self._limiter is not None:
            try:
                fields.update(self._limiter.order_fields(slot, launch))
            except OSError as error:
                raise HostError(f"Cannot set its limits: {error}", transient=True) from None
        try:
            secrets = read_files(launch.get("secret_files") or {})
        except SecretError as error:
            raise HostError(str(error)) from None
        return Place(fields, environment, secrets, uid)
