import pytest
from support.damage import change
from support.stores import opened

from store.journal import KEEP
from store.opening import FILE


async def test_the_newest_line_comes_first_and_nothing_has_to_be_waited_for(tmp_path):
    async with opened(tmp_path) as store:
        store.journal.add("warning", "device.unplugged", {"port": "usb"}, "scale")
        store.journal.add("info", "device.back", device="scale")
        back, unplugged = await store.journal.recent()
        assert (back.key, back.level, back.device) == ("device.back", "info", "scale")
        assert unplugged.params == {"port": "usb"}
        assert unplugged.at <= back.at


async def test_lines_cost_no_fsync_of_their_own(tmp_path):
    async with opened(tmp_path) as store:
        before = store.commits
        for n in range(100):
            store.journal.add("info", "x.y", {"n": str(n)})
        await store.journal.recent()
        assert store.commits == before


async def test_only_the_newest_are_kept(tmp_path):
    async with opened(tmp_path) as store:
        for n in range(KEEP + 500):
            store.journal.add("info", "x.y", {"n": str(n)})
        lines = await store.journal.recent(KEEP * 2)
        assert len(lines) == KEEP
        assert lines[0].params["n"] == str(KEEP + 499)
        store.journal.add("info", "x.z")
        assert len(await store.journal.recent(KEEP * 2)) == KEEP


async def test_lines_are_there_after_a_restart_and_numbers_go_on(tmp_path):
    async with opened(tmp_path) as store:
        store.journal.add("info", "x.first")
    async with opened(tmp_path) as store:
        store.journal.add("info", "x.second")
        assert [line.key for line in await store.journal.recent()] == ["x.second", "x.first"]


@pytest.mark.parametrize(
    "wrong",
    [
        "params = '{\"n\": '",
        "params = '[]'",
        "at = 'yesterday'",
        "at = '2026-11-21T17:13:22'",
        "level = 'odd'",
        "key = CAST(x'ff' AS TEXT)",
    ],
)
async def test_a_line_that_the_disk_has_changed_hides_no_other(tmp_path, wrong):
    async with opened(tmp_path) as store:
        for n in range(3):
            store.journal.add("info", "x.y", {"n": str(n)})
        await store.journal.recent()
    sql = f"UPDATE journal SET {wrong} WHERE params LIKE '%1%'"
    assert change(tmp_path / FILE, sql) == 1
    async with opened(tmp_path) as store:
        told = [line.params["n"] for line in await store.journal.recent() if line.key == "x.y"]
        assert told == ["2", "0"]
