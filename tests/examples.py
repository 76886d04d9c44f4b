"""How many examples a property is tried with: few at each run of the tests, many when somebody asks for it.

    pytest --hypothesis-profile=long tests/core/test_planner_properties.py

Each run draws others, so a few in each of many runs find what many in one would.
"""

from __future__ import annotations

from hypothesis import settings


def examples(share: float) -> settings:
    """`share`: of what a property without this has; above 1 for one that is quick, or that guards much."""
    usual = settings.default
    assert usual is not None
    return settings(max_examples=max(1, round(usual.max_examples * share)))


settings.register_profile("quick", deadline=None, max_examples=35)
settings.register_profile("long", deadline=None, max_examples=300)
settings.load_profile("quick")
