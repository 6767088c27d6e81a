"""A label from the fact to the paper: written down, weighed once more, printed.

The one rule: the fact is on disk before the label comes out, and a fact whose label did not come
out is voided.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from devices import DeviceError
from devices.contained import ask
from durable.errors import StoreFull
from kiosk.ticket import Action, Ticket
from printer import Label, NotPrinted, Printer, Still, Withdrawn
from scale import Scale, Weight
from store import Store

log = logging.getLogger(__name__)

CONFIRMED_S = 5.0
"""A scale that has not said by then that the weight is still the same does not say so."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no label: a catalogue key. Not `sure`: one may have come out all the same."""

    key: str
    sure: bool = True
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issuer:
    store: Store
    printer: Printer
    scale: Scale
    print_s: float
    """A printer that has not answered by then may or may not have printed."""

    async def issue(self, ticket: Ticket, label: Label, weighed: Weight) -> None:
        """Return when the label is out. Raises `NotPrinted`, `StoreFull`, or `Withdrawn` when the
        scale no longer gives `weighed`, of which the label is.
        """
        await self._put(ticket, "print")
        try:
            await self._print(label, lambda: self._still(weighed))
        except Withdrawn:
            await self._void(ticket, "the weight changed")
            raise
        except NotPrinted as failure:
            await self._void(ticket, failure.key if failure.sure else f"{failure.key} (not sure)")
            raise
        await self.store.labels.is_out(ticket.id)

    async def resolve(self) -> None:
        """Void the label of which the process before this one did not learn whether it came out."""
        label = self.store.labels.doubtful()
        if label is None:
            return
        log.warning("label %s: nobody knows whether it came out; voided", label.label)
        void = label.model_copy(update={"action": "void", "why": "restart (not sure)"})
        try:
            await self.store.outbox.put("label", void)
        except StoreFull as full:
            log.error("label %s could not be voided: %s", label.label, full.key)  # noqa: TRY400

    async def again(self, ticket: Ticket, label: Label) -> None:
        """The same label once more. Raises `NotPrinted` or `StoreFull`."""
        await self._put(ticket, "reprint")
        await self._print(label)

    async def _print(self, label: Label, still: Still | None = None) -> None:
        """Raises `Withdrawn`, or `NotPrinted` whatever happened: a bug in a driver must not stop
        the scale.
        """
        try:
            await ask(
                self.printer.name, lambda: self.printer.print(label, still), within=self.print_s
            )
        except (NotPrinted, Withdrawn):
            raise
        except TimeoutError as error:
            raise NotPrinted("device.silent", sure=False) from error
        except DeviceError as error:
            raise NotPrinted(error.key, sure=False) from error
        except Exception as error:
            log.exception("%s: printing", self.printer.name)
            raise NotPrinted("device.bug", sure=False) from error

    async def _still(self, weighed: Weight) -> bool:
        """Asked inside the printer's work, which a bug in the scale's driver must not end."""
        try:
            said: object = await ask(
                self.scale.name, lambda: self.scale.confirmed(weighed), within=CONFIRMED_S
            )
        except Exception:
            log.exception("%s: confirming a weight", self.scale.name)
            return False
        return said is True

    async def _put(self, ticket: Ticket, action: Action, why: str = "") -> None:
        fact = ticket.fact(action, printer=self.printer.name, scale=self.scale.name, why=why)
        await self.store.outbox.put("label", fact)

    async def _void(self, ticket: Ticket, why: str) -> None:
        try:
            await self._put(ticket, "void", why)
        except StoreFull as full:
            # The print fact stands: whoever reads the journal must know that it lies.
            log.error("label %s came out of no printer: %s", ticket.id, full.key)  # noqa: TRY400
