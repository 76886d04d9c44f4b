"""Carries a plan out. It decides nothing: each action becomes one order, in the plan's order, grouped by host.

The outcome is a value; an order that was not carried over changes nothing here, the next turn plans anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from controller.agent.failpoints import failpoint
from controller.backends.base import Answer, Backend, SlotOrder, Unavailable
from controller.core.desired import Desired
from controller.core.plan import Action, ActionKind
from controller.core.spec import explicit_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one action: `error` is empty, `refused`, `stale`, `unavailable`, or another word of the host."""

    action: Action
    error: str = ""
    message: str = ""


class Executor:
    """Knows the back ends by host name."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends

    async def execute(self, actions: Sequence[Action], desired: Desired) -> list[Outcome]:
        """One call per host and kind of order, all of a kind together. Raises Superseded."""
        outcomes: list[Outcome] = []
        for (host, removing), group in groupby(actions, key=lambda a: (a.host, a.kind is ActionKind.REMOVE)):
            batch = list(group)
            failpoint("controller.before_order")
            try:
                answers = await self._send(host, batch, desired, removing=removing)
            except Unavailable as error:
                outcomes += [Outcome(action=action, error="unavailable", message=str(error)) for action in batch]
                continue
            failpoint("controller.after_order")
            told = {answer.instance: answer for answer in answers}
            outcomes += [_outcome(action, told.get(action.instance)) for action in batch]
        return outcomes

    async def _send(
        self, host: str, actions: Sequence[Action], desired: Desired, *, removing: bool
    ) -> Sequence[Answer]:
        backend = self._backends[host]
        if removing:
            return await backend.remove({action.instance: action.generation for action in actions})
        return await backend.apply([_order(action, desired) for action in actions])


def _order(action: Action, desired: Desired) -> SlotOrder:
    worker = desired.workers[action.worker_id]
    instance = worker.instances[action.ordinal]
    return SlotOrder(
        instance=action.instance,
        generation=action.generation,
        revision=instance.revision,
        digest=instance.digest,
        run_request=action.run_request,
        wanted=action.wanted,
        launch=instance.launch,
        fields=explicit_fields(worker.spec),
        secrets=instance.secrets,
        at_once=action.at_once,
    )


def _outcome(action: Action, answer: Answer | None) -> Outcome:
    if answer is None:
        return Outcome(action=action, error="unavailable", message="the host did not answer for this slot")
    return Outcome(action=action, error=answer.error, message=answer.message)
