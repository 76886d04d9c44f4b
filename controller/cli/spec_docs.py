"""The page about specs, made from the models themselves: `python -m controller.cli.spec_docs > .../docs/specs.md`.

Fields, types, defaults, meanings and effects come from `core.fields`, the names of `${...}` from `core.expansion`; so
none of them can be forgotten here, and a test makes the page again and compares.
What those cannot tell (how files, Defaults and environments work) stands in the texts below.

What does not belong here: messages about wrong specs (docs/error-messages.md), how a plan is carried out
(docs/how-it-works.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from controller.core.expansion import NAMES
from controller.core.fields import GROUP, Field, find, whole_spec
from controller.core.spec import KINDS_NOT_YET, NOT_YET
from controller.core.spec_processes import PROBES

_PREFACE = """\
# Specs: what a worker file may say

Every field with its type, default, meaning, and what changing it does to a running worker.

```yaml
worker_id: mailer
name: Mail sender
labels: {team: growth}
command: [python3, mailer.py, --shard, "${ordinal}"]
env: {QUEUE: mail}
port: 4001                       # mailer/0 gets 4001, mailer/1 gets 4002
replicas: 2
restart_delay_ms: 1000
stop: {signal: TERM, grace_ms: 20000}
```

`workerctl validate DIR` checks a directory without a controller. What its messages mean: `workerctl help
error-messages`.
"""

_FILES = """\
## Files

- Every `*.yaml` and `*.yml` below the specs directory is read, in subdirectories too. Names that begin with `.` or
  `#`, or end with `~` or `#`, are not.
- A file may hold several documents, separated by `---`. The `worker_id` is the identity: it stands in one place only,
  and renaming a file restarts nothing. A file that moves to another directory changes the default `working_dir`; that
  is used from the next start on.
- The specs directory may be a symbolic link. Links inside it are followed to targets inside it.
- A file that was changed counts once it has been left alone for 200 ms.
- The YAML is read strictly: YAML 1.2 (`yes`, `no`, `on`, `off` are texts, `true` and `false` are not), no duplicate
  keys, no unknown fields, no numbers with a leading zero, no tags. UTF-8, at most 1 MiB per file.
- Values have one type: `"3"` is a text and no number, so the values of `env` and `labels` need quotes when they look
  like a number or a boolean.
"""

_EFFECTS = """\
## What a change does

| Effect | A change of the field |
|---|---|
| restart | replaces the process, one instance at a time: the old one is asked to end, the new one is \
started. The field is part of the *revision* that `get -o wide` shows. |
| in place | counts from the next decision on (the next crash, the next stop). The process is not touched. |
| none | touches no process. `replicas` adds or removes instances at the end and leaves the others alone; \
`desired_state` starts or stops. |

A revision covers what stands in the file (and its Defaults and env files), not the defaults of this page: a new
version of `workerctl` with another default restarts nothing. Writing a default out is a change like any other.
"""

_UNITS = """\
Units stand in the names: `_ms` milliseconds, `_days` days, `_bytes` bytes. A group such as `stop` is written as
`stop: {grace_ms: 5000}` or as an indented block.
"""

_PROBES = """\
## Probes

`startup`, `readiness` and `liveness` are written alike, with exactly one of `http`, `tcp`, `exec` and `log_line`;
`liveness` also knows `heartbeat`, alone:

```yaml
worker_id: web
command: [python3, web.py]
port: 8080
startup: {log_line: "listening on"}
readiness: {http: {path: /ready}, period_ms: 5000}
liveness: {tcp: {}, period_ms: 30000, failures: 5}
```

What each of them decides: `workerctl help processes`.

"""

_HOOKS = """\
## Hooks

`hooks.pre_start`, `hooks.post_start`, `hooks.pre_stop` and `hooks.post_stop` are written alike. When each runs:
`workerctl help processes`.

"""

_NOTES = {
    "deployment_type": "Only `local` is supported yet.",
    "host": "Only `localhost` is supported yet.",
    "user": "Another user than that of the agent needs an agent that runs as root.",
    "liveness.heartbeat.timeout_ms": "`liveness` only, and without the numbers of the other checks.",
    "limits.memory_bytes": "Needs a control group.",
    "limits.cpu": "Needs a control group.",
    "limits.pids": "Needs a control group.",
    "logs.capture": "`pipe` is not yet supported.",
    "max_accounts": "Stored and shown; nothing assigns accounts yet.",
    "max_restart_attempts": "A number that the delays alone could never reach within the window is refused.",
    "port": "Overlapping ranges on one host are refused.",
    "auto_start": "See *Running or not* below.",
    "desired_state": "See *Running or not* below.",
    "stop.kill": "With `main`, children that stay behind are left alone.",
}

_RUNNING = """\
## Running or not

| In the file | Means |
|---|---|
| nothing of the kind, or `auto_start: true` | It runs. |
| `desired_state: running` | It runs, whatever `auto_start` says. |
| `desired_state: stopped` | It does not run. |
| `auto_start: false` | It is not started by itself, and not stopped either: `workerctl start` writes \
`desired_state: running`. |

`workerctl start NAME` and `workerctl stop NAME` set `desired_state` in the file and leave every other byte alone.
`workerctl restart NAME` changes no file, nor does `workerctl suspend NAME --for 30m`: stopped until then, or until
`workerctl resume NAME`.
"""

_RESTARTS = """\
## After an exit

A clean exit is one with a code in `success_exit_codes`. Everything else that was not asked for is a crash.

| `auto_restart` | After a crash | After a clean exit |
|---|---|---|
| `true`, `on_failure` | started again | stays, `stopped`, with the condition Completed |
| `always` | started again | started again |
| `false`, `never` | stays, in `error` | stays, `stopped`, with the condition Completed |

The first delay is `restart_delay_ms`; each further one is `factor` times the one before, up to `max_delay_ms`, and up
to a tenth longer by chance (`jitter`). A run that lived at least as long as the last delay (and `start_grace_ms`)
starts the series anew. Every restart after a crash counts within `restart_window_ms`; when `max_restart_attempts`
are used up the instance is in `error` until an edit, a start or a restart. Restarts that a person asks for do not
count.
"""

_EXPANSION = """\
## Expansion

In every element of `command` and of `exec` (of probes and hooks), in `working_dir`, `user`, `group`, in the values of
`env`, in the files of `secrets` and in the `path` of an `http` probe:

| Write | Get |
|---|---|
"""

_EXPANSION_RULES = """\
| `${env.NAME}` | the variable NAME of the controller, where `serve --allow-env NAME` allows it |
| `${env.NAME:-default}` | the same, and `default` where NAME is not set or empty |
| `$$` | one dollar sign |

A `$` before anything but `{` or `$` stays as it is, so `$HOME` in a string command is the shell's. Every other
`${...}` is an error, never an empty text. Expressions do not nest. Expansion is not part of the revision: another
value of an allowed variable is used from the next start on and restarts nothing.
"""

_MEANINGS = {
    "worker_id": "the worker's id",
    "ordinal": "the number of the instance, from 0",
    "instance": "`worker_id/ordinal`, as in `mailer/0`",
    "host": "the host, `localhost`",
    "port": "the instance's port; an error where the spec has no `port`",
    "cpu_count": "the number of processors of the host",
}

_DEFAULTS = """\
## Defaults

A document of `kind: Defaults` lies under every worker of its directory and of all directories below. It has the
fields of a worker, but no `worker_id`.

```yaml
kind: Defaults
labels: {team: growth}
restart_delay_ms: 1000
env: {LOG_LEVEL: info}
```

The worker's own fields win over Defaults, nearer Defaults over farther ones. Mappings (`labels`, `env`, `stop`, ...)
merge key by key; lists and all else are replaced. One `kind: Defaults` per directory. Broken Defaults keep their last
good content, like any file; when there is none, the workers below cannot be accepted.
"""

_ENVIRONMENT = """\
## The environment of the process

A process never gets the controller's own environment. It gets, later lines winning:

| From | Variables |
|---|---|
| the agent | `PATH` (`/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`), `HOME`, \
`USER`, `LANG` (`C.UTF-8` unless set where the controller was started), `TZ` where it is set there |
| us | `PYTHONUNBUFFERED=1`, so that Python workers print line by line |
| `env_files` | in their order |
| `env` | |
| `secrets` | read at each start |
| us | `WORKER_ID`, `WORKER_INSTANCE` (`mailer/0`), `WORKER_ORDINAL`, `WORKER_REVISION`, \
`WORKER_RUN` (the run's random id), `PORT` where the spec has a port, `WORKERCTL_URL` where the API listens on TCP, \
`WORKERCTL_HEARTBEAT_TOKEN`, `NOTIFY_SOCKET`, and `WATCHDOG_USEC` where `liveness` asks for heartbeats |

`env` cannot set a `WORKER_...` of the last row, nor `PORT` in a spec with a port: validation says so.

An env file holds `NAME=value` lines. Blank lines and lines that begin with `#` are skipped, one pair of quotes around a
value is dropped, nothing is expanded. Its path is relative to the spec file and stays inside the specs directory.
When a value in it changes, the workers that use it are replaced; a changed comment does nothing.

With `user`, `HOME`, `USER` and `LOGNAME` are that user's. Every process leads a session of its own; standard input is
`/dev/null`, output goes to files.
"""

_NOT_YET = """\
## Not yet

These names are reserved. A spec that uses one is refused with `not yet supported`; it is never ignored.

| Field | Comes with |
|---|---|
"""


def page() -> str:
    """The whole page."""
    spec = whole_spec()
    probe, hook = find("liveness", spec), find("hooks.pre_start", spec)
    assert probe is not None
    assert hook is not None
    fields = "\n".join(["| Field | Type | Default | Effect | Meaning |", "|---|---|---|---|---|", *_rows(spec)])
    names = "".join(f"| `${{{name}}}` | {_MEANINGS[name]} |\n" for name in NAMES)
    reserved = {**NOT_YET, "depends_on: completed": "jobs"}
    not_yet = "".join(f"| `{name}` | {part} |\n" for name, part in sorted(reserved.items()))
    kinds = "".join(f"| `kind: {name}` | {part} |\n" for name, part in sorted(KINDS_NOT_YET.items()))
    return "\n".join(
        [
            _PREFACE,
            f"## Fields\n\n{fields}\n\n{_UNITS}",
            _PROBES + _table_of(probe),
            _HOOKS + _table_of(hook),
            _EFFECTS,
            _RUNNING,
            _RESTARTS,
            _EXPANSION + names + _EXPANSION_RULES,
            _DEFAULTS,
            _FILES,
            _ENVIRONMENT,
            _NOT_YET + not_yet + kinds,
        ]
    ).rstrip("\n") + "\n"  # fmt: skip


def _rows(spec: Field) -> Iterator[str]:
    """One row per field. The fields of a group stand under their dotted names, those of probes and hooks apart."""
    for field in spec.fields:
        if field.comes_with:
            continue
        if field.path in PROBES:
            yield _row(field, kind="[probe](#probes)")
        elif field.path == "hooks":
            yield from (_row(hook, kind="[hook](#hooks)") for hook in field.fields)
        elif field.type == GROUP:
            yield from map(_row, field.fields)
        else:
            yield _row(field)
            yield from map(_row, field.fields)


def _row(field: Field, kind: str = "") -> str:
    effect = "in place" if field.effect == "in_place" else field.effect
    return f"| `{field.path}` | {kind or _type(field)} | {_default(field)} | {effect} | {_meaning(field)} |"


def _table_of(group: Field) -> str:
    """The fields of one group, by their names within it."""
    known = [field for field in group.below() if field.type != GROUP and not field.comes_with]
    rows = [
        f"| `{field.path.removeprefix(group.path + '.')}` | {_type(field)} | {_default(field)} | {_meaning(field)} |"
        for field in known
    ]
    return "\n".join(["| Field | Type | Default | Meaning |", "|---|---|---|---|", *rows, ""])


def _meaning(field: Field) -> str:
    return " ".join(part for part in (field.description, _NOTES.get(field.path)) if part)


def _default(field: Field) -> str:
    if field.required:
        return "required"
    return f"`{field.default}`" if field.default not in ("", "{}", "[]") else "none"


def _type(field: Field) -> str:
    """Type and bounds. Patterns, and the bounds of fields of several types, are told in the meaning."""
    words = field.type
    if words.endswith(" or null"):
        first, comma, last = words.removesuffix(" or null").rpartition(", ")
        words = f"{first} or {last}" if comma else last
    if " or " in words:
        return words
    return ", ".join([words, *(bound for bound in field.constraints if not re.search("match|not yet", bound))])


if __name__ == "__main__":
    click.echo(page(), nl=False)
