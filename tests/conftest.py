"""Settings of the whole suite."""

from hypothesis import settings

# The same examples each time, however slow the machine: a test that fails fails again.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.load_profile("suite")
