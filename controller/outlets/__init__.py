"""What leaves the system for other programs: figures for Prometheus. Alert rules and channels will live here.

Callers: app, which fills it from the loop, the store and the snapshots. Nothing here decides anything about a worker.
"""
