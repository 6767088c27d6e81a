"""When a kiosk's page last said that it is alive; whoever restarts dead browsers asks for it.

The one rule: nothing secret depends on it. The token only tells the kiosk's own browser from a
second browser that looks at the same page; it is kept in memory and never logged.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable

_TOKEN = re.compile(r"[0-9a-f]{32}")
_KEPT = 8
"""Browsers on one machine; each start of one has another token."""


class Alive:
    """The last sign of life per token, of the newest few tokens.

    `clock`: seconds, monotonic: a clock that is set must not age a page.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: OrderedDict[str, float] = OrderedDict()

    def say(self, token: str) -> bool:
        """The page with this token is alive now. False for what is no token."""
        if not _TOKEN.fullmatch(token):
            return False
        self._last[token] = self._clock()
        self._last.move_to_end(token)
        if len(self._last) > _KEPT:
            self._last.popitem(last=False)
        return True

    def seconds_since(self, token: str) -> float | None:
        """Seconds since this token's last sign of life; None if it never gave one."""
        last = self._last.get(token)
        return None if last is None else self._clock() - last
