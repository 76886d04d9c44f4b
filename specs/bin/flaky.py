"""Works for a while, then crashes: between MIN_S and MAX_S seconds, with code 1. On SIGTERM it ends cleanly."""

import os
import random
import signal
import sys
import threading


def main() -> None:
    """Run until the crash, or until SIGTERM."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())

    seconds = random.uniform(float(os.environ.get("MIN_S", "20")), float(os.environ.get("MAX_S", "40")))
    print("working", flush=True)
    if ending.wait(seconds):
        print("asked to end, goodbye", flush=True)
        sys.exit(0)
    print(f"out of luck after {seconds:.0f} s", file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
