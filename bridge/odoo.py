"""An Odoo as the bridge sees it: a wire, and whether it answers.

The one rule: one log line when it goes away, one when it is back, whoever noticed.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.wire import Denied, OdooError, Unavailable, Wire
from devices.value import Value

log = logging.getLogger(__name__)

PAGE = 1000
FORMAT = "%Y-%m-%d %H:%M:%S"


def to_odoo(at: datetime) -> str:
    """UTC, whole seconds, no zone: the only form that every version takes."""
    return at.astimezone(UTC).strftime(FORMAT)


def from_odoo(text: str) -> datetime:
    return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OdooState:
    """`key`: odoo.unknown, odoo.up, odoo.unavailable, odoo.denied. `why` has no personal data."""

    key: str
    why: str = ""


class Odoo:
    """`call` and friends raise `OdooError`."""

    def __init__(self, site: str, wire: Wire) -> None:
        self._site = site
        self._wire = wire
        self.state = Value(OdooState("odoo.unknown"))

    async def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = await self._wire.call(model, method, *args, **kwargs)
        except OdooError as error:
            self._notice(error)
            raise
        self._notice(None)
        return answer

    async def rows(
        self, model: str, domain: Sequence[Any], fields: Sequence[str]
    ) -> AsyncIterator[dict[str, Any]]:
        """All matching records, page by page by id: rows that change meanwhile are not skipped."""
        last = 0
        while True:
            page = await self.call(
                model,
                "search_read",
                [*domain, ["id", ">", last]],
                fields=list(fields),
                order="id",
                limit=PAGE,
            )
            for row in page:
                yield row
            if len(page) < PAGE:
                return
            last = page[-1]["id"]

    async def user(self) -> int:
        """Our own user's id."""
        try:
            return await self._wire.user()
        except OdooError as error:
            self._notice(error)
            raise

    async def answers(self) -> bool:
        """Whether a trivial call gets an answer now."""
        try:
            await self.call("res.users", "search_count", [])
        except (Unavailable, Denied):
            return False
        except OdooError:
            return True
        return True

    async def close(self) -> None:
        await self._wire.close()

    def _notice(self, error: OdooError | None) -> None:
        if isinstance(error, Denied):
            state = OdooState("odoo.denied", error.why)
        elif isinstance(error, Unavailable):
            state = OdooState("odoo.unavailable", error.why)
        else:
            state = OdooState("odoo.up")
        before = self.state.get()
        if state.key != before.key:
            if state.key != "odoo.up":
                log.warning("%s: %s (%s)", self._site, state.key, state.why)
            elif before.key != "odoo.unknown":
                log.info("%s: odoo.up", self._site)
        self.state.set(state)
