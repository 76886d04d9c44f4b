#!/bin/sh
# Stands in for `reportd --check FILE`: 0 when the file can be read and says `queue =`, 1 when not.
[ -r "$1" ] || { echo "$1: cannot be read" >&2; exit 1; }
grep -q '^queue *=' "$1" || { echo "$1: no queue" >&2; exit 1; }
echo "$1: syntax is ok"
