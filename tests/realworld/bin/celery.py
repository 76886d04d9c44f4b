#!/usr/bin/python3 -IS
"""Stands in for Celery: `celery.py -A APP worker -Q QUEUES --concurrency N` and `celery.py -A APP beat`.

Like the real one with its prefork pool: the children die of SIGTERM, which loses their tasks, and ignore SIGINT; the
main process begins a warm shutdown at either, in which the children finish their tasks.
"""

import argparse
import os
import signal
import sys
import threading


def pool_child(number: int, life: int) -> None:
    """Do tasks until the main process closes the other end of `life`."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_blocking(life, False)
    working = threading.Event()
    while True:
        working.wait(0.5)
        print(f"[ForkPoolWorker-{number}] Task succeeded in 0.5s", flush=True)
        try:
            if os.read(life, 1) == b"":
                os._exit(0)
        except BlockingIOError:
            continue


def worker(queues: str, concurrency: int, ending: threading.Event) -> int:
    """The main process and its pool; the exit code."""
    life, ours = os.pipe()
    children = []
    for number in range(1, concurrency + 1):
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            pool_child(number, life)
        children.append(pid)
    os.close(life)
    print(f" -------------- [queues] {queues}", flush=True)
    print(f"celery@{os.environ.get('WORKER_INSTANCE', 'localhost')} ready.", flush=True)
    ending.wait()
    print("worker: Warm shutdown (MainProcess)", flush=True)
    os.close(ours)
    for pid in children:
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            print(f"WorkerLostError: pool process {pid} exited prematurely", file=sys.stderr, flush=True)
    return 0


def beat(ending: threading.Event) -> int:
    """The clock: one task a second; the exit code. Its schedule is kept nowhere."""
    print("beat: Starting...", flush=True)
    while not ending.wait(1):
        print("Scheduler: Sending due task cleanup", flush=True)
    return 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-A", "--app", required=True)
    parser.add_argument("what", choices=["worker", "beat"])
    parser.add_argument("-Q", "--queues", default="celery")
    parser.add_argument("-c", "--concurrency", type=int, default=2)
    options, _ = parser.parse_known_args()
    if "CELERY_BROKER_URL" not in os.environ:
        print("consumer: Cannot connect: no broker", file=sys.stderr, flush=True)
        return 1
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    if options.what == "worker":
        return worker(options.queues, options.concurrency, ending)
    return beat(ending)


if __name__ == "__main__":
    sys.exit(main())
