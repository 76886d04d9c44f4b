"""The database: one writer thread, a few readers. No session escapes."""
