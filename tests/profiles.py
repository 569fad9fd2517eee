"""How hard the suite tries. `HYPOTHESIS_PROFILE=soak` (what `make soak` sets) tries for minutes instead of seconds."""

import os

from hypothesis import HealthCheck, settings

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
#: Both engines and a counter store are real, so an example takes as long as it takes.
_REAL = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

settings.register_profile("soak", settings(max_examples=2000, deadline=None))
if SOAK:
    settings.load_profile("soak")


def real(examples: int, soak: int, **more: int) -> settings:
    """Settings of a test on real services: so many examples, or so many under `soak`."""
    return settings(_REAL, max_examples=soak if SOAK else examples, **more)
