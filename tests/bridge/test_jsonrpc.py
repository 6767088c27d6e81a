"""The JSON-RPC wire against answers that real servers gave, and against servers that break."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.certificates import authority, of_server, strict_by_default
from support.serving import passing_on, serving

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
    with pytest.raises(Unavailable, match=r"ConnectError \(Connection refused\)"):
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
async def encrypted(odoo: StandIn, pki: Path) -> AsyncIterator[str]:
    """``async with encrypted(odoo, pki) as url``: the same Odoo by HTTPS."""
    authority(pki, "server")
    async with serving(passing_on(odoo.port), tls=of_server(pki)) as port:
        yield f"https://127.0.0.1:{port}"


@asynccontextmanager
async def spoken_to(url: str, ca: Path | None = None) -> AsyncIterator[JsonRpc]:
    spoken = JsonRpc(url, NAME, "bridge", lambda: PASSWORD, ca=ca)
    try:
        yield spoken
    finally:
        await spoken.close()


async def test_an_odoo_behind_the_shop_s_own_authority(
    odoo: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict_by_default(monkeypatch)
    async with (
        encrypted(odoo, tmp_path) as url,
        spoken_to(url, tmp_path / "ca.crt") as spoken,
    ):
        assert await asyncio.gather(spoken.version(), spoken.version()) == [18, 18]
        assert await spoken.call("res.partner", "search_count", []) == 9


async def test_an_odoo_whose_authority_the_system_trusts(
    odoo: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict_by_default(monkeypatch)
    async with encrypted(odoo, tmp_path) as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
        async with spoken_to(url) as spoken:
            assert await spoken.version() == 18


async def test_an_odoo_that_cannot_prove_who_it_is_is_told_as_such(
    odoo: StandIn, tmp_path: Path
) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with encrypted(odoo, tmp_path) as url, serving(plain) as port:
        other_name = url.replace("127.0.0.1", "localhost")
        for wrong, ca, told in (
            (url, None, "certificate refused: unable to get local issuer certificate"),
            (other_name, tmp_path / "ca.crt", "certificate refused: Hostname mismatch"),
            (f"https://127.0.0.1:{port}", None, "TLS: "),
        ):
            async with spoken_to(wrong, ca) as spoken:
                with pytest.raises(Unavailable, match=rf"login: ConnectError \({told}"):
                    await spoken.user()


async def test_an_authority_s_file_that_comes_later_is_read_then(
    odoo: StandIn, tmp_path: Path
) -> None:
    ca = tmp_path / "late.crt"
    async with encrypted(odoo, tmp_path) as url, spoken_to(url, ca) as spoken:
        with pytest.raises(Unavailable, match=rf"login: ca: {ca}: no such file"):
            await spoken.user()
        ca.write_bytes((tmp_path / "ca.crt").read_bytes())
        assert await spoken.user() == 8


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("localhost", "Connection refused"),  # of both its addresses, where it has two
        ("no-such-machine.invalid", ""),  # in the words of the system's resolver
    ],
)
async def test_why_there_is_no_connection_is_told(host: str, told: str) -> None:
    async with spoken_to(f"http://{host}:1") as spoken:
        with pytest.raises(Unavailable, match=rf"login: ConnectError \({told}[^()]*\)"):
            await spoken.user()


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
