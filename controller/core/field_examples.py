"""One example per field of a spec: what a person would write. Shown by `workerctl explain`.

A field within a group is shown within it; its value stands here once, also for the three probes and the four hooks. A
test holds that each field has one, and that a spec with it is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "worker_id": "mailer",
        "kind": "Defaults",
        "name": "Mail sender",
        "description": "Sends what the queue holds. Ask the growth team.",
        "labels": "{team: growth, tier: back}",
        "deployment_type": "local",
        "host": "localhost",
        "command": '[python3, -m, mailer, --shard, "${ordinal}"]',
        "working_dir": "/srv/mailer",
        "env": '{QUEUE: mail, BATCH: "10"}',
        "env_files": "[mailer.env]",
        "secrets": "{SMTP_PASSWORD: {file: /run/secrets/smtp}}",
        "secrets.NAME.file": "/run/secrets/smtp",
        "secrets.NAME.env": "SMTP_PASSWORD",
        "user": "mailer",
        "group": "mail",
        "umask": '"027"',
        "port": "4001",
        "max_accounts": "50",
        "replicas": "3",
        "auto_start": "false",
        "desired_state": "stopped",
        "auto_restart": "on_failure",
        "max_restart_attempts": "10",
        "restart_delay_ms": "1000",
        "restart_backoff": "{factor: 2, max_delay_ms: 60000, jitter: 0.1}",
        "restart_backoff.factor": "1.5",
        "restart_backoff.max_delay_ms": "30000",
        "restart_backoff.jitter": "0.2",
        "restart_window_ms": "3600000",
        "start_grace_ms": "5000",
        "success_exit_codes": "[0, 143]",
        "stop": "{signal: TERM, grace_ms: 20000}",
        "stop.signal": "INT",
        "stop.grace_ms": "20000",
        "stop.kill": "main",
        "startup": "{log_line: 'listening on \\d+', period_ms: 1000, failures: 60}",
        "readiness": "{http: {path: /ready, port: 4001}, period_ms: 5000}",
        "liveness": "{exec: [./alive.sh], period_ms: 30000}",
        "PROBE.http": "{path: /ready, port: 4001}",
        "PROBE.http.path": "/ready",
        "PROBE.http.port": "4001",
        "PROBE.http.status": "[200, 299]",
        "PROBE.tcp": "{port: 4001}",
        "PROBE.tcp.port": "4001",
        "PROBE.exec": "[./check.sh]",
        "PROBE.log_line": "'listening on \\d+'",
        "PROBE.heartbeat": "{timeout_ms: 60000}",
        "PROBE.heartbeat.timeout_ms": "60000",
        "PROBE.period_ms": "5000",
        "PROBE.timeout_ms": "1000",
        "PROBE.failures": "5",
        "PROBE.successes": "2",
        "hooks": "{pre_start: {exec: [./migrate, --all]}}",
        "HOOK": "{exec: [./migrate, --all], timeout_ms: 60000}",
        "HOOK.exec": "[./migrate, --all]",
        "HOOK.timeout_ms": "60000",
        "limits": "{nofile: 4096, memory_bytes: 536870912}",
        "limits.memory_bytes": "536870912",
        "limits.cpu": "1.5",
        "limits.nofile": "4096",
        "limits.pids": "200",
        "limits.nice": "5",
        "limits.enforce": "best_effort",
        "depends_on": "{database: ready, cache: started}",
        "logs": "{max_bytes: 104857600, archives: 3}",
        "logs.max_bytes": "104857600",
        "logs.archives": "3",
        "logs.store_rate": "500",
        "logs.retain_days": "30",
        "logs.retain_lines": "100000",
        "logs.retain_bytes": "104857600",
        "logs.capture": "file",
    }
)

_WITH: Mapping[str, str] = MappingProxyType(
    {
        "PROBE.http.path": "port: 4001",
        "PROBE.http.status": "port: 4001",
        "PROBE.period_ms": "tcp: {port: 4001}",
        "PROBE.timeout_ms": "tcp: {port: 4001}",
        "PROBE.failures": "tcp: {port: 4001}",
        "PROBE.successes": "tcp: {port: 4001}",
        "HOOK.timeout_ms": "exec: [./migrate]",
        "limits.enforce": "memory_bytes: 536870912",
    }
)
"""What must stand beside a field for it to mean something."""

_PROBES = frozenset({"startup", "readiness", "liveness"})
_NAMES: Mapping[str, str] = MappingProxyType({"secrets.NAME": "SMTP_PASSWORD"})


def example_of(path: str) -> str:
    """`stop: {grace_ms: 20000}` for `stop.grace_ms`; empty for a field that has none (one not yet supported)."""
    key = _key(path)
    value = _EXAMPLES.get(path) or _EXAMPLES.get(key)
    if value is None:
        return ""
    *groups, name = path.split(".")
    text = ", ".join(part for part in (_WITH.get(key, ""), f"{name}: {value}") if part)
    for depth in range(len(groups), 0, -1):
        group = ".".join(groups[:depth])
        text = f"{_NAMES.get(group, groups[depth - 1])}: {{{text}}}"
    return text


def _key(path: str) -> str:
    """The path in the table: the probes share their fields, and so do the hooks."""
    first, _, rest = path.partition(".")
    if first in _PROBES and rest:
        return f"PROBE.{rest}"
    if first == "hooks" and rest:
        return ".".join(["HOOK", *rest.split(".")[1:]])
    return path
