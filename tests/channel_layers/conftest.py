from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("channel_layers.conformance")

# A machine that is busy with something else makes no example wrong.
settings.register_profile("channel_layers", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("channel_layers")
