"""The HTTP API: it writes specs and intents, and reads snapshots and the store."""
