"""The host supervisor. Stands alone: standard library only, Python 3.9 syntax."""
