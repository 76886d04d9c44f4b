"""The command line: a client of the API; serve and the offline verbs reach further.

This package file stays empty of imports: a verb imports what it needs and nothing else (`lazy.py`).
"""
