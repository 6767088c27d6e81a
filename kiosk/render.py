"""From a screen's page to HTML: sentences, numbers and classes, in the page's language.

The one rule: what a person may read is said here and in the templates, from the page alone; the
state machines know no words and the browser decides nothing.
"""

import re
from collections.abc import Mapping
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Protocol

from kiosk import words
from kiosk.booth import BoothPage
from kiosk.entrance import EntrancePage
from kiosk.settings import ScaleSettings
from kiosk.station import Station
from kiosk.weighing_page import WeighingPage
from kiosk.words import Language

Values = Mapping[str, str]


class Spoken(Protocol):
    """Anything with a language: every page."""

    @property
    def language(self) -> Language: ...


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("kiosk"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def clock_of(station: Station) -> str:
    """What the page's clock shows; nothing while the time is not known."""
    return station.now().strftime("%H:%M") if station.time_is_known else ""


def fragment(station: Station, name: str, page: Spoken, **more: object) -> str:
    """The inside of a page: what a ``screen`` event carries."""
    return _render(f"{name}.html", station, name, page, more)


def document(
    station: Station, name: str, page: Spoken, *, token: str, version: str, **more: object
) -> str:
    """A whole page."""
    return _render("page.html", station, name, page, {**more, "token": token, "version": version})


def home(station: Station, screens: list[str], *, version: str, missing: bool) -> str:
    page = SimpleNamespace(language=station.language)
    more = {"screens": screens, "missing": missing, "token": "", "version": version}
    return _render("page.html", station, "home", page, more)


def _render(
    template: str, station: Station, name: str, page: Spoken, more: Mapping[str, object]
) -> str:
    language = page.language
    common: dict[str, Any] = {
        "station": station,
        "name": name,
        "page": page,
        "clock": clock_of(station),
        "say": partial(words.say, language),
        "weight": partial(words.weight, language),
        "price": partial(words.price, language),
        "day": partial(words.day, language),
        "span": partial(words.span, language),
    }
    shared = SimpleNamespace(**common)
    text: str = _environment().get_template(template).render(**common, self_=shared, **more)
    return text


def entrance(page: EntrancePage) -> dict[str, object]:
    say = partial(words.say, page.language)
    looks = {"twice": "ok", "idle": "idle", "no_directory": "info", "unreadable": "unknown"}
    sign = looks.get(page.state, page.state)
    if page.state in ("reader_absent", "reader_failing"):
        sign = "away"
    more = []
    if page.state == "stop":
        more.append(say("entrance.stop.more"))
    if page.next_shift and page.state in ("ok", "warn"):
        when = words.moment(page.language, page.next_shift)
        more.append(say("entrance.next_shift", when=when))
    if page.stale:
        more.append(say("entrance.stale", day=words.day(page.language, page.stale)))
    if not page.noted:
        more.append(say("entrance.not_noted"))
    tone = sign if sign in ("ok", "warn", "stop", "idle") else "info"
    return {
        "title": say(f"entrance.{page.state}.title", name=page.name).strip(),
        "long": _is_long(page.name),
        "sign": sign if sign != "info" else "idle",
        "tone": tone,
        "more": more,
    }


_LONG_NAME, _LONG_WORD = 18, 11
_WORD = re.compile(r"[\s-]+")


def _is_long(name: str) -> bool:
    """Whether a greeting is set smaller, so that a long name pushes nothing off the screen."""
    return len(name) > _LONG_NAME or any(len(word) > _LONG_WORD for word in _WORD.split(name))


_TOLD = frozenset(
    {
        "take",
        "tare_ask",
        "tare_done",
        "over",
        "below_zero",
        "paper",
        "printer_absent",
        "printer_failing",
        "scale_absent",
        "scale_failing",
        "no_catalogue",
        "refused",
        "not_printed",
    }
)


def values_of_scale(page: WeighingPage) -> Values:
    """What moves on the scale's screen, by id."""
    digits = "" if page.grams is None else words.kilos(page.language, page.grams)
    if page.state == "moving":
        digits = "–,–––" if page.language != "en" else "–.–––"
    total = "" if page.cents is None else words.money(page.language, page.cents)
    return {"weight": digits, "total": total}


def scale(page: WeighingPage, settings: ScaleSettings) -> dict[str, object]:
    say = partial(words.say, page.language)
    given = {
        "min": words.limit(page.language, settings.min_g),
        "max": words.limit(page.language, settings.max_g),
        "tare": words.limit(page.language, page.tare_g),
        "e": words.limit(page.language, settings.e_g),
    }
    more = []
    if page.problem:
        more.append(words.said(page.language, page.problem.key, **page.problem.params))
        if not page.problem.sure:
            more.append(say("weighing.not_printed_unsure"))
    if page.state in ("scale_absent", "scale_failing", "scale_silent", "over", "below_zero"):
        steady = "unknown"
    elif page.state == "moving":
        steady = "settling"
    else:
        steady = "zero" if page.grams == 0 else "stable" if page.grams is not None else "settling"
    return {
        "values": values_of_scale(page),
        "shelf": page.shelf,
        "told": say(f"weighing.{page.state}.title", **given) if page.state in _TOLD else "",
        "told_more": more,
        "told_short": say(f"weighing.{page.state}", **given),
        "dictated": "" if page.grams is None else words.weight(page.language, page.grams),
        "desk": page.state == "not_printed",
        "steady": say(f"weighing.{steady}"),
        "limits": say("weighing.limits", **given),
    }


_BUTTONS: dict[str, tuple[tuple[str, str], ...]] = {
    "consent": (("start", "go"), ("no", "plain")),
    "framing": (("cancel", "quiet"),),
    "count": (("cancel", "quiet"),),
    "review": (("keep", "go"), ("again", "plain"), ("erase", "quiet")),
    "kept": (("done", "plain"),),
    "kept_offline": (("done", "plain"),),
    "dropped": (("done", "plain"),),
    "not_kept": (("done", "plain"),),
    "no_photo": (("done", "plain"),),
    "unknown": (("done", "plain"),),
}
_SIGNS = {
    "kept": ("ok", "ok"),
    "kept_offline": ("ok", "ok"),
    "not_kept": ("stop", "stop"),
    "no_photo": ("warn", "warn"),
    "unknown": ("unknown", "info"),
    "camera_absent": ("away", "info"),
    "camera_failing": ("away", "info"),
    "reader_absent": ("away", "info"),
}


def photo(page: BoothPage) -> dict[str, object]:
    say = partial(words.say, page.language)
    sign, tone = _SIGNS.get(page.state, ("", ""))
    more = say(f"photo.{page.state}.more") if page.state in ("consent", "review") else ""
    return {
        "title": say(f"photo.{page.state}.title", name=page.name),
        "long": _is_long(page.name),
        "more": more,
        "sign": sign,
        "tone": tone,
        "buttons": [{"do": do, "look": look} for do, look in _BUTTONS.get(page.state, ())],
    }
