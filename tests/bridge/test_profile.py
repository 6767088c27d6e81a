"""A new kind of Odoo is one file, and a module where it acts otherwise: newcoop/ is such a one."""

import base64
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.bridging import KEY, bridge_here, write_config
from support.broker import mosquitto
from support.inboxes import opened, sql
from support.stations import FakeStation as Station

from bridge import effects, profile
from bridge.config import ConfigError, MembersTable, ProductsTable, load
from bridge.inbox import Inbox
from bridge.members import Directory
from bridge.odoo import Odoo, to_odoo
from bridge.post import Post
from bridge.products import Shelf
from bridge.profile import Profile
from bridge.site import Site
from bridge.standin import StandIn
from bridge.standin.demo import NAME, PASSWORD, PRODUCTS, badge_of, stock
from bridge.standin.fields import Field
from bridge.standin.models import MODELS, Model
from bridge.wire import Rejected
from bridge.wire.jsonrpc import JsonRpc
from mqtt.identity import badge_hash
from mqtt.messages import FACT_KINDS, Entry

NEWCOOP = Path(__file__).with_name("newcoop")
HASH_KEY = bytes.fromhex(KEY)
MEMBERS: dict[int, dict[str, Any]] = {
    101: {"customer": True, "cooperative_state": "up_to_date"},
    102: {"customer": True, "cooperative_state": "alert"},
    103: {"customer": False, "cooperative_state": "up_to_date"},
    104: {"customer": True, "cooperative_state": "blocked"},
    105: {"customer": True},
}


@pytest.fixture
def newcoop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if its two files lay in the bridge's folders."""
    monkeypatch.setattr(profile, "FOLDER", NEWCOOP)
    monkeypatch.setattr(effects, "__path__", [*effects.__path__, str(NEWCOOP)])


@pytest.fixture
async def standin(newcoop: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """The stand-in with the models of the newcoop's Odoo."""
    partner = MODELS["res.partner"]
    fields = {
        **partner.fields,
        "is_member": Field("boolean", default=False),
        "customer": Field("boolean", default=False),
        "cooperative_state": Field("selection"),
        "image": Field("image"),
    }
    person = Field("many2one", relation="res.partner", required=True)
    nomenclature = Field("many2one", relation="barcode.nomenclature")
    company = Field("many2one", relation="res.company")
    for name, model in {
        "res.partner": replace(partner, fields=fields),
        "newcoop.passage": Model("Passage", {"partner_id": person, "at": Field("datetime")}),
        "shift.registration": Model(
            "Registration",
            {"partner_id": person, "date_begin": Field("datetime"), "state": Field("selection")},
        ),
        "pos.config": Model(
            "Till", {"company_id": company, "barcode_nomenclature_id": nomenclature}
        ),
    }.items():
        monkeypatch.setitem(MODELS, name, model)
    db = stock()
    with db.transaction():
        for member, values in MEMBERS.items():
            db.write("res.partner", [member], {"is_member": True, **values})
        for _ in range(2):
            db.create("pos.config", {"company_id": 1, "barcode_nomenclature_id": 1})
    async with StandIn(db) as standin:
        yield standin


@pytest.fixture
async def odoo(standin: StandIn) -> AsyncIterator[Odoo]:
    odoo = Odoo("demo", JsonRpc(standin.url, NAME, "bridge", lambda: PASSWORD))
    yield odoo
    await odoo.close()


def config(
    folder: Path, *, odoo: str = "http://127.0.0.1:1", broker: str = "mqtt://127.0.0.1:1"
) -> Path:
    path = write_config(folder, broker=broker, odoo=odoo, password=PASSWORD)
    text = path.read_text()
    path.write_text(text.replace('login = "bridge"', 'login = "bridge"\nprofile = "newcoop"'))
    return path


def shift(standin: StandIn, member: int, begin: datetime, state: str = "open") -> None:
    values = {"partner_id": member, "date_begin": to_odoo(begin), "state": state}
    with standin.database.transaction():
        standin.database.create("shift.registration", values)


def entries(directory: Directory) -> dict[int, Entry]:
    return {e.who.id: e for shard in directory.shards.values() for e in shard.entries}


def jpeg() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 40)).save(out, "JPEG")
    return out.getvalue()


# --- the new profile at work ------------------------------------------------------------------


async def test_its_facts_have_its_effects_once(standin: StandIn, tmp_path: Path) -> None:
    at = datetime(2026, 7, 20, 8, 0, tzinfo=UTC)
    async with mosquitto(tmp_path / "broker") as broker:
        standin.faults.lose = 1
        path = config(tmp_path, odoo=standin.url, broker=broker.url)
        async with bridge_here(load(path)), Station(broker.url, "demo", "entree") as station:
            station.badge(member=101, at=at)
            station.badge(member=102, at=at + timedelta(minutes=1))
            station.badge(employee=11, at=at)
            station.photo(jpeg(), 101)
            ack = await station.settled()
    assert ack.parked == ()
    passages = standin.database.tables["newcoop.passage"].values()
    assert [(row["partner_id"], row["at"].hour, row["at"].minute) for row in passages] == [
        (101, 8, 0),
        (102, 8, 1),
    ]
    assert base64.b64decode(standin.database.tables["res.partner"][101]["image_1920"]) == jpeg()
    assert standin.state()["attendances"] == []
    async with opened(tmp_path / "inbox") as inbox:
        assert await sql(inbox, "SELECT count(*) FROM record") == [(1,)]  # the employee's badge


async def test_a_photo_has_no_place_for_whom_the_profile_does_not_know(
    standin: StandIn, tmp_path: Path
) -> None:
    async with mosquitto(tmp_path / "broker") as broker:
        path = config(tmp_path, odoo=standin.url, broker=broker.url)
        async with bridge_here(load(path)), Station(broker.url, "demo", "entree") as station:
            photo = station.photo(jpeg(), 11)
            data = {**photo.data, "who": {"kind": "employee", "id": 11}}
            station.rows.clear()
            station.fact("photo", data, blob=jpeg())
            ack = await station.settled()
    assert [parked.why for parked in ack.parked] == ["the profile: no field for photos (employee)"]


async def test_verdicts_come_from_a_state_and_the_authority(standin: StandIn, odoo: Odoo) -> None:
    table = MembersTable(warn=[["ref", "=", "M00101"]])
    directory = Directory(profile.load("newcoop"), table, HASH_KEY)
    await directory.refresh(odoo, full=True)
    assert {who: entry.verdict for who, entry in entries(directory).items()} == {
        101: "warn",  # the shop's own domain; up to date otherwise
        102: "warn",
        103: "stop",  # not a customer, whatever the state
        104: "stop",  # a state that the profile does not name
        105: "stop",  # no state
    }
    told = "".join(shard.model_dump_json() for shard in directory.shards.values())
    assert "blocked" not in told
    with standin.database.transaction():
        standin.database.write("res.partner", [104], {"cooperative_state": "exempted"})
    await directory.refresh(odoo, full=False)
    assert entries(directory)[104].verdict == "ok"


async def test_the_next_shift_is_the_earliest_to_come(standin: StandIn, odoo: Odoo) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    soon, later = now + timedelta(days=3), now + timedelta(days=31)
    for begin, state in (
        (now - timedelta(days=1), "open"),
        (now + timedelta(days=1), "cancel"),
        (later, "draft"),
        (soon, "open"),
    ):
        shift(standin, 101, begin, state)
    directory = Directory(profile.load("newcoop"), MembersTable(), HASH_KEY)
    await directory.refresh(odoo, full=True)
    assert entries(directory)[101].next_shift == soon
    assert entries(directory)[102].next_shift is None
    shift(standin, 102, later)
    with standin.database.transaction():
        standin.database.write("res.partner", [102], {"name": "Ahmed Benali"})
    await directory.refresh(odoo, full=False)
    assert entries(directory)[102].next_shift == later
    assert entries(directory)[101].next_shift == soon


async def test_a_persons_own_record_may_hold_the_next_shift(
    standin: StandIn, odoo: Odoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS["res.partner"]
    fields = {**model.fields, "next_shift": Field("datetime")}
    monkeypatch.setitem(MODELS, "res.partner", replace(model, fields=fields))
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    with standin.database.transaction():
        standin.database.write("res.partner", [101], {"next_shift": to_odoo(begin)})
    content = profile.load("newcoop").model_dump()
    content["next_shift"] = {"model": "res.partner", "person": "id", "at": "next_shift"}
    directory = Directory(Profile.model_validate(content), MembersTable(), HASH_KEY)
    await directory.refresh(odoo, full=True)
    assert entries(directory)[101].next_shift == begin
    assert entries(directory)[101].badge == badge_hash(HASH_KEY, badge_of(101))


async def test_the_tills_hold_the_nomenclature(standin: StandIn, odoo: Odoo) -> None:
    table = ProductsTable(domain=[["to_weight", "=", True]])
    shelf = Shelf("demo", profile.load("newcoop"), table, None)
    await shelf.refresh(odoo)
    assert shelf.catalogue is not None
    assert len(shelf.catalogue.products) == len(PRODUCTS)
    with standin.database.transaction():
        other = standin.database.create("barcode.nomenclature", {"name": "Other"})
        standin.database.write("pos.config", [1], {"barcode_nomenclature_id": other})
    with pytest.raises(Rejected, match=r"pos\.config: company 1 has more than one"):
        await shelf.refresh(odoo)


# --- what a profile may leave out, and what it may not ----------------------------------------


async def test_what_a_profile_lacks_does_not_take_place(newcoop: None, tmp_path: Path) -> None:
    (site,) = load(config(tmp_path)).site
    inbox = await Inbox.open(tmp_path / "inbox")
    bare = Profile.model_validate({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile, "load", lambda _: bare)
        shop = Site(site, "edged/v1", inbox, Post(), lambda _: None)
    assert not shop.directory.has_sources
    assert shop.shelf is None
    assert shop.status()["products"] is None
    assert shop.status()["left_out"] == {}
    await inbox.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ('"passage"', '"pasage"', "effects.badge: no such effect; .*passage, record"),
        ('"passage"', '"attendance"', r"\[attendance\] is missing, needed by badge = "),
        ("[unit]", "[unti]", r"unti: Extra inputs"),
        ('[unit]\nmodel = "uom.uom"\nname = "name"\nrounding = "rounding"', "", "each other"),
        ('state = "cooperative_state"', "", "member: state and verdicts: one needs the other"),
        ('alert = "warn"', 'alert = "orange"', "member.verdicts.alert"),
        ("domain = [", 'domain = ["|", ', "member.domain: .* two terms"),
        ("[member]", "[member", "expected"),
    ],
)
def test_a_profile_that_cannot_be_used_is_told_with_the_configuration(
    newcoop: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    said: str,
) -> None:
    text = (NEWCOOP / "newcoop.toml").read_text()
    assert old in text
    (tmp_path / "newcoop.toml").write_text(text.replace(old, new) if old else text)
    monkeypatch.setattr(profile, "FOLDER", tmp_path)
    path = config(tmp_path)
    if not said:
        load(path)
        return
    with pytest.raises(ConfigError, match=rf"\[site\.odoo\] \(no\. 1\) profile: .*{said}"):
        load(path)


def test_every_profile_and_every_effect_that_ships_can_be_used() -> None:
    assert "stock" in profile.names()
    for name in profile.names():
        profile.load(name)
    assert effects.names() == ["attendance", "image", "record"]
    for name in effects.names():
        effect = effects.load(name)
        assert set(effect.NEEDS) <= set(Profile.model_fields)
        assert callable(effect.apply)
    with pytest.raises(KeyError):
        effects.load("nothing")
    with pytest.raises(KeyError):
        profile.load("nothing")


def test_every_kind_of_fact_has_an_effect() -> None:
    """But for `clock`, which dates other facts, and for `damaged`, which a person sees to."""
    assert set(profile.Effects.model_fields) == FACT_KINDS.keys() - {"clock", "damaged"}
