"""Who may ask: pages of this very machine, and taps only from a page that we gave.

The one rule: a page is answered only under a loopback name (no other site can lend us its name),
a tap only with the same origin and the page's token, and each tap has one effect.
"""

import hashlib
import hmac
import secrets
from collections import deque

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_REMEMBERED = 512


class Guard:
    """ASGI middleware: refuses strangers, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        app = self._app if welcome(scope["method"], Headers(scope=scope)) else _FORBIDDEN
        await app(scope, receive, with_headers)


_FORBIDDEN = PlainTextResponse("This page is for this machine only.", status_code=403)


def welcome(method: str, headers: Headers) -> bool:
    """Whether a request may be answered at all."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in _HOSTS and host not in _HOSTS:
        return False
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    return method in ("GET", "HEAD") or headers.get("origin") == f"http://{host}"


class Tokens:
    """A token for each page given out; it outlives a restart of the daemon, as the page does."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, b"kiosk page token", hashlib.sha256).digest()

    def make(self, page: str) -> str:
        nonce = secrets.token_hex(8)
        return f"{nonce}.{self._sign(page, nonce)}"

    def fits(self, page: str, token: str) -> bool:
        nonce, _, signature = token.partition(".")
        return hmac.compare_digest(signature.encode(), self._sign(page, nonce).encode())

    def _sign(self, page: str, nonce: str) -> str:
        return hmac.new(self._key, f"{page} {nonce}".encode(), hashlib.sha256).hexdigest()[:32]


class Once:
    """Remembers the newest taps by their id, so that one sent twice has one effect."""

    def __init__(self) -> None:
        self._order: deque[str] = deque(maxlen=_REMEMBERED)

    def first(self, tap: str) -> bool:
        if tap in self._order:
            return False
        self._order.append(tap)
        return True
