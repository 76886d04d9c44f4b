"""Ports: which workers ask for the same one on one host.

Called by the sources over all accepted specs (an overlap is a problem of every spec that takes part in it).
Worker `web` with `port: 4001` and three replicas asks for 4001 to 4003.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.core.problems import Fault
from controller.core.spec import WorkerSpec


def overlapping_ports(specs: Iterable[WorkerSpec]) -> Mapping[str, Fault]:
    """A fault for each worker whose range of ports meets another one's on the same host, by worker_id, sorted.

    It names one of those it meets. A worker without replicas asks for nothing; a stopped one does, because it may be
    started at any time.
    """
    asking = [spec for spec in specs if spec.port is not None and spec.replicas > 0]
    found: dict[str, Fault] = {}
    furthest: WorkerSpec | None = None
    for spec in sorted(asking, key=lambda spec: (spec.host, spec.port, spec.worker_id)):
        if furthest is None or furthest.host != spec.host or _last(furthest) < _first(spec):
            furthest = spec
            continue
        # Sorted by first port, the range that reaches furthest meets everything that meets any range before it.
        found.setdefault(furthest.worker_id, _fault(furthest, spec))
        found.setdefault(spec.worker_id, _fault(spec, furthest))
        if _last(spec) > _last(furthest):
            furthest = spec
    return dict(sorted(found.items()))


def _first(spec: WorkerSpec) -> int:
    return spec.port or 0


def _last(spec: WorkerSpec) -> int:
    return _first(spec) + spec.replicas - 1


def _range(spec: WorkerSpec) -> str:
    return f"port {_first(spec)}" if spec.replicas == 1 else f"ports {_first(spec)} to {_last(spec)}"


def _fault(spec: WorkerSpec, other: WorkerSpec) -> Fault:
    return Fault(
        pointer="/port",
        message=f"{_range(spec)} on {spec.host} overlap{'s' if spec.replicas == 1 else ''} with {other.worker_id}, "
        f"which asks for {_range(other)}",
        hint="instance n gets port + n",
    )
