"""A busy machine is slower, and no test fails for it."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st


def test_examples_may_take_their_time() -> None:
    @settings(max_examples=2)
    @given(st.booleans())
    def slow(_: bool) -> None:
        time.sleep(0.3)

    slow()
