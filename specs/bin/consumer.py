"""A consumer: takes job after job and prints a line for each. On SIGTERM it finishes the job at hand."""

import itertools
import os
import signal
import sys
import threading


def main() -> None:
    """Consume until SIGTERM."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())

    queue = os.environ.get("QUEUE", "jobs")
    ordinal = int(os.environ.get("WORKER_ORDINAL", "0"))
    job_s = int(os.environ.get("JOB_MS", "2000")) / 1000
    working = threading.Event()  # never set: a job takes its time, also while we are asked to end

    done = 0
    for number in itertools.count(1):
        if ending.is_set():
            break
        working.wait(job_s)
        done = number
        print(f"{queue}: job {ordinal}-{number:04d} done", flush=True)
    print(f"{queue}: {done} jobs done, goodbye", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
