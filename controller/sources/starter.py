"""The first spec of a person: commented, valid, and running as it stands.

Called by `workerctl init`. Pure: texts only. Every commented field is right when it is uncommented; a test does that.
"""

from __future__ import annotations

SCHEMA_FILE = ".workerctl-schema.json"
"""Beside the specs. The leading dot keeps scans away from it."""

_SPEC = """\
# yaml-language-server: $schema={schema}
#
# A worker: processes that `workerctl serve` keeps running. Save a change, and a second later it is planned and done.
# `workerctl explain` tells all fields, `workerctl explain FIELD` what one means and what changing it does.

worker_id: {name}
# name: A name for people, in any language
# labels: {{team: growth}}

# A list is executed as it stands; a string is run by /bin/sh. Relative paths start in this directory.
command: |
  trap 'echo "asked to end, goodbye"; exit 0' TERM
  n=0
  while :; do
    n=$((n + 1))
    echo "$WORKER_INSTANCE says hello, time $n"
    sleep 10 & wait $!
  done
# working_dir: .
# env: {{QUEUE: mail, BATCH: "10"}}      # values are strings: quote numbers
# port: 4001                           # instance 0 gets 4001, instance 1 gets 4002, as PORT
# replicas: 2

# After a crash: the first try a second later, then later and later, at most 5 times in 10 minutes.
# restart_delay_ms: 1000
# max_restart_attempts: 5
# success_exit_codes: [0]

# Whether it can do its work now; `startup` and `liveness` are written alike. While it is not ready, others may wait.
# readiness: {{http: {{path: /ready}}, period_ms: 5000}}
# depends_on: {{database: ready}}

# Before each start; a failure is a failed start. Also post_start, pre_stop and post_stop.
# hooks: {{pre_start: {{exec: [./migrate, --all]}}}}

# What is around the process. Another user needs a controller that runs as root.
# secrets: {{SMTP_PASSWORD: {{file: /run/secrets/smtp}}}}
# user: mailer
# limits: {{nofile: 4096, memory_bytes: 536870912}}

# To end it: SIGTERM, then up to 10 s, then SIGKILL, for the process and all its children.
# stop: {{signal: TERM, grace_ms: 10000}}
"""


def starter_spec(name: str) -> str:
    """The text of `NAME.yaml`. `name` must be able to name a worker."""
    return _SPEC.format(name=name, schema=SCHEMA_FILE)
