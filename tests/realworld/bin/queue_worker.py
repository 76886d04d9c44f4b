#!/usr/bin/python3 -IS
"""Stands in for a queue consumer: rqworker, a thumbnailer, a report builder.

queue_worker.py [--needs HOST:PORT] [--notify] [--exit-code N] [--job-s S]

Takes job after job. On SIGTERM or SIGINT it finishes the job at hand, then ends with --exit-code. With --notify it is
a service of systemd's Type=notify: READY=1 when it has started, STATUS= now and then. One that --needs another
service ends with code 1 where that is not there.
"""

import argparse
import itertools
import os
import signal
import socket
import sys
import threading


def notify(text: str) -> None:
    """sd_notify: one datagram to NOTIFY_SOCKET, if there is one."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(text.encode(), "\0" + path[1:] if path.startswith("@") else path)


def main() -> None:
    """Consume until asked to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--needs", default="")
    parser.add_argument("--notify", action="store_true")
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--job-s", type=float, default=0.3)
    options, _ = parser.parse_known_args()

    ending = threading.Event()

    def asked(number: int, _: object) -> None:
        os.write(1, f"got {signal.Signals(number).name}\n".encode())
        ending.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    working = threading.Event()  # Never set: a job takes its time.
    if options.needs:
        host, _, port = options.needs.rpartition(":")
        try:
            socket.create_connection((host, int(port)), 3).close()
        except OSError as error:
            sys.exit(f"{options.needs}: {error.strerror}")
    working.wait(options.job_s)
    if options.notify:
        notify("READY=1\nSTATUS=waiting for jobs")
    print("ready", flush=True)

    queue = os.environ.get("QUEUE", "jobs")
    for number in itertools.count(1):
        if ending.is_set():
            print(f"{queue}: {number - 1} jobs done, goodbye", flush=True)
            break
        working.wait(options.job_s)
        print(f"{queue}: job {number} done", flush=True)
        if options.notify:
            notify("WATCHDOG=1")
    sys.exit(options.exit_code)


if __name__ == "__main__":
    main()
