"""The stand-in's own ways: files, faults, and bytes that are no request."""

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from bridge.standin import StandIn
from bridge.standin.demo import BADGES, NAME, PASSWORD, stock
from bridge.standin.domains import compile_domain
from bridge.wire import Rejected
from bridge.wire.jsonrpc import JsonRpc


@pytest.fixture
async def odoo() -> AsyncIterator[StandIn]:
    async with StandIn(stock()) as standin:
        yield standin


async def test_every_answer_closes_the_connection(odoo: StandIn) -> None:
    async with httpx2.AsyncClient() as client:
        request = {"params": {"service": "common", "method": "version", "args": []}, "id": 1}
        answer = await client.post(odoo.url + "/jsonrpc", json=request)
        assert answer.headers["connection"] == "close"
        assert answer.json()["result"]["server_serie"] == "18.0"
        assert (await client.get(odoo.url + "/web")).status_code == 404
        assert (await client.post(odoo.url + "/jsonrpc", content=b"{")).status_code == 400


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n\r\n",
        b"POST /jsonrpc HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /jsonrpc HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
        b"POST /jsonrpc HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}",
        bytes(range(256)) * 1000,
        b"",
    ],
)
async def test_garbage_hurts_nobody_else(odoo: StandIn, garbage: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", odoo.port)
    writer.write(garbage)
    writer.write_eof()
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 10)
    writer.close()
    spoken = JsonRpc(odoo.url, NAME, "bridge", lambda: PASSWORD)
    assert await spoken.user() == 8
    await spoken.close()


async def test_records_are_kept_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "odoo.json"
    call = (
        "load",
        ["id", "employee_id/.id", "check_in"],
        [["edged.1", "11", "2026-11-20 08:00:00"]],
    )
    for _ in range(2):
        async with StandIn(stock(), state=file) as odoo:
            spoken = JsonRpc(odoo.url, NAME, "bridge", lambda: PASSWORD, context={"tz": "UTC"})
            assert await spoken.call("hr.attendance", *call) == {
                "ids": [1], "messages": [], "nextrow": 0,
            }  # fmt: skip
            assert len(odoo.state()["attendances"]) == 1
            await spoken.close()


async def test_state_and_faults_over_http(odoo: StandIn) -> None:
    async with httpx2.AsyncClient(base_url=odoo.url) as client:
        state = (await client.get("/standin/state")).json()
        assert state["members"] == 8
        assert state["products"] == 13
        assert (await client.post("/standin/faults", json={"slow_s": 0.01})).status_code == 200
        assert odoo.faults.slow_s == 0.01
        assert (await client.post("/standin/faults", json={"nope": 1})).status_code == 400
        assert (await client.post("/standin/faults", content=b"[")).status_code == 400
    json.dumps(odoo.state())


async def test_one_bad_record_of_a_call_undoes_the_call(odoo: StandIn) -> None:
    spoken = JsonRpc(odoo.url, NAME, "bridge", lambda: PASSWORD)
    before = len(odoo.database.tables["res.partner"])
    rows = [{"name": "A", "barcode": "0421"}, {"name": "B", "barcode": "0421"}]
    with pytest.raises(Rejected):
        await spoken.call("res.partner", "create", rows)
    assert len(odoo.database.tables["res.partner"]) == before
    await spoken.close()


async def test_pictures_are_scaled_down_and_never_up(odoo: StandIn) -> None:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (400, 300)).save(out, "JPEG")
    spoken = JsonRpc(odoo.url, NAME, "bridge", lambda: PASSWORD)
    picture = base64.b64encode(out.getvalue()).decode()
    await spoken.call("res.partner", "write", [101], {"image_1920": picture})
    fields = ["image_1920", "image_512", "image_128"]
    (row,) = await spoken.call("res.partner", "read", [101], fields)
    assert row["image_1920"] == row["image_512"] == picture
    with Image.open(io.BytesIO(base64.b64decode(row["image_128"]))) as small:
        assert small.size == (128, 96)
    (sizes,) = await spoken.call("res.partner", "read", [101], fields, context={"bin_size": True})
    assert sizes["image_1920"].endswith(" Kb")
    await spoken.close()


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ([], True),
        ([["a", "=", 1]], True),
        ([["a", "!=", 1]], False),
        (["!", ["a", "=", 1]], False),
        (["|", ["a", "=", 2], ["b", "=", False]], True),
        (["|", ["a", "=", 2], ["b", "!=", False], ["a", "=", 1]], False),
        (["&", ["a", ">=", 1], ["a", "<=", 1], ["c", "ilike", "MILL"]], True),
        ([["a", "in", [1, 2]], ["a", "not in", [3]]], True),
        ([["b", ">", 0]], False),
    ],
)
def test_domains(domain: list[object], found: bool) -> None:
    record = {"a": 1, "b": None, "c": "Camille"}
    assert compile_domain(domain, 18)(record.get) is found


@pytest.mark.parametrize("domain", [["|", ["a", "=", 1]], ["x"], [["a", "?", 1]], [["a", "="]]])
def test_malformed_domains(domain: list[object]) -> None:
    with pytest.raises(ValueError):
        compile_domain(domain, 18)


def test_the_demos_badges_are_readable() -> None:
    from badge_reader.number import candidates

    assert all(candidates(badge)[0] == badge for badge in BADGES.values())
