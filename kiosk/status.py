"""What the technician's page tells: every device, the links, the store, the machine, the journal.

The one rule: it shows what is known and since when, each fault with one sentence of remedy, and
nothing personal: no name, no badge number.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from badge_reader import BadgeReader
from camera import Camera
from devices import Device, State
from kiosk import words
from kiosk.station import Station
from kiosk.words import Language
from printer import Paper, Printer
from scale import Scale

_THERMOMETER = Path("/sys/class/thermal/thermal_zone0/temp")
_MOODS = {
    State.STARTING: "fair",
    State.UP: "good",
    State.DEGRADED: "fair",
    State.ABSENT: "bad",
    State.FAILING: "bad",
    State.REFUSED: "bad",
}
_JOURNAL_LINES = 20
_DISK_FULL = 90
_HOT = 80
_OLD_DIRECTORY_S = 72 * 3600
_OLD_CATALOGUE_S = 48 * 3600
_BRIDGE_AWAY_S = 600
_STALL_BAD_S = 3600


@dataclass(frozen=True, slots=True)
class DeviceLine:
    name: str
    family: str
    state: str
    mood: str
    key: str
    sentence: str
    remedy: str
    since_s: float
    latest: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the right-hand table. `what` names it for machines, `value` is its number."""

    what: str
    name: str
    text: str
    mood: str
    value: object


@dataclass(frozen=True, slots=True)
class JournalLine:
    at: str
    level: str
    device: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    station: str
    build: str
    up_s: float
    devices: tuple[DeviceLine, ...]
    rows: tuple[Row, ...]
    journal: tuple[JournalLine, ...]

    def as_json(self) -> dict[str, object]:
        """For ``/status.json``: the same, and nothing more."""
        return asdict(self)


async def report(station: Station, language: Language) -> Report:
    """Look at everything now. Cheap enough for every two seconds, and only when asked."""
    now = datetime.now(UTC)
    lines = await station.store.journal.recent(_JOURNAL_LINES)
    return Report(
        station=station.name,
        build=station.build,
        up_s=(now - station.started).total_seconds(),
        devices=tuple(_device(device, language, now) for device in station.devices.values()),
        rows=tuple(_Rows(station, language, now).all()),
        journal=tuple(
            JournalLine(
                at=words.stamp(line.at.astimezone(station.timezone)),
                level=line.level,
                device=line.device,
                key=line.key,
                text=words.said(language, line.key, **line.params),
            )
            for line in lines
        ),
    )


def _device(device: Device, language: Language, now: datetime) -> DeviceLine:
    health = device.health.get()
    return DeviceLine(
        name=device.name,
        family=_family(device),
        state=health.state.value,
        mood=_MOODS[health.state],
        key=health.key,
        sentence=words.said(language, health.key, **health.params) if health.key else "",
        remedy=words.remedy(language, health.key, **health.params),
        since_s=(now - health.since).total_seconds(),
        latest=_latest(device, language),
    )


def _family(device: Device) -> str:
    kinds = ((BadgeReader, "reader"), (Scale, "scale"), (Printer, "printer"), (Camera, "camera"))
    return next((name for kind, name in kinds if isinstance(device, kind)), "other")


def _latest(device: Device, language: Language) -> str:
    if isinstance(device, Scale):
        reading = device.reading.get()
        grams = reading.grams if reading else None
        return words.weight(language, grams) if grams is not None else ""
    if isinstance(device, Printer) and device.paper.get() is not Paper.UNKNOWN:
        return words.say(language, f"status.paper_{device.paper.get()}")
    return ""


class _Rows:
    def __init__(self, station: Station, language: Language, now: datetime) -> None:
        self._station = station
        self._language = language
        self._now = now

    def all(self) -> Sequence[Row]:
        rows = [self._mqtt(), self._bridge(), *self._outbox(), self._directory()]
        rows += [self._catalogue(), self._clock(), self._disk(), *self._temperature()]
        rows += self._stall()
        if self._station.store.set_aside is not None:
            name = self._station.store.set_aside.name
            rows.append(self._row("set_aside", name, "bad", name))
        return rows

    def _say(self, key: str, **params: object) -> str:
        return words.say(self._language, key, **params)

    def _row(self, what: str, text: str, mood: str, value: object) -> Row:
        return Row(what, self._say(f"status.{what}"), text, mood, value)

    def _ago(self, at: datetime) -> float:
        return (self._now - at).total_seconds()

    def _span(self, at: datetime) -> str:
        return words.span(self._language, self._ago(at))

    def _stamp(self, at: datetime) -> str:
        return words.stamp(at.astimezone(self._station.timezone))

    def _mqtt(self) -> Row:
        if self._station.link is None:
            return self._row("mqtt", self._say("status.alone"), "good", None)
        link = self._station.link.get()
        text = words.said(self._language, link.key, **link.params)
        return self._row("mqtt", text, "good" if link.up else "bad", link.up)

    def _bridge(self) -> Row:
        seen = self._station.bridge_seen.get()
        if seen is None:
            mood = "good" if self._station.link is None else "fair"
            return self._row("bridge", self._say("status.bridge_never"), mood, None)
        mood = "fair" if self._ago(seen) > _BRIDGE_AWAY_S else "good"
        text = self._say("status.bridge_seen", span=self._span(seen))
        return self._row("bridge", text, mood, self._ago(seen))

    def _outbox(self) -> Sequence[Row]:
        status = self._station.store.outbox.status()
        text = self._say("status.waiting_none")
        if status.oldest_at is not None:
            number = words.count(self._language, status.waiting)
            text = self._say("status.waiting_some", count=number, span=self._span(status.oldest_at))
        parked = words.count(self._language, status.parked)
        return (
            self._row("waiting", text, "fair" if status.waiting else "good", status.waiting),
            self._row("parked", parked, "bad" if status.parked else "good", status.parked),
        )

    def _directory(self) -> Row:
        directory = self._station.store.directory
        if directory.as_of is None:
            return self._row("directory", self._say("status.none_yet"), "fair", 0)
        number = words.count(self._language, directory.count)
        text = self._say("status.directory_is", count=number, when=self._stamp(directory.as_of))
        mood = "bad" if self._ago(directory.as_of) > _OLD_DIRECTORY_S else "good"
        return self._row("directory", text, mood, directory.count)

    def _catalogue(self) -> Row:
        catalogue = self._station.store.catalogue.current.get()
        if catalogue is None:
            return self._row("catalogue", self._say("status.none_yet"), "fair", 0)
        number = len(catalogue.products)
        when = self._stamp(catalogue.as_of)
        count = words.count(self._language, number)
        text = self._say("status.catalogue_is", count=count, when=when)
        mood = "bad" if self._ago(catalogue.as_of) > _OLD_CATALOGUE_S else "good"
        return self._row("catalogue", text, mood, number)

    def _clock(self) -> Row:
        clock = self._station.clock()
        mood = {"synced": "good", "holdover": "fair", "unsynced": "bad"}[clock]
        return self._row("clock", self._say(f"status.clock_{clock}"), mood, clock)

    def _disk(self) -> Row:
        try:
            usage = shutil.disk_usage(self._station.folder)
        except OSError:  # the folder was removed, or its disk pulled out, under the station
            return self._row("disk", self._say("status.disk_gone"), "bad", None)
        percent = round(100 * (usage.total - usage.free) / usage.total)
        mood = "bad" if percent > _DISK_FULL else "good"
        return self._row("disk", self._say("status.disk_is", percent=percent), mood, percent)

    def _stall(self) -> Sequence[Row]:
        stall = self._station.stall.get()
        if stall is None:
            return ()
        who = stall.device or stall.where
        text = self._say(
            "status.stalled_by",
            who=who,
            seconds=words.decimal(self._language, stall.seconds),
            when=self._stamp(stall.at),
            times=words.count(self._language, stall.times),
        )
        mood = "bad" if self._ago(stall.at) < _STALL_BAD_S else "fair"
        known = {"device": stall.device, "where": stall.where, "seconds": stall.seconds}
        return (self._row("stalled", text, mood, known | {"times": stall.times}),)

    def _temperature(self) -> Sequence[Row]:
        try:
            degrees = int(_THERMOMETER.read_text(encoding="ascii")) // 1000
        except (OSError, ValueError):
            return ()
        mood = "bad" if degrees > _HOT else "good"
        return (self._row("temperature", f"{degrees}{words.NBSP}°C", mood, degrees),)
