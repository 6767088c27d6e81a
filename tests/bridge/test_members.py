"""Odoo's people become a directory of hashes, first names and verdicts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge import profile
from bridge.config import MembersTable
from bridge.members import Directory, canonical, first_name
from bridge.odoo import Odoo
from bridge.standin import StandIn
from bridge.standin.demo import EMPLOYEES, MEMBERS, NAME, PASSWORD, badge_of, stock
from bridge.wire import NotAllowed, Rejected, Unavailable
from bridge.wire.jsonrpc import JsonRpc
from mqtt.digest import shard_digest
from mqtt.identity import badge_hash
from mqtt.messages import Entry

KEY = bytes(32)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Camille Durand", "Camille"),
        ("DURAND Camille", "Camille"),
        ("MOREAU-PETIT Jean-Baptiste", "Jean-Baptiste"),
        ("Durand, Camille", "Camille"),
        ("13 - Durand, Camille", "Camille"),
        ("1234 - Camille DURAND", "Camille"),
        ("CAMILLE", "CAMILLE"),
        ("CAMILLE DURAND", "CAMILLE"),
        ("Ö", "Ö"),
        ("Durand,", "Durand"),
        ("  ", ""),
    ],
)
def test_first_names(name: str, first: str) -> None:
    assert first_name(name) == first


def test_badges_are_hashed_as_stations_look_them_up() -> None:
    assert canonical(" 0420000101006 ") == "0420000101006"
    assert canonical("04a2b3c4d5e680") == "04A2B3C4D5E680"
    assert canonical("Zoe7") == "Zoe7"


@dataclass
class World:
    standin: StandIn
    odoo: Odoo
    directory: Directory

    @property
    def db(self) -> Any:
        return self.standin.database

    def write(self, model: str, record: int, **values: Any) -> None:
        with self.db.transaction():
            self.db.write(model, [record], values)

    def entry(self, badge: str) -> Entry | None:
        wanted = badge_hash(KEY, badge)
        shard = self.directory.shards.get(wanted[:2])
        found = [entry for entry in shard.entries if entry.badge == wanted] if shard else []
        return found[0] if found else None


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with StandIn(stock()) as standin:
        odoo = Odoo("demo", JsonRpc(standin.url, NAME, "bridge", lambda: PASSWORD))
        table = MembersTable(stop=[["ref", "=", "STOP"]], warn=[["ref", "in", ["STOP", "WARN"]]])
        yield World(standin, odoo, Directory(profile.load("stock"), table, KEY))
        await odoo.close()


async def test_everyone_with_a_badge_and_nothing_but_what_a_screen_shows(world: World) -> None:
    await world.directory.refresh(world.odoo, full=True)
    head = world.directory.head
    assert head is not None
    assert head.count == len(MEMBERS) + len(EMPLOYEES)
    assert head.shards == {n: shard_digest(s.entries) for n, s in world.directory.shards.items()}
    camille, nadia = world.entry(badge_of(101)), world.entry(EMPLOYEES[0][2])
    assert camille is not None
    assert nadia is not None
    assert (camille.who.kind, camille.who.id, camille.first_name) == ("member", 101, "Camille")
    assert (camille.verdict, camille.language) == ("ok", "fr")
    assert (nadia.who.kind, nadia.who.id, nadia.language) == ("employee", 11, None)
    told = "".join(shard.model_dump_json() for shard in world.directory.shards.values())
    for secret in ("Durand", "0420000101", "M00101", "Petit"):
        assert secret not in told


async def test_verdicts_come_from_domains_and_the_strictest_counts(world: World) -> None:
    world.write("res.partner", 101, ref="STOP")
    world.write("res.partner", 102, ref="WARN")
    await world.directory.refresh(world.odoo, full=True)
    verdicts = [entry.verdict for n in (101, 102, 103) if (entry := world.entry(badge_of(n)))]
    assert verdicts == ["stop", "warn", "ok"]


async def test_changes_are_found_without_reading_everyone(world: World) -> None:
    past = datetime(2026, 1, 1)  # noqa: DTZ001 - as the stand-in stores it
    for table in (world.db.tables["res.partner"], world.db.tables["hr.employee"]):
        for row in table.values():
            row["write_date"] = past
    await world.directory.refresh(world.odoo, full=True)
    before = dict(world.directory.shards)
    world.db.now = lambda: past + timedelta(seconds=1, microseconds=5)
    world.write("res.partner", 101, ref="STOP")
    world.write("res.partner", 102, active=False)
    world.write("res.partner", 103, barcode=False)
    world.write("res.partner", 104, barcode="0420009999999")
    world.write("hr.employee", 11, active=False)
    await world.directory.refresh(world.odoo, full=False)
    assert (entry := world.entry(badge_of(101))) is not None
    assert entry.verdict == "stop"
    for gone in (badge_of(102), badge_of(103), badge_of(104), EMPLOYEES[0][2]):
        assert world.entry(gone) is None
    assert world.entry("0420009999999") is not None
    unchanged = badge_hash(KEY, badge_of(105))[:2]
    assert world.directory.shards[unchanged] == before[unchanged]
    # A second change within the same second is not missed either.
    world.db.now = lambda: past + timedelta(seconds=1, microseconds=900_000)
    world.write("res.partner", 101, ref="")
    await world.directory.refresh(world.odoo, full=False)
    assert (entry := world.entry(badge_of(101))) is not None
    assert entry.verdict == "ok"


async def test_a_deleted_record_goes_with_the_full_pass(world: World) -> None:
    await world.directory.refresh(world.odoo, full=True)
    with world.db.transaction():
        world.db.unlink("res.partner", [101])
    await world.directory.refresh(world.odoo, full=False)
    assert world.entry(badge_of(101)) is not None
    await world.directory.refresh(world.odoo, full=True)
    assert world.entry(badge_of(101)) is None


async def test_a_badge_shared_by_a_member_and_an_employee_is_the_employees(world: World) -> None:
    world.write("res.partner", 101, barcode=EMPLOYEES[0][2])
    await world.directory.refresh(world.odoo, full=True)
    assert (entry := world.entry(EMPLOYEES[0][2])) is not None
    assert entry.who.kind == "employee"


async def test_what_was_known_stays_when_odoo_is_away(world: World) -> None:
    await world.directory.refresh(world.odoo, full=True)
    head = world.directory.head
    await world.standin.down()
    with pytest.raises(Unavailable):
        await world.directory.refresh(world.odoo, full=False)
    assert world.directory.head is head
    assert world.odoo.state.get().key == "odoo.unavailable"


async def test_a_change_is_told_although_the_next_source_did_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a member who was stopped could shop until the next change of anybody."""
    await world.directory.refresh(world.odoo, full=True)
    world.write("res.partner", 101, ref="STOP")
    call = world.odoo.call

    async def without_employees(model: str, *args: Any, **kwargs: Any) -> Any:
        if model == "hr.employee":
            raise Unavailable("hr.employee.search_read: ReadTimeout")
        return await call(model, *args, **kwargs)

    monkeypatch.setattr(world.odoo, "call", without_employees)
    for full in (True, False):
        with pytest.raises(Unavailable):
            await world.directory.refresh(world.odoo, full=full)
    monkeypatch.undo()
    await world.directory.refresh(world.odoo, full=False)
    assert (entry := world.entry(badge_of(101))) is not None
    assert entry.verdict == "stop"


async def test_what_is_written_during_a_full_pass_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass takes longer than the few seconds that each look goes back."""
    began = datetime(2026, 1, 1)  # noqa: DTZ001 - as the stand-in stores it
    for table in (world.db.tables["res.partner"], world.db.tables["hr.employee"]):
        for row in table.values():
            row["write_date"] = began
    call = world.odoo.call

    async def slow(model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        answer = await call(model, method, *args, **kwargs)
        if method == "search":  # the verdicts are known, the records not yet
            world.db.now = lambda: began + timedelta(seconds=10)
            world.write("res.partner", 101, ref="STOP")
            world.db.now = lambda: began + timedelta(seconds=30)
            world.write("res.partner", 102, ref="")
        return answer

    monkeypatch.setattr(world.odoo, "call", slow)
    world.directory._sources[0]._verdicts = {"stop": [["ref", "=", "STOP"]]}
    await world.directory.refresh(world.odoo, full=True)
    monkeypatch.undo()
    await world.directory.refresh(world.odoo, full=False)
    assert (entry := world.entry(badge_of(101))) is not None
    assert entry.verdict == "stop"


async def test_all_members_gone_at_once_locks_nobody_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights, a company's badges or a domain changed; a few people may go like any others."""
    monkeypatch.setattr("bridge.members.MANY", len(MEMBERS))
    await world.directory.refresh(world.odoo, full=True)
    badges = {number: row["barcode"] for number, row in world.db.tables["res.partner"].items()}
    for number in badges:
        world.db.tables["res.partner"][number]["barcode"] = None
    with pytest.raises(Rejected, match="nobody is there any more"):
        await world.directory.refresh(world.odoo, full=True)
    assert world.entry(badge_of(101)) is not None
    world.db.tables["res.partner"][101]["barcode"] = badges[101]
    for _, _, badge in EMPLOYEES:
        assert world.entry(badge) is not None
    for number in list(world.db.tables["hr.employee"]):
        world.write("hr.employee", number, active=False)
    await world.directory.refresh(world.odoo, full=True)
    assert world.directory.head is not None
    assert world.directory.head.count == 1


async def test_a_bridge_that_starts_and_sees_nobody_says_nothing(world: World) -> None:
    for table in (world.db.tables["res.partner"], world.db.tables["hr.employee"]):
        for row in table.values():
            row["barcode"] = None
    for _ in range(2):
        with pytest.raises(Rejected, match="nobody with a badge"):
            await world.directory.refresh(world.odoo, full=True)
    assert world.directory.head is None
    world.write("res.partner", 101, barcode=badge_of(101))
    await world.directory.refresh(world.odoo, full=False)
    assert world.entry(badge_of(101)) is not None


@pytest.mark.parametrize("badge", ["", "  "])
async def test_an_empty_badge_is_nobodys(world: World, badge: str) -> None:
    world.db.tables["res.partner"][101]["barcode"] = badge
    await world.directory.refresh(world.odoo, full=True)
    assert world.entry("") is None
    assert world.directory.head is not None
    assert world.directory.head.count == len(MEMBERS) + len(EMPLOYEES) - 1


async def test_many_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.odoo.PAGE", 3)
    await world.directory.refresh(world.odoo, full=True)
    assert world.directory.head is not None
    assert world.directory.head.count == len(MEMBERS) + len(EMPLOYEES)


async def test_without_the_right_to_read_badges_nothing_is_published(world: World) -> None:
    lowly = Odoo("demo", JsonRpc(world.standin.url, NAME, "lowly", lambda: "lowly"))
    with pytest.raises(NotAllowed):
        await world.directory.refresh(lowly, full=True)
    assert world.directory.head is None
    await lowly.close()
