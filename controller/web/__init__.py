"""The web UI: static files that pages.py serves, and a client of the public API like any other."""
