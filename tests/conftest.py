"""What holds for every test."""

from hypothesis import HealthCheck, settings

# Neither an example's deadline nor the time that making examples takes: on a busy machine both are
# exceeded, and nothing is wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
