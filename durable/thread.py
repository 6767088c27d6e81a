"""One thread of its own for what blocks: the inbox's SQLite and its files.

The one rule: everything given to it happens in the order in which it was given.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OneThread:
    """``await thread(function, …)``."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        # Shielded: what was begun is finished before a cancelled caller's successor comes.
        return await asyncio.shield(
            loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))
        )

    def close(self) -> None:
        """Wait for what is under way and end the thread."""
        self._pool.shutdown(wait=True)
