"""The JSON-RPC wire against answers that real servers gave, and against servers that break."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.serving import serving

from bridge.standin import StandIn
from bridge.standin.demo import NAME, PASSWORD, stock
from bridge.wire import (
    Denied,
    NotAllowed,
    OdooError,
    ProgrammingFault,
    Rejected,
    Unavailable,
    error_of,
)
from bridge.wire.jsonrpc import JsonRpc

CAPTURES = Path(__file__).parents[1] / "captures" / "odoo"
MEANING = {
    "odoo18-jsonrpc-err-access-denied": Denied,
    "odoo19-jsonrpc-err-access-denied": Denied,
    "odoo9-jsonrpc-err-access-denied": Denied,
    "odoo18-jsonrpc-authenticate-unknown-db": Unavailable,
    "odoo18-jsonrpc-lowly-attendance-create": NotAllowed,
    "odoo18-jsonrpc-err-private-method": NotAllowed,
    "odoo18-jsonrpc-attendance-create-overlap": Rejected,
    "odoo19-jsonrpc-attendance-create-overlap": Rejected,
    "odoo18-jsonrpc-fr-err-second-open": Rejected,
    "odoo18-jsonrpc-err-write-missing": Rejected,
    "odoo18-jsonrpc-err-model": Rejected,
    "odoo18-jsonrpc-partner-image-write-notimage": Rejected,
    "odoo18-jsonrpc-attendance-create-iso-T": ProgrammingFault,
    "odoo18-jsonrpc-err-method": ProgrammingFault,
    "odoo18-jsonrpc-err-unknown-kwarg": ProgrammingFault,
    "odoo19-jsonrpc-err-field-write": ProgrammingFault,
}


def wire(url: str, password: str = PASSWORD, login: str = "bridge") -> JsonRpc:
    return JsonRpc(url, NAME, login, lambda: password)


@pytest.fixture
async def odoo() -> AsyncIterator[StandIn]:
    async with StandIn(stock()) as standin:
        yield standin


@pytest.mark.parametrize("name", MEANING)
def test_what_a_real_error_means(name: str) -> None:
    data = json.loads((CAPTURES / f"{name}.json").read_text())["response"]["error"]["data"]
    error = error_of(data["name"], data["message"], "model.method")
    assert type(error) is MEANING[name]
    assert data["message"] not in error.why
    assert error.detail == data["message"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("psycopg2.errors.SerializationFailure", Unavailable),
        ("builtins.MemoryError", Unavailable),
        ("odoo.exceptions.LockError", Unavailable),
        ("odoo.exceptions.RedirectWarning", Rejected),
        ("", Unavailable),
    ],
)
def test_other_classes(name: str, kind: type[OdooError]) -> None:
    assert type(error_of(name, "", "x")) is kind


async def test_calls_and_a_context_in_each(odoo: StandIn) -> None:
    spoken = JsonRpc(odoo.url, NAME, "bridge", lambda: PASSWORD, context={"bin_size": True})
    assert await spoken.user() == 8
    assert await spoken.version() == 18
    assert await spoken.call("res.partner", "search", [["barcode", "=", "nobody"]]) == []
    assert await spoken.call("res.partner", "read", [101], ["name"], context={"lang": "x"}) == [
        {"id": 101, "name": "Camille Durand"}
    ]
    await spoken.close()


async def test_a_method_that_returns_none_has_no_result() -> None:
    captured = (CAPTURES / "odoo9-jsonrpc-log_move-in.json").read_text()
    async with answering(json.dumps(json.loads(captured)["response"]).encode()) as url:
        spoken = wire(url)
        spoken._session = (1, "x")
        assert await spoken.call("res.partner", "log_move", [56], "in") is None
        await spoken.close()


async def test_a_wrong_password_is_denied_and_a_new_one_taken_without_a_restart(
    odoo: StandIn,
) -> None:
    passwords = ["wrong"]
    spoken = JsonRpc(odoo.url, NAME, "bridge", lambda: passwords[0])
    with pytest.raises(Denied):
        await spoken.call("res.partner", "search_count", [])
    passwords[0] = PASSWORD
    assert await spoken.call("res.partner", "search_count", []) == 9
    # The key is revoked under us, and the file already has the next one.
    spoken._session = (8, "revoked")
    assert await spoken.call("res.partner", "search_count", []) == 9
    await spoken.close()


async def test_no_secret_and_no_text_of_odoo_is_logged_or_shown(
    odoo: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    spoken = wire(odoo.url)
    with pytest.raises(Rejected) as caught:
        await spoken.call(
            "hr.attendance", "create", {"employee_id": 99, "check_in": "2026-01-01 00:00:00"}
        )
    assert "operation" not in str(caught.value)
    assert PASSWORD not in caplog.text + repr(caught.value) + str(caught.value)
    await spoken.close()


async def test_silence_of_every_sort_is_unavailable(odoo: StandIn) -> None:
    spoken = wire(odoo.url)
    odoo.faults.html = 1
    with pytest.raises(Unavailable, match="HTTP 502"):
        await spoken.call("res.partner", "search_count", [])
    assert await spoken.user() == 8
    odoo.faults.lose = 1
    with pytest.raises(Unavailable):
        await spoken.call("res.partner", "write", [101], {"ref": "kept"})
    assert odoo.database.tables["res.partner"][101]["ref"] == "kept"
    await odoo.down()
    with pytest.raises(Unavailable, match="ConnectError"):
        await spoken.call("res.partner", "search_count", [])
    await spoken.close()


async def test_a_server_that_does_not_answer_in_time(
    odoo: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.wire.jsonrpc.ANSWER_S", 0.2)
    odoo.faults.slow_s = 5
    spoken = wire(odoo.url)
    with pytest.raises(Unavailable, match="ReadTimeout"):
        await spoken.version()
    await spoken.close()


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """``async with answering(body) as url``: an HTTP server that says 200 and this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with serving(answer) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Maintenance</html>",
        b"[]",
        b"\xff\xfe",
        b'{"error": "no"}',
        b'{"error": {"code": 100, "message": "Odoo Session Expired"}}',
        b'{"result": {"server_version_info": []}}',
    ],
)
async def test_answers_that_are_no_odoos(body: bytes) -> None:
    async with answering(body) as url:
        spoken = wire(url)
        with pytest.raises(Unavailable):
            await spoken.version()
        await spoken.close()
