"""Python loads this when it starts: its calendar is wrong by `FAULTS_CLOCK_S` seconds.

The one rule: only the calendar is. What counts seconds (`time.monotonic`) is right, as it is on a
machine whose clock was set wrong.
"""

import datetime
import os
import time

SECONDS = int(os.environ["FAULTS_CLOCK_S"])
_right = datetime.datetime
_time, _time_ns = time.time, time.time_ns


class _Kind(type):
    """Every `datetime` is one of ours, also those which libraries written in C have made."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _right)


class _Wrong(_right, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return _right.now(tz) + datetime.timedelta(seconds=SECONDS)


datetime.datetime = _Wrong
time.time = lambda: _time() + SECONDS
time.time_ns = lambda: _time_ns() + SECONDS * 1_000_000_000
