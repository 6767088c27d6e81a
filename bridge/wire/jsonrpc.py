"""Odoo's JSON-RPC (`POST /jsonrpc`), which 9 to 19 answer.

The one rule: a call is sent once. Only the login is repeated, once, when a call says that the
password no longer holds, because a new key may have been put into its file in the meantime.

HTTP status is 200 for every error of Odoo's own; what happened stands in `error.data.name`. A
method that returns None answers without `result`. Odoo closes every connection.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from bridge.wire import Denied, Unavailable, error_of
from mqtt.secrets import SecretError
from mqtt.tls import Tls

CONNECT_S = 10.0
ANSWER_S = 15.0


class JsonRpc:
    """One user of one database over JSON-RPC.

    `password` (may raise `SecretError`) is asked again at each login: a key can be replaced while
    the bridge runs.
    `context` goes with each call (language, companies). `ca` is the authority of the server's
    certificate, if the system does not trust it anyway; it is read before the first call.
    """

    def __init__(
        self,
        url: str,
        db: str,
        login: str,
        password: Callable[[], str],
        *,
        context: Mapping[str, Any] | None = None,
        ca: Path | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/jsonrpc"
        self._db = db
        self._login = login
        self._password = password
        self._context = dict(context or {})
        self._ca = ca
        self._client: httpx2.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._session: tuple[int, str] | None = None

    async def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        what = f"{model}.{method}"
        if self._context:
            kwargs = {**kwargs, "context": {**self._context, **kwargs.get("context", {})}}
        for attempt in (1, 2):
            uid, password = self._session or await self._authenticate()
            try:
                return await self._post(
                    what,
                    "object",
                    "execute_kw",
                    [self._db, uid, password, model, method, list(args), kwargs],
                )
            except Denied:
                self._session = None
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def user(self) -> int:
        uid, _ = self._session or await self._authenticate()
        return uid

    async def version(self) -> int:
        answer = await self._post("version", "common", "version", [])
        try:
            return int(answer["server_version_info"][0])
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise Unavailable("version: not an Odoo") from error

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _authenticate(self) -> tuple[int, str]:
        try:
            password = self._password()
        except SecretError as error:
            raise Denied(f"login: {error}") from None
        uid = await self._post(
            "login", "common", "authenticate", [self._db, self._login, password, {}]
        )
        if not isinstance(uid, int) or uid is False:
            raise Denied("login: refused")
        self._session = (uid, password)
        return self._session

    async def _post(self, what: str, service: str, method: str, args: list[Any]) -> Any:
        body = {
            "jsonrpc": "2.0",
            "method": "call",
            "id": 1,
            "params": {"service": service, "method": method, "args": args},
        }
        client = await self._open(what)
        try:
            response = await client.post(self._url, json=body)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"{what}: {_why(error)}") from None
        if response.status_code != 200:
            raise Unavailable(f"{what}: HTTP {response.status_code}")
        try:
            answer = response.json()
        except ValueError:
            raise Unavailable(f"{what}: the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise Unavailable(f"{what}: the answer is not JSON-RPC")
        if "error" in answer:
            raise _error(answer["error"], what)
        return answer.get("result")

    async def _open(self, what: str) -> httpx2.AsyncClient:
        async with self._opening:  # one client, also for two who call at once
            if self._client is None:
                try:
                    context = await asyncio.to_thread(Tls(self._ca).context)
                except OSError as error:
                    raise Unavailable(f"{what}: {error}") from None
                patience = httpx2.Timeout(ANSWER_S, connect=CONNECT_S)
                self._client = httpx2.AsyncClient(verify=context, timeout=patience)
            return self._client


def _why(error: Exception) -> str:
    """``ConnectError (Connection refused)``: the library tells all that fails alike; what the
    system said stands in the errors behind it.
    """
    name = type(error).__name__
    if isinstance(error, httpx2.TimeoutException):
        return name
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{name} (certificate refused: {cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"{name} (TLS: {cause.reason})"
        if isinstance(cause, OSError) and cause.errno:
            # asyncio puts a text of its own in place of the system's; getaddrinfo's are negative.
            said = os.strerror(cause.errno) if cause.errno > 0 else cause.strerror
            return f"{name} ({said})"
    return name


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):  # a host with several addresses: one for each
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__


def _error(error: Any, what: str) -> Exception:
    data = error.get("data") if isinstance(error, dict) else None
    if not isinstance(data, dict):
        return Unavailable(f"{what}: an error without a name")
    return error_of(str(data.get("name", "")), str(data.get("message", "")), what)
