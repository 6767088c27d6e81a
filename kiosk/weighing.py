"""The self-service scale: put down, pick, print, stick.

The one rule: one label for one load, of the weight that is on the pan at that very moment. The
fact is on disk before the label comes out, and a label that did not come out says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from devices import DeviceError, Value
from devices.contained import ask
from durable.errors import StoreFull
from kiosk.issue import Issuer, Problem
from kiosk.load import Load, Pan, load_of
from kiosk.missing import printer_of, scale_of
from kiosk.screen import Screen, Timer, trouble
from kiosk.settings import ScaleSettings
from kiosk.shelf import Shelf
from kiosk.station import Station
from kiosk.ticket import Ticket, make
from kiosk.weighing_page import WeighingPage
from mqtt.messages import Product
from printer import Label, NotPrinted, Paper, Printer, Withdrawn
from scale import Tares, Weight, Zeroes
from store.nomenclature import LabelRefused

log = logging.getLogger(__name__)

PRINT_S = 20.0
OBEYED_S = 15.0


class Assessment(NamedTuple):
    """What the screen says now, and the label that would come out."""

    state: str
    ticket: Ticket | None = None
    problem: Problem | None = None


_WITHOUT_NUMBER = {Pan.OVER: "over", Pan.UNDER: "below_zero", Pan.MOVING: "moving"}
_HIDDEN = frozenset({"scale_absent", "scale_failing", "scale_silent", "moving"})
_DICTATED = frozenset({"paper", "printer_absent", "printer_failing", "not_printed"})
_PRICED = frozenset({"ready", "printing", "take"})


class Weighing(Screen[WeighingPage]):
    name = "scale"
    rest_s = 20.0
    """An empty pan for this long forgets product and language."""
    tared_rest_s = 90.0
    """The same while a container's tare is held: filling a jar takes time."""
    calm_s = 1.0
    """What is tapped so soon after a failure was meant for the attempt before."""

    def __init__(self, station: Station, settings: ScaleSettings) -> None:
        super().__init__(station)
        scale = scale_of(station.devices[settings.scale])
        printer = printer_of(station.devices[settings.printer])
        self.settings = settings
        self._scale = scale
        self._printer = printer
        self._issuer = Issuer(station.store, printer, scale, PRINT_S)
        self._shelf = Shelf()
        self._product: Product | None = None
        self._tare_g = 0
        self._tare_asked = False
        self._busy = False
        """A label is on its way, or the scale is obeying."""
        self._printing = False
        self._printed: tuple[Ticket, Label] | None = None
        self._reprinted = False
        self._problem: Problem | None = None
        self._attempt: Ticket | None = None
        self._cue = ""
        self._group: asyncio.TaskGroup | None = None
        self._rest = Timer(self._forget_all)
        self._calm = Timer(self._refresh)
        self.page: Value[WeighingPage] = Value(
            WeighingPage("scale_silent", station.language, self._shelf.view(None))
        )

    async def run(self) -> None:
        await self._issuer.resolve()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._show_life())
            group.create_task(self._follow(self._scale.reading))
            group.create_task(self._follow(self._scale.health))
            group.create_task(self._follow(self._printer.health))
            group.create_task(self._follow(self._printer.paper))
            if self.station.link is not None:
                group.create_task(self._follow(self.station.link))
            async for catalogue in self.station.store.catalogue.current.changes():
                self._shelf.stock(catalogue)
                if self._product is not None:
                    self._product = self._shelf.find(self._product.id)
                self._refresh()

    def picture(self) -> tuple[Printer, Label] | None:
        """The label of this load, for whoever wants to draw it; None when there is none."""
        return (self._printer, self._printed[1]) if self._printed else None

    # --- what is known → the page ----------------------------------------------------------

    def _refresh(self) -> None:
        load = load_of(self._scale.reading.get())
        self._settle(load)
        state, ticket, problem = self._assess(load)
        net = self._net(load)
        shown = self._printed[0] if self._printed else ticket or self._attempt
        priced = shown is not None and state in _PRICED and net == shown.net_g
        self.page.set(
            WeighingPage(
                state=state,
                language=self.language,
                grams=None if state in _HIDDEN else net,
                cents=shown.shown_cents if shown and priced else None,
                tare_g=self._tare_shown,
                product=self._product,
                mode=self.settings.mode,
                shelf=self._shelf.view(self._product.id if self._product else None),
                problem=problem,
                code=shown.code if shown and state in _DICTATED else "",
                label=self._printed[0].id if self._printed else "",
                can=self._can(state, net),
                prices_from=self._old_prices(),
                offline=self.station.offline,
                cue=self._cue,
            )
        )
        self._watch_rest(load)

    def _settle(self, load: Load) -> None:
        """Notice that a load was taken away, or that the scale forgot a tare."""
        gone = load.pan in (Pan.EMPTY, Pan.UNDER)
        if gone and not self._printing and (self._printed or self._problem):
            done = self._printed is not None
            self._printed = self._problem = self._attempt = None
            self._reprinted = False
            if done:
                self._product = None
                self._shelf.reset()
                self._untare()
        if self._tare_g and not self._busy and self._is_net is False:
            self._tare_g = 0

    def _assess(self, load: Load) -> Assessment:
        """The one place that decides what the screen says."""
        fault = trouble(self._scale.health.get(), "scale_absent", "scale_failing")
        if self._printing:
            return Assessment("printing")
        if fault or load.pan is Pan.UNKNOWN:
            return Assessment("moving" if self._busy else fault or "scale_silent")
        if self._printed:
            return Assessment("take", problem=self._problem)
        if self._problem:
            return Assessment("not_printed", problem=self._problem)
        if self.station.store.catalogue.current.get() is None:
            return Assessment("no_catalogue")
        if load.pan is Pan.LOADED:
            return self._weigh(self._net(load) or 0)
        if self._tare_g and load.pan in (Pan.EMPTY, Pan.UNDER):
            return Assessment("tare_done")
        if load.pan is Pan.EMPTY:
            return Assessment("tare_ask" if self._tare_asked else "empty")
        return Assessment(_WITHOUT_NUMBER[load.pan])

    def _beyond(self, net: int) -> str:
        """The limit that a net weight is beyond; "" when it may be sold from."""
        if net + self._tare_shown > self.settings.max_g:
            return "over"
        return "under_min" if net < self.settings.min_g else ""

    def _weigh(self, net: int) -> Assessment:
        if beyond := self._beyond(net):
            return Assessment(beyond)
        if self._product is None:
            return Assessment("pick")
        try:
            ticket = self._ticket(self._product, net)
        except LabelRefused as refused:
            return Assessment("refused", problem=Problem(refused.key))
        blocked = trouble(self._printer.health.get(), "printer_absent", "printer_failing")
        if self._printer.paper.get() is Paper.OUT:
            blocked = blocked or "paper"
        return Assessment(blocked or "ready", ticket)

    def _ticket(self, product: Product, net: int) -> Ticket:
        catalogue = self.station.store.catalogue.current.get()
        assert catalogue is not None
        return make(catalogue, product, net_g=net, tare_g=self._tare_shown, mode=self.settings.mode)

    @property
    def _tare_shown(self) -> int:
        """The container's tare, or else the product's usual packaging; neither under a tare which
        the scale holds by itself, because what it shows is net already.
        """
        return self._tare_g or self._packaging_g

    @property
    def _packaging_g(self) -> int:
        return self._product.tare_g if self._product and not self._is_net else 0

    def _net(self, load: Load) -> int | None:
        if load.grams is None or load.pan is Pan.EMPTY or self._tare_g:
            return load.grams
        return load.grams - self._packaging_g

    @property
    def _is_net(self) -> bool | None:
        """Whether the scale holds a tare, by its own word; None when it does not say."""
        reading = self._scale.reading.get()
        return reading.net if reading else None

    @property
    def _engaged(self) -> bool:
        away = load_of(self._scale.reading.get()).pan in (Pan.EMPTY, Pan.UNDER, Pan.UNKNOWN)
        return not away or self._tare_g > 0

    def _can(self, state: str, net: int | None) -> frozenset[str]:
        """The buttons that would do something now."""
        can: set[str] = set()
        if self._busy or self._printing:
            return frozenset()
        calm = not self._calm.running
        if state == "ready":
            can.add("print")
        if state == "not_printed" and calm and net is not None and not self._beyond(net):
            can.add("retry")
        if self._printed and not self._reprinted and net == self._printed[0].net_g:
            can.add("reprint")  # another load is not given this one's label
        idle = state not in ("take", "not_printed", "over", "scale_absent", "scale_failing")
        if idle and not self._tare_g and not self._is_net and isinstance(self._scale, Tares):
            can.add("tare")
        if state == "below_zero" and isinstance(self._scale, Zeroes):
            can.add("zero")
        held = self._product or self._tare_g or self._tare_asked or self._is_net
        if state != "take" and held:
            can.add("cancel")
        return frozenset(can)

    def _old_prices(self) -> datetime | None:
        """Of when the prices are, once they are too old to be sure."""
        catalogue = self.station.store.catalogue.current.get()
        if catalogue is None:
            return None
        old = self.station.now() - catalogue.as_of > timedelta(hours=self.settings.stale_h)
        return catalogue.as_of.astimezone(self.station.timezone) if old else None

    # --- taps ------------------------------------------------------------------------------

    def _act(self, do: str, what: str, /) -> None:
        self._refresh()  # a weight that has only just come counts
        page = self.page.get()
        match do:
            case "pick" if not (self._printing or self._printed or self._problem):
                self._pick(what)
            case "tab":
                self._shelf.open(what)
            case "turn":
                self._shelf.turn()
            case "key":
                self._shelf.key(what)
            case "cancel" if "cancel" in page.can:
                self._cancel()
            case "tare" if "tare" in page.can:
                self._tare()
            case "zero" if "zero" in page.can and isinstance(self._scale, Zeroes):
                self._obey(self._scale.zero)
            case "print" | "retry" if do in page.can:
                self._start()
            case "reprint" if "reprint" in page.can:
                self._reprint()
        self._rest.clear()
        self._refresh()

    def _pick(self, what: str) -> None:
        product = self._shelf.find(int(what)) if what.isdecimal() else None
        self._product = product or self._product

    def _cancel(self) -> None:
        self._product = self._problem = self._attempt = None
        self._tare_asked = False
        self._shelf.reset()
        self._untare()

    def _tare(self) -> None:
        load = load_of(self._scale.reading.get())
        if load.pan is Pan.LOADED and load.grams and isinstance(self._scale, Tares):
            self._tare_asked = False
            self._tare_g = load.grams
            self._obey(self._scale.tare)
        else:
            self._tare_asked = True

    def _untare(self) -> None:
        """Also a tare that is not ours: of the scale's own key, or of a station that restarted."""
        if (self._tare_g or self._is_net) and isinstance(self._scale, Tares):
            self._tare_g = 0
            self._obey(self._scale.clear_tare)

    def _obey(self, command: Callable[[], Awaitable[None]]) -> None:
        assert self._group is not None
        self._busy = True
        self._group.create_task(self._command(command))

    async def _command(self, command: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask(self._scale.name, command, within=OBEYED_S)
        except DeviceError as error:
            log.warning("%s: %s", self._scale.name, error)
            self._tare_g = 0
        except Exception:  # a bug in a driver must not stop the station
            log.exception("%s: a command", self._scale.name)
            self._tare_g = 0
        finally:
            self._busy = False
            self._refresh()

    def _watch_rest(self, load: Load) -> None:
        """With an empty pan and nothing happening, the next person finds a clean screen."""
        away = load.pan in (Pan.EMPTY, Pan.UNDER) and not self._printing
        dirty = (
            self._product or self._tare_g or self._tare_asked or self._chosen or self._is_net
        ) or not self._shelf.at_start
        if not (away and dirty):
            self._rest.clear()
        elif not self._rest.running:
            self._rest.set(self.tared_rest_s if self._tare_g else self.rest_s)

    def _forget_all(self) -> None:
        self._cancel()
        self._forget_language()
        self._refresh()

    # --- the label -------------------------------------------------------------------------

    def _start(self) -> None:
        """Everything about the label is decided here, of what the screen shows now."""
        reading = self._scale.reading.get()
        load = load_of(reading)
        net = self._net(load)
        if self._product is None or reading is None or load.pan is not Pan.LOADED or net is None:
            return
        try:
            ticket = self._ticket(self._product, net)
        except LabelRefused:
            return
        label = ticket.label(self.station, old_prices=self._old_prices())
        self._problem, self._attempt, self._printing = None, ticket, True
        assert self._group is not None
        self._group.create_task(self._issue(ticket, label, reading))

    async def _issue(self, ticket: Ticket, label: Label, weighed: Weight) -> None:
        try:
            await self._issuer.issue(ticket, label, weighed)
        except Withdrawn:
            self._attempt = None
        except StoreFull as full:
            self._fail(Problem(full.key, params=full.params))
        except NotPrinted as failure:
            self._fail(Problem(failure.key, failure.sure))
        else:
            self._printed = (ticket, label)
            self._shelf.count(ticket.product.id)
            self._cue = self._new_cue("ok")
        finally:
            self._printing = False
            self._refresh()

    def _reprint(self) -> None:
        assert self._group is not None
        assert self._printed is not None
        self._reprinted = self._printing = True
        self._problem = None
        self._group.create_task(self._again(*self._printed))

    async def _again(self, ticket: Ticket, label: Label) -> None:
        try:
            await self._issuer.again(ticket, label)
        except StoreFull as full:
            self._fail(Problem(full.key, params=full.params))
        except NotPrinted as failure:
            self._reprinted = not failure.sure
            self._fail(Problem(failure.key, failure.sure))
        finally:
            self._printing = False
            self._refresh()

    def _fail(self, problem: Problem) -> None:
        self._problem = problem
        self._calm.set(self.calm_s)
        self._cue = self._new_cue("stop")
