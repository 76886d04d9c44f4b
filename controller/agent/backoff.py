"""How long to wait before a restart. Pure; the agent decides with it, and the spec model checks budgets with it."""

FLOOR_MS = 100
"""From the second crash in a row on, no delay is shorter: `restart_delay_ms: 0` must not become a busy loop."""


def base_delay_ms(delay_ms: int, factor: float, max_delay_ms: int, streak: int) -> int:
    """The delay before the next try after `streak` crashes in a row before this one, without jitter, in ms.

    The first try waits exactly `delay_ms`; each further one `factor` times the one before, up to `max_delay_ms`
    (or `delay_ms`, where that is longer).
    """
    if streak <= 0:
        return delay_ms
    cap = max(max_delay_ms, delay_ms, FLOOR_MS)
    # The exponent is bounded: a float overflows long after any cap has been reached.
    if delay_ms < FLOOR_MS:
        return int(min(cap, FLOOR_MS * factor ** min(streak - 1, 64)))
    return int(min(cap, delay_ms * factor ** min(streak, 64)))
