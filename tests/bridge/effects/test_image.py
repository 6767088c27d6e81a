"""A kept portrait gets into the person's file, once, and is looked at afterwards."""

import base64
import io
from collections.abc import AsyncIterator

import pytest

from bridge import profile
from bridge.effects import image
from bridge.odoo import Odoo
from bridge.standin import StandIn
from bridge.standin.demo import NAME, PASSWORD, stock
from bridge.wire import Final, Rejected
from bridge.wire.jsonrpc import JsonRpc

MEMBER = profile.load("stock").member
EMPLOYEE = profile.load("stock").employee


def jpeg(side: int = 64, colour: int = 90) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 120, 40)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn(stock()) as standin:
        yield standin


@pytest.fixture
async def odoo(standin: StandIn) -> AsyncIterator[Odoo]:
    odoo = Odoo("demo", JsonRpc(standin.url, NAME, "bridge", lambda: PASSWORD))
    yield odoo
    await odoo.close()


def kept(standin: StandIn, person: int, model: str = "res.partner") -> bytes:
    return base64.b64decode(standin.database.tables[model][person]["image_1920"])


async def test_members_and_employees(standin: StandIn, odoo: Odoo) -> None:
    await image.write(odoo, MEMBER, 101, jpeg())
    await image.write(odoo, EMPLOYEE, 11, jpeg(32))
    assert kept(standin, 101) == jpeg()
    assert kept(standin, 11, "hr.employee") == jpeg(32)


async def test_the_same_photo_is_not_written_again(standin: StandIn, odoo: Odoo) -> None:
    await image.write(odoo, MEMBER, 101, jpeg())
    await image.write(odoo, MEMBER, 101, jpeg())
    assert standin.server.calls["res.partner.write"] == 1
    await image.write(odoo, MEMBER, 101, jpeg(colour=10))
    assert kept(standin, 101) == jpeg(colour=10)


async def test_one_that_odoo_makes_smaller_is_kept_too(standin: StandIn, odoo: Odoo) -> None:
    await image.write(odoo, MEMBER, 101, jpeg(2400))
    from PIL import Image

    with Image.open(io.BytesIO(kept(standin, 101))) as picture:
        assert picture.size == (1920, 1920)


async def test_refusals(standin: StandIn, odoo: Odoo, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected, match=r"res\.partner\.write: UserError"):
        await image.write(odoo, MEMBER, 101, b"no picture")
    with pytest.raises(Final, match="no such person"):
        await image.write(odoo, MEMBER, 4711, jpeg())
    monkeypatch.setattr("bridge.standin.database.Database.write", lambda *_: None)
    with pytest.raises(Rejected, match="not kept"):
        await image.write(odoo, MEMBER, 101, jpeg())
