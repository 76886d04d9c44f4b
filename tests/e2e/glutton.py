"""A worker that takes what it is told to. Run as `python3 glutton.py DIR`; standard library only.

It does what DIR/<slot>.do says, once for each time that the file appears, and adds one JSON line to DIR/<slot>.said:

    eat BYTES         takes memory, and touches it
    feed BYTES        has a child of its own do so, and tells how that ended
    fork COUNT        starts so many children that wait; tells how many it got, and the error number
    spin              never rests again
    escape            leaves a daemon behind: another session, parent and environment; tells its pid
"""

from __future__ import annotations

import json
import os
import sys
import time


def eat(size: int) -> dict[str, object]:
    return {"bytes": len(b"x" * size)}


def feed(size: int) -> dict[str, object]:
    pid = os.fork()
    if pid == 0:
        eat(size)
        os._exit(0)
    return {"child": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}


def fork(count: int) -> dict[str, object]:
    for done in range(count):
        try:
            if os.fork() == 0:
                time.sleep(3600)  # noqa: TID251 - a worker may
                os._exit(0)
        except OSError as error:
            return {"forked": done, "errno": error.errno}
    return {"forked": count, "errno": 0}


def spin(_: int) -> dict[str, object]:
    while True:
        pass


def escape(_: int) -> dict[str, object]:
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(theirs, str(os.getpid()).encode())
            os.execve("/bin/sleep", ["sleep", "3600"], {})
        os._exit(0)
    os.wait()
    return {"pid": int(os.read(ours, 20))}


DEEDS = {"eat": eat, "feed": feed, "fork": fork, "spin": spin, "escape": escape}


def main(folder: str) -> None:
    slot = f"{folder}/{os.environ['WORKER_INSTANCE'].replace('/', '-')}"
    while True:
        try:
            with open(f"{slot}.do", encoding="ascii") as file:
                deed, _, amount = file.read().partition(" ")
        except FileNotFoundError:
            time.sleep(0.1)  # noqa: TID251 - a worker may
            continue
        os.unlink(f"{slot}.do")
        said = json.dumps(DEEDS[deed](int(amount or 0)))
        with open(f"{slot}.said", "a", encoding="ascii") as file:
            file.write(said + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
