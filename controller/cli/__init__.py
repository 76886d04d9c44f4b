"""The command line: a client of the API; serve and the offline verbs reach further."""
