"""The photo booth: badge, consent, look, keep or not.

The one rule: silence never consents. Nothing is taken before "start", nothing touches a disk
before "keep", and whatever ends otherwise (time, another badge, a lost camera) erases.
"""

import asyncio
import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from badge_reader import BadgeRead
from badge_reader.number import candidates, misread
from devices import DeviceError, Value
from devices.contained import ask, contained
from durable.errors import StoreFull
from kiosk.missing import camera_of, reader_of
from kiosk.screen import Screen, Timer, trouble
from kiosk.settings import PhotoSettings
from kiosk.station import Station
from kiosk.words import Language, language_of
from mqtt.identity import badge_hash
from mqtt.messages import Consent, Entry, PhotoData

log = logging.getLogger(__name__)

CONSENT = "photo.consent/1"
"""The sentence that people accept, and its version: a new wording is a new number."""
STILL_S = 10.0
FIRST_FRAME_S = 5.0


@dataclass(frozen=True, slots=True)
class BoothPage:
    """`state` is a key of the catalogue's ``photo`` table."""

    state: str
    language: Language
    name: str = ""
    left: int = 0
    """What the countdown shows."""
    picture: str = ""
    """Names what somebody is asked about, sees of themself, or is to keep; never used again.
    A browser shows once more what it had under an address: here, somebody else's face. And a tap
    that names something else was meant for it, and decides nothing here."""
    offline: bool = False
    cue: str = ""

    @property
    def watching(self) -> bool:
        """Whether frames flow, which is when the camera's lamp is lit."""
        return self.state in ("framing", "count")


class Booth(Screen[BoothPage]):
    name = "photo"
    consent_s = 60.0
    review_s = 60.0
    framing_s = 2.0
    """Time to find one's place before the countdown."""
    told_s = 6.0
    second_s = 1.0

    def __init__(self, station: Station, settings: PhotoSettings) -> None:
        super().__init__(station)
        self._settings = settings
        self._reader = reader_of(station.devices[settings.reader])
        self.camera = camera_of(station.devices[settings.camera])
        self._member: Entry | None = None
        self._state = ""
        """"" is at rest."""
        self._left = 0
        self._photo: bytes | None = None
        self._picture = ""
        self._consented: tuple[datetime, Language] | None = None
        """When, and in which language they had read what they consent to."""
        self._cue = ""
        self._time_out = Timer(self._reset)
        self._taking: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self.page: Value[BoothPage] = Value(BoothPage("badge_first", station.language))

    async def run(self) -> None:
        async with self._reader.badges.listen() as badges, asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._show_life())
            group.create_task(self._follow(self._reader.health))
            group.create_task(self._follow(self.camera.health))
            if self.station.link is not None:
                group.create_task(self._follow(self.station.link))
            async for badge in badges:
                self._seen(badge)

    @property
    def _engaged(self) -> bool:
        return self._state != ""

    def photo(self) -> bytes | None:
        """The portrait under review, as JPEG; only in memory, and None once decided."""
        return self._photo if self._state == "review" else None

    def _refresh(self) -> None:
        absent = trouble(self.camera.health.get(), "camera_absent", "camera_failing")
        if absent and self._state in ("consent", "framing", "count"):
            self._forget()
            self._memory.set(self.forget_language_s)
        unread = trouble(self._reader.health.get(), "reader_absent", "reader_absent")
        self.page.set(
            BoothPage(
                state=self._state or absent or unread or "badge_first",
                language=self.language,
                name=self._member.first_name if self._member else "",
                left=self._left,
                picture=self._picture if self._state in _ENGAGED else "",
                offline=self.station.offline,
                cue=self._cue,
            )
        )

    def _seen(self, read: BadgeRead) -> None:
        if self._state == "keeping":
            return
        key = self.station.badge_key
        hashes = [badge_hash(key, number) for number in candidates(read.text)]
        try:
            entry = self.station.store.directory.lookup(hashes)
        except StoreFull:
            entry = None
        if entry is None and misread(read.text) and self._state in _ENGAGED:
            return  # nobody's badge: no reason to take somebody's photo away
        if entry and self._member and entry.who == self._member.who and self._state in _ENGAGED:
            return
        if self._state not in _TRIED_AGAIN:
            self._forget_language()
        self._forget()
        if trouble(self.camera.health.get(), "absent", "failing"):
            self._refresh()
            return
        self._member = entry
        self._picture = secrets.token_hex(8)
        if entry is not None and not self._chosen:
            self.language = language_of(entry.language, self.station.language)
        self._cue = self._new_cue("ok" if entry else "unknown")
        self._go("consent" if entry else "unknown", self.consent_s if entry else self.told_s)

    def _act(self, do: str, what: str, /) -> None:
        if what and what != self.page.get().picture:
            return  # by the person before, who was still looking at theirs
        match do, self._state:
            case "start", "consent":
                self._consented = (datetime.now(UTC), self.language)
                self._take()
            case "again", "review":
                self._photo = None
                self._take()
            case "keep", "review":
                self._keep()
            case "no", "consent":
                self._reset()
            case "cancel", "framing" | "count":
                self._drop()
            case "erase", "review":
                self._drop()
            case "done", "kept" | "kept_offline" | "dropped" | "unknown" | "not_kept" | "no_photo":
                self._reset()

    # --- from one state to the next --------------------------------------------------------

    def _go(self, state: str, time_out: float | None) -> None:
        self._state = state
        if time_out is None:
            self._time_out.clear()
        else:
            self._time_out.set(time_out)
        self._refresh()

    def _forget(self) -> None:
        """Erase: no photo, no name, no frames."""
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        self._time_out.clear()
        self._photo = self._member = self._consented = None
        self._state, self._left = "", 0

    def _reset(self) -> None:
        erased = self._state == "review"
        self._forget()
        if erased:
            self._go("dropped", self.told_s)
        else:
            self._forget_language()
            self._refresh()

    def _drop(self) -> None:
        self._forget()
        self._go("dropped", self.told_s)

    # --- the photo -------------------------------------------------------------------------

    def _take(self) -> None:
        assert self._group is not None
        self._picture = secrets.token_hex(8)
        self._go("framing", None)
        self._taking = self._group.create_task(self._taken())

    async def _shot(self) -> bytes:
        async with self.camera.watching():
            await self._first_frame()
            await asyncio.sleep(self.framing_s)
            for left in range(self._settings.countdown_s, 0, -1):
                self._left = left
                self._go("count", None)
                await asyncio.sleep(self.second_s)
            return await ask(self.camera.name, self.camera.still, within=STILL_S)

    async def _taken(self) -> None:
        try:
            picture = await contained(self._shot)
            self._photo = await asyncio.to_thread(_portrait, picture)
        except (DeviceError, TimeoutError, ValueError) as error:
            log.warning("%s: no photo: %s", self.camera.name, error)
            self._gave_none()
            return
        except Exception:  # a bug in a driver must not stop the booth, nor the station with it
            log.exception("%s: taking a photo", self.camera.name)
            self._gave_none()
            return
        self._taking = None
        self._left = 0
        self._picture = secrets.token_hex(8)
        self._cue = self._new_cue("ok")
        self._go("review", self.review_s)

    def _gave_none(self) -> None:
        self._taking = None
        self._forget()
        self._cue = self._new_cue("stop")
        self._go("no_photo", self.told_s)

    async def _first_frame(self) -> None:
        """Wait until somebody can see themself."""
        async with asyncio.timeout(FIRST_FRAME_S):
            async for frame in self.camera.frames.changes():
                if frame is not None:
                    return

    def _keep(self) -> None:
        photo, member, consented = self._photo, self._member, self._consented
        if photo is None or member is None or consented is None:
            return
        consented_at, language = consented
        data = PhotoData(
            device=self.camera.name,
            who=member.who,
            sha256=hashlib.sha256(photo).hexdigest(),
            size=len(photo),
            consent=Consent(at=consented_at, text=CONSENT, language=language),
        )
        assert self._group is not None
        self._go("keeping", None)
        self._group.create_task(self._kept(data, photo))

    async def _kept(self, data: PhotoData, photo: bytes) -> None:
        try:
            await self.station.store.outbox.put("photo", data, attachment=photo)
        except StoreFull as full:
            log.error("a photo could not be kept: %s", full.key)  # noqa: TRY400
            state, sound = "not_kept", "stop"
        else:
            state, sound = ("kept_offline" if self.station.offline else "kept"), "ok"
        self._forget()
        self._cue = self._new_cue(sound)
        self._go(state, self.told_s)


_ENGAGED = frozenset({"consent", "framing", "count", "review"})
_TRIED_AGAIN = frozenset({"", "unknown", "no_photo"})
"""Where the next badge is most likely shown by whoever stands there already."""


def _portrait(jpeg: bytes) -> bytes:
    from camera.portrait import portrait

    return portrait(jpeg)
