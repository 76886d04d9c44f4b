"""The pure core: what should be, what is, and what to do about it. No clock, no chance, no IO."""
