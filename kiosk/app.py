"""The web face of the screens: pages, streams, taps, pictures.

The one rule: nothing is decided here. A page shows what a state machine says, a tap goes to it.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from devices import Value
from devices.contained import ask
from kiosk import render
from kiosk.alive import Alive
from kiosk.booth import Booth
from kiosk.entrance import Entrance
from kiosk.guard import Guard, Once, Tokens
from kiosk.screen import Screen
from kiosk.station import Station
from kiosk.status import report
from kiosk.stream import HEARTBEAT_S, QUICK_S, View, beating, event, events, heartbeat
from kiosk.weighing import Weighing
from kiosk.words import Language, language_of
from printer import NotPrinted

_TYPES = {"kiosk.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
_PARTS = "kioskframe"
_LONGEST_BODY = 1000


def build(
    station: Station,
    entrance: Entrance | None = None,
    weighing: Weighing | None = None,
    booth: Booth | None = None,
) -> Starlette:
    """The application for the screens that this station has; `/status` is always there."""
    return _Pages(station, entrance, weighing, booth).app()


def _nothing(_: object) -> dict[str, str]:
    return {}


def _views(
    entrance: Entrance | None, weighing: Weighing | None, booth: Booth | None
) -> dict[str, View]:
    def view(screen: Screen[Any], draw: Any, **more: Any) -> View:
        same = {"frame": lambda page: page, "values": _nothing, **more}
        return View(screen.name, screen.page, screen.tap, draw, **same)

    views = []
    if entrance is not None:
        views.append(view(entrance, render.entrance))
    if weighing is not None:
        draw = partial(render.scale, settings=weighing.settings)
        values = render.values_of_scale
        frame, beat = (lambda page: page.frame), QUICK_S
        views.append(view(weighing, draw, frame=frame, values=values, beat_s=beat))
    if booth is not None:
        views.append(view(booth, render.photo))
    return {view.name: view for view in views}


class _Pages:
    def __init__(
        self,
        station: Station,
        entrance: Entrance | None,
        weighing: Weighing | None,
        booth: Booth | None,
    ) -> None:
        self._station = station
        self._weighing = weighing
        self._booth = booth
        self._views = _views(entrance, weighing, booth)
        self._tokens = Tokens(station.badge_key)
        self._once = Once()
        self._alive = Alive()
        self._static = {
            name: files("kiosk").joinpath("static", name).read_bytes() for name in _TYPES
        }
        content = b"".join(self._static.values())
        self._version = hashlib.sha256(content).hexdigest()[:8]
        self._status_language: Value[Language] = Value(station.language)

    def app(self) -> Starlette:
        routes = [
            Route("/", self._home),
            Route("/status", self._status),
            Route("/status.json", self._status_json),
            Route("/status/stream", self._status_stream),
            Route("/status/tap", self._status_tap, methods=["POST"]),
            Route("/static/{name}", self._file),
            Route("/alive", self._say_alive, methods=["POST"]),
            Route("/alive/{token}", self._seconds_since_alive),
            Route("/photo/preview.mjpg", self._preview),
            Route("/photo/shot.jpg", self._shot),
            Route("/scale/label.png", self._label),
            Route("/{name}", self._page),
            Route("/{name}/stream", self._stream),
            Route("/{name}/tap", self._tap, methods=["POST"]),
        ]
        return Starlette(routes=routes, middleware=[Middleware(Guard)])

    # --- pages -----------------------------------------------------------------------------

    async def _home(self, _: Request) -> Response:
        return self._menu(missing=False)

    def _menu(self, *, missing: bool) -> Response:
        screens = [*self._views, "status"]
        html = render.home(self._station, screens, version=self._version, missing=missing)
        return HTMLResponse(html, status_code=404 if missing else 200)

    async def _page(self, request: Request) -> Response:
        view = self._views.get(request.path_params["name"])
        if view is None:
            return self._menu(missing=True)
        page = view.page.get()
        return HTMLResponse(
            render.document(
                self._station,
                view.name,
                page,
                token=self._tokens.make(view.name),
                version=self._version,
                **view.draw(page),
            )
        )

    async def _stream(self, request: Request) -> Response:
        view = self._view(request)

        def html(page: Any) -> str:
            return render.fragment(self._station, view.name, page, **view.draw(page))

        return _streaming(events(self._station, view, html))

    async def _tap(self, request: Request) -> Response:
        view = self._view(request)
        do, what = await self._tapped(request, view.name)
        if do:
            view.tap(do, what)
        return Response(status_code=204)

    def _view(self, request: Request) -> View:
        view = self._views.get(request.path_params["name"])
        if view is None:
            raise HTTPException(404)
        return view

    async def _tapped(self, request: Request, name: str) -> tuple[str, str]:
        """What was tapped; nothing if this very tap came before. Raises 403 or 400."""
        if not self._tokens.fits(name, request.headers.get("x-token", "")):
            raise HTTPException(403)
        body = await _body(request)
        try:
            tap = json.loads(body)
            do, what, known = tap["do"], tap.get("what", ""), tap["id"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HTTPException(400) from error
        if not all(isinstance(text, str) for text in (do, what, known)):
            raise HTTPException(400)
        return (do, what) if self._once.first(f"{name} {known}") else ("", "")

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            raise HTTPException(404)
        forever = {"Cache-Control": "max-age=31536000, immutable"}
        headers = forever if request.url.query == self._version else {}
        return Response(self._static[name], media_type=_TYPES[name], headers=headers)

    # --- the life of the kiosk's own page -------------------------------------------------

    async def _say_alive(self, request: Request) -> Response:
        token = (await _body(request)).decode("ascii", "replace")
        if not self._alive.say(token):
            raise HTTPException(400)
        return Response(status_code=204)

    async def _seconds_since_alive(self, request: Request) -> Response:
        token = request.path_params["token"]
        return JSONResponse({"seconds": self._alive.seconds_since(token)})

    # --- pictures --------------------------------------------------------------------------

    async def _preview(self, _: Request) -> Response:
        booth = self._booth
        if booth is None or not booth.page.get().watching:
            raise HTTPException(404)
        return StreamingResponse(
            _frames(booth), media_type=f"multipart/x-mixed-replace; boundary={_PARTS}"
        )

    async def _shot(self, _: Request) -> Response:
        photo = self._booth.photo() if self._booth else None
        if photo is None:
            raise HTTPException(404)
        return Response(photo, media_type="image/jpeg")

    async def _label(self, _: Request) -> Response:
        picture = self._weighing.picture() if self._weighing else None
        if picture is None:
            raise HTTPException(404)
        printer, label = picture
        try:
            png = await ask(
                printer.name, lambda: asyncio.to_thread(printer.preview, label), within=10
            )
        except NotPrinted as error:
            raise HTTPException(404) from error
        return Response(png, media_type="image/png")

    # --- the technician's page -------------------------------------------------------------

    async def _status_html(self) -> dict[str, Any]:
        language = self._status_language.get()
        known = await report(self._station, language)
        return {"page": _StatusPage(language), "report": known}

    async def _status(self, _: Request) -> Response:
        parts = await self._status_html()
        page = parts.pop("page")
        token = self._tokens.make("status")
        html = render.document(
            self._station, "status", page, token=token, version=self._version, **parts
        )
        return HTMLResponse(html)

    async def _status_json(self, _: Request) -> Response:
        known = await report(self._station, self._station.language)
        return JSONResponse(known.as_json())

    async def _status_stream(self, _: Request) -> Response:
        return _streaming(self._status_events())

    async def _status_events(self) -> AsyncIterator[bytes]:
        last = ""
        async for _ in beating(self._status_language.changes(), HEARTBEAT_S):
            yield heartbeat(self._station, HEARTBEAT_S)
            parts = await self._status_html()
            html = render.fragment(self._station, "status", parts.pop("page"), **parts)
            if html != last:
                yield event("screen", html)
                last = html

    async def _status_tap(self, request: Request) -> Response:
        do, what = await self._tapped(request, "status")
        if do == "language":
            self._status_language.set(language_of(what, self._station.language))
        elif do == "retry" and what in self._station.devices:
            self._station.devices[what].retry.set()
        return Response(status_code=204)


class _StatusPage:
    """The technician's page has no states of its own."""

    cue = ""

    def __init__(self, language: Language) -> None:
        self.language = language


async def _body(request: Request) -> bytes:
    """What was posted. Raises 413: our pages post little."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise HTTPException(413)
    return body


def _streaming(chunks: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(chunks, media_type="text/event-stream")


async def _frames(booth: Booth) -> AsyncIterator[bytes]:
    """The preview, for as long as the booth itself looks through the camera."""
    boundary = f"--{_PARTS}\r\n".encode()
    yield boundary
    flowed = False
    async for frame in booth.camera.frames.changes():
        if not booth.page.get().watching or (flowed and frame is None):
            return
        flowed = frame is not None
        if frame is not None:
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(frame.jpeg)}\r\n\r\n"
            # A browser shows a picture only once it has read the boundary after it.
            yield head.encode() + frame.jpeg + b"\r\n" + boundary
