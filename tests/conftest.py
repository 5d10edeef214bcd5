"""Settings of every test. No torch here: the graph tests run without it."""

from hypothesis import settings

settings.register_profile("topodelin", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("topodelin")
