"""The desks: where the API's questions and wishes meet the loop, the specs and the store.

Each implements some of `api.ports` over the rest of the program, because neither the API nor the loop may know the
other; app.py makes them.
"""
