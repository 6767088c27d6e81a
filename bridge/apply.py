"""Bringing a shop's facts from the inbox to its Odoo.

The one rule: a fact leaves `waiting` only when Odoo (or our own record) has it, or when a person
has to look at it. Odoo being away parks nothing; a fact that Odoo refuses is parked and never
holds up the ones behind it; many refusals in a row of one kind from one station are not the facts'
fault: that kind of that station rests, and nobody else's.

Order is kept per station. Neighbours of one effect go together where it can; when that fails, for
whatever reason, they go one at a time, so that only the guilty one is judged. A fact made before
its station's clock was right waits for the `clock` fact of that boot, if its time matters to Odoo.
A station's facts are left alone while it is held back (`bridge.leftovers` says why).
"""

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from bridge import clocks, effects
from bridge.config import ApplyTable
from bridge.effects import CLOCK_AHEAD, Hold, Shop
from bridge.inbox import Inbox
from bridge.intake import LOST
from bridge.ledger import Fact, Station
from bridge.odoo import Odoo
from bridge.patience import DISK_ERRORS, insist
from bridge.profile import Profile
from bridge.wire import Denied, Final, OdooError, ProgrammingFault, Unavailable
from mqtt.messages import FACT_KINDS, ClockData, Message

log = logging.getLogger(__name__)

BATCH = 100
LONGEST_WAIT_S = 30.0
IN_A_ROW = 5
"""This many refusals of one kind are not the facts' fault; this many silences of an Odoo that
answers everything else are this fact's."""


class Applier:
    """One for a site; `settled` is called with a station when its ack has changed."""

    def __init__(
        self,
        site: str,
        inbox: Inbox,
        odoo: Odoo,
        profile: Profile,
        settings: ApplyTable,
        settled: Callable[[Station], None],
    ) -> None:
        self._site = site
        self._inbox = inbox
        self._odoo = odoo
        self._shop = Shop(odoo, profile, self._blob)
        self._effects = {kind: effects.load(name) for kind, name in profile.effects}
        self._settings = settings
        self._settled = settled
        self._wake = asyncio.Event()
        self._held_back: set[str] = set()
        self._resting: dict[str, float] = {}
        self._paused: dict[str, float] = {}
        self._refused: Counter[str] = Counter()
        self._silences: Counter[str] = Counter()
        self._away = 0
        self._singly = 0
        """So many facts go one at a time, because together they did not."""

    def wake(self) -> None:
        """There is something new in the inbox."""
        self._wake.set()

    def hold_back(self, station: str) -> None:
        """Leave this station's facts alone until `release`."""
        self._held_back.add(station)

    def release(self, station: str) -> None:
        self._held_back.discard(station)
        self.wake()

    @property
    def paused(self) -> list[str]:
        """What rests because Odoo refused several in a row: ``station/kind``."""
        return sorted(self._paused)

    async def run(self) -> None:
        """Apply for ever."""
        while True:
            await insist(f"{self._site}: the inbox", self._next)

    async def _next(self) -> None:
        self._wake.clear()
        now = asyncio.get_running_loop().time()
        for waits in (self._resting, self._paused):
            for name in [name for name, until in waits.items() if until <= now]:
                del waits[name]
        facts = await self._inbox.waiting(
            self._site,
            1 if self._singly else BATCH,
            not_stations=[*self._resting, *self._held_back],
            not_kinds=list(self._paused),
        )
        if not facts:
            ends = [*self._resting.values(), *self._paused.values()]
            await self._sleep(min(ends) - now if ends else None)
        elif not await self._together(facts):
            self._singly = max(0, self._singly - 1)
            await self._try(facts[0])

    async def _sleep(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _together(self, facts: Sequence[Fact]) -> bool:
        """Bring the first of `facts` in a few calls; False: they have to go one at a time."""
        effect = self._effects.get(facts[0].kind)
        run = list(takewhile(lambda fact: self._effects.get(fact.kind) is effect, facts))
        if len(run) == 1 or not isinstance(effect, effects.Batch):
            return False
        try:
            records = await effect.apply_batch(self._shop, [(fact, _data(fact)) for fact in run])
        except Exception as error:  # noqa: BLE001 - whatever it is, it comes again where it belongs
            log.debug("%s: %d facts together: %s", self._site, len(run), type(error).__name__)
            self._singly = len(run)
            return False
        if records:
            await self._done(list(zip(run, records, strict=False)))
        return bool(records)

    async def _done(self, facts: Sequence[tuple[Fact, Mapping[str, Any] | None]]) -> None:
        await self._inbox.done(facts)
        self._away = 0
        for fact, record in facts:
            if record is None:  # else Odoo has not been asked, and may refuse the kind still
                self._refused.pop(_kind_of(fact), None)
            self._silences.pop(fact.id, None)
        for station in {fact.station for fact, _ in facts}:
            self._settled(station)

    async def _try(self, fact: Fact) -> None:
        try:
            record = await self._guarded(fact)
        except Hold:
            await self._inbox.hold(fact)
        except (Unavailable, Denied) as error:
            await self._no_answer(fact, error)
        except OdooError as error:
            await self._refusal(fact, error)
        except ValidationError:
            await self._park(fact, "the data do not fit the kind")
        else:
            await self._done([(fact, record)])

    async def _guarded(self, fact: Fact) -> Mapping[str, Any] | None:
        """A fault of ours is the fact's trouble, not that of the ones behind it."""
        try:
            return await self._apply(fact)
        except (OdooError, Hold, ValidationError, *DISK_ERRORS):
            raise
        except Exception as bug:  # noqa: BLE001 - poison must not stop a shop's facts
            place = traceback.extract_tb(bug.__traceback__)[-1]
            log.error(  # noqa: TRY400 - a traceback's last line may hold names
                "%s: a fault of the bridge at %s:%s", self._site, place.filename, place.lineno
            )
            raise ProgrammingFault(f"the bridge: {type(bug).__name__}") from None

    async def _apply(self, fact: Fact) -> Mapping[str, Any] | None:
        """Bring one fact to Odoo; or return what our own record is to keep of it."""
        data = _data(fact)
        if fact.kind == "damaged":
            raise Final(LOST)
        if isinstance(data, ClockData):
            if clocks.is_ahead(data.at, fact.received):
                raise Final(CLOCK_AHEAD)
            return None  # it dated other facts when it came
        return await self._effects[fact.kind].apply(self._shop, fact, data)

    async def _blob(self, fact_id: str, sha256: str, size: int) -> bytes | None:
        return await asyncio.to_thread(self._inbox.blobs.get, fact_id, sha256, size)

    # --- when it does not work ------------------------------------------------------------

    async def _no_answer(self, fact: Fact, error: OdooError) -> None:
        """Wait; but a fact on which alone Odoo falls silent is poison too."""
        if isinstance(error, Unavailable) and await self._odoo.answers():
            self._silences[fact.id] += 1
            if self._silences[fact.id] >= IN_A_ROW:
                del self._silences[fact.id]
                await self._park(fact, error.why)
                self._count_refusal(fact)
                return
        wait = min(LONGEST_WAIT_S, 0.5 * 2 ** min(self._away, 10))
        self._away += 1
        await asyncio.sleep(wait)

    async def _refusal(self, fact: Fact, error: OdooError) -> None:
        if isinstance(error, Final):
            await self._park(fact, error.why, error.detail)
            return
        if fact.tries == 0:
            await self._inbox.tried(fact)
            self._rest(self._resting, fact.station.name, self._settings.again_s)
            return
        await self._park(fact, error.why, error.detail)
        self._count_refusal(fact)

    def _count_refusal(self, fact: Fact) -> None:
        kind = _kind_of(fact)
        self._refused[kind] += 1
        if self._refused[kind] >= IN_A_ROW:
            log.error(
                "%s/%s: %d facts refused in a row: the kind rests for %g s",
                self._site,
                kind,
                self._refused[kind],
                self._settings.pause_s,
            )
            self._rest(self._paused, kind, self._settings.pause_s)

    def _rest(self, waits: dict[str, float], name: str, seconds: float) -> None:
        waits[name] = asyncio.get_running_loop().time() + seconds

    async def _park(self, fact: Fact, why: str, detail: str = "") -> None:
        log.warning("%s/%s: fact %s parked: %s", self._site, fact.station.name, fact.id, why)
        await self._inbox.park(fact, why, detail)
        self._settled(fact.station)


def _kind_of(fact: Fact) -> str:
    """What rests together: the facts of one kind from one station, ``station/kind``."""
    return f"{fact.station.name}/{fact.kind}"


def _data(fact: Fact) -> Message:
    """The fact's data as its kind's model. Raises `Final`, ValidationError."""
    model = FACT_KINDS.get(fact.kind)
    if model is None:
        raise Final("unknown kind")
    return model.model_validate(fact.envelope.data)
