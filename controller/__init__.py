"""workerctl: a declarative reconciliation controller for worker processes.

This package file stays empty of imports: the keeper and the agent start from it and must stay small.
"""
