import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from support.screens import (
    CAMILLE,
    DOMINIQUE,
    KEY,
    SACHA,
    STRANGER,
    Bench,
    fill,
    running,
    settle,
    until,
)  # fmt: skip
from support.stores import entry, put

from devices import Health, State
from kiosk import entrance
from kiosk.entrance import Entrance, EntrancePage
from kiosk.station import Station
from mqtt.identity import badge_hash
from store import StoreFull


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "STANDS", {})
    monkeypatch.setattr(entrance, "_STANDS", 0.05)


async def shown(screen: Entrance, made: Bench, badge: str) -> EntrancePage:
    made.reader.show(badge)
    await settle()
    return screen.page.get()


async def test_each_verdict_and_its_fact(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        for badge, state, name, cue in [
            (CAMILLE, "ok", "Camille", "1 ok"),
            (SACHA, "warn", "Sacha", "2 warn"),
            (DOMINIQUE, "stop", "Dominique", "3 stop"),
            (STRANGER, "unknown", "", "4 unknown"),
        ]:
            page = await shown(screen, made, badge)
            assert (page.state, page.name, page.cue) == (state, name, cue)
        facts = await until_facts(made, 4)
    assert [fact["shown"] for fact in facts] == ["ok", "warn", "stop", "unknown"]
    assert facts[0]["who"] == {"kind": "member", "id": int(CAMILLE[-5:])}
    assert facts[3]["who"] is None
    assert facts[3]["badge"] == badge_hash(KEY, STRANGER)
    assert all(CAMILLE not in str(fact) for fact in facts)


async def until_facts(made: Bench, number: int) -> list[dict[str, object]]:
    async with asyncio.timeout(10):
        while len(facts := await made.facts("badge")) < number:
            await asyncio.sleep(0.01)
    return facts


async def test_the_next_shift_is_told_in_the_shops_time(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        page = await shown(screen, made, CAMILLE)
    assert page.next_shift is not None
    assert (page.next_shift.hour, page.next_shift.minute) == (18, 30)


async def test_a_second_badge_interrupts_the_first(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        await shown(screen, made, CAMILLE)
        assert (await shown(screen, made, DOMINIQUE)).name == "Dominique"


async def test_the_screen_rests_by_itself(made: Bench, quick: None) -> None:
    screen = made.entrance()
    async with running(screen):
        await shown(screen, made, CAMILLE)
        await until(screen.page, lambda page: page.state == "idle")


async def test_the_same_badge_again_is_one_passage(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        await shown(screen, made, CAMILLE)
        assert (await shown(screen, made, CAMILLE)).state == "twice"
        await shown(screen, made, SACHA)
        assert len(await until_facts(made, 2)) == 2


async def test_twice_never_says_that_all_is_well_when_it_is_not(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        for badge, state in ((DOMINIQUE, "stop"), (STRANGER, "unknown")):
            await shown(screen, made, badge)
            assert (await shown(screen, made, badge)).state == state


async def test_after_a_while_the_same_badge_is_a_new_passage(made: Bench) -> None:
    screen = made.entrance(twice_s=0.05)
    async with running(screen):
        await shown(screen, made, CAMILLE)
        await asyncio.sleep(0.1)
        assert (await shown(screen, made, CAMILLE)).state == "ok"
        assert len(await until_facts(made, 2)) == 2


@pytest.mark.parametrize(
    "number", ["1234567", "004328", "12345678901234567", "COOP_0012", "069,23659", "0401281997931"]
)
async def test_a_number_that_stands_in_the_directory_is_that_persons_whatever_its_shape(
    made: Bench, number: str
) -> None:
    as_of = made.store.directory.as_of
    assert as_of is not None
    odd = entry(1, badge=badge_hash(KEY, number), first_name="Odile")
    await made.store.directory.replace([odd], as_of)
    screen = made.entrance()
    async with running(screen):
        assert (await shown(screen, made, f"{number}\r")).name == "Odile"
        (fact,) = await until_facts(made, 1)
    assert fact["badge"] == odd.badge


async def test_a_doubtful_number_is_noted_where_nobody_can_say_whose_it_is(empty: Bench) -> None:
    screen = empty.entrance()
    async with running(screen):
        assert (await shown(screen, empty, "1234567")).state == "no_directory"
        assert len(await until_facts(empty, 1)) == 1


@pytest.mark.parametrize("text", ["0420001234005", "1234567", "", "  "])
async def test_an_unreadable_badge_is_no_fact(made: Bench, text: str) -> None:
    screen = made.entrance()
    async with running(screen):
        assert (await shown(screen, made, text)).state == "unreadable"
        await shown(screen, made, CAMILLE)
        assert len(await until_facts(made, 1)) == 1


async def test_a_twelve_digit_read_finds_its_badge(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        assert (await shown(screen, made, CAMILLE[1:])).name == "Camille"


async def test_without_a_directory_the_visit_is_noted_all_the_same(empty: Bench) -> None:
    screen = empty.entrance()
    async with running(screen):
        assert (await shown(screen, empty, CAMILLE)).state == "no_directory"
        facts = await until_facts(empty, 1)
    assert facts[0]["shown"] == "no_directory"
    assert facts[0]["directory_as_of"] is None


async def test_an_old_directory_says_of_when_it_is(made: Bench) -> None:
    await fill(made, age=timedelta(hours=80))
    screen = made.entrance()
    async with running(screen):
        page = await shown(screen, made, CAMILLE)
    assert page.state == "ok"
    assert page.stale is not None


async def test_a_passage_that_cannot_be_written_is_told(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreFull("store.full")

    screen = made.entrance()
    with monkeypatch.context() as patch:
        patch.setattr(made.store.outbox, "put", full)
        async with running(screen):
            page = await shown(screen, made, CAMILLE)
            assert (page.state, page.noted) == ("ok", False)
    async with running(screen):
        assert (await shown(screen, made, CAMILLE)).state == "ok", "it may be tried again at once"
        assert len(await until_facts(made, 1)) == 1


async def test_an_unreadable_disk_is_not_an_unknown_badge(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise StoreFull("store.unwritable")

    monkeypatch.setattr(made.store.directory, "lookup", broken)
    screen = made.entrance()
    async with running(screen):
        assert (await shown(screen, made, CAMILLE)).state == "no_directory"


async def test_the_reader_leaves_and_comes_back(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        made.unplug(made.reader)
        await settle()
        assert screen.page.get().state == "reader_absent"
        made.reader.health.set(Health(State.FAILING, "device.silent"))
        await settle()
        assert screen.page.get().state == "reader_failing"
        made.plug(made.reader)
        await settle()
        assert screen.page.get().state == "idle"


async def test_offline_is_told_and_changes_no_verdict(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        made.go_offline()
        page = await shown(screen, made, CAMILLE)
    assert (page.state, page.offline) == ("ok", True)


async def test_the_badge_brings_its_language_and_a_tap_wins(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        screen.tap("language", "en")
        assert (await shown(screen, made, DOMINIQUE)).language == "en"
        assert (await shown(screen, made, CAMILLE)).language == "fr", "it was Dominique's choice"
        assert (await shown(screen, made, DOMINIQUE)).language == "es"
        screen.tap("language", "fr")
        assert screen.page.get().language == "fr", "also where it is the shop's own"
        assert (await shown(screen, made, STRANGER)).language == "fr"


async def test_a_language_leaves_with_the_answer(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for the tap, and shorter than a language stays when nobody is there.
    monkeypatch.setattr(entrance, "STANDS", {"ok": 2.0})
    screen = made.entrance()
    async with running(screen):
        await shown(screen, made, CAMILLE)
        screen.tap("language", "en")
        assert screen.page.get().language == "en"
        page = await until(screen.page, lambda page: page.state == "idle")
        assert isinstance(page, EntrancePage)
        assert page.language == "fr"


async def test_whoever_was_not_recognised_keeps_their_language_and_tries_again(made: Bench) -> None:
    screen = made.entrance()
    async with running(screen):
        await shown(screen, made, STRANGER)
        screen.tap("language", "en")
        page = await shown(screen, made, CAMILLE)
        assert (page.name, page.language) == ("Camille", "en")


async def test_a_chosen_language_is_forgotten(made: Bench) -> None:
    screen = made.entrance()
    screen.forget_language_s = 0.05
    async with running(screen):
        screen.tap("language", "en")
        assert screen.page.get().language == "en"
        await until(screen.page, lambda page: page.language == "fr")


async def test_a_badge_shown_again_after_a_restart_is_the_same_passage(made: Bench) -> None:
    async with running(screen := made.entrance()):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    async with running(screen := made.entrance()):  # a process of its own remembers nothing
        assert (await shown(screen, made, CAMILLE)).state == "twice"
        assert (await shown(screen, made, SACHA)).state == "warn"
        facts = await until_facts(made, 2)
    assert [fact["who"]["id"] for fact in facts] == [int(CAMILLE[-5:]), int(SACHA[-5:])]


async def test_after_a_restart_an_older_passage_is_no_hindrance(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(screen := made.entrance()):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    (fact,) = made.store.outbox.newest("badge", 1)
    monkeypatch.setattr(entrance, "uptime_ms", lambda: fact.up + 10_000)
    async with running(screen := made.entrance()):
        assert (await shown(screen, made, CAMILLE)).state == "ok"
        await until_facts(made, 2)


@pytest.mark.parametrize(
    ("clock", "jump", "state"),
    [
        ("synced", 3, "twice"),
        ("synced", 30, "ok"),  # longer ago than `twice_s`
        ("synced", -30, "ok"),  # a clock that was set back says nothing
        ("unsynced", 3, "ok"),
    ],
)
async def test_over_a_reboot_the_clock_decides_if_it_can(
    made: Bench, monkeypatch: pytest.MonkeyPatch, clock: str, jump: int, state: str
) -> None:
    async with running(screen := made.entrance()):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    monkeypatch.setattr(entrance, "boot_id", lambda: "another boot")
    then = made.station.now()
    monkeypatch.setattr(Station, "now", lambda _: then + timedelta(seconds=jump))
    made.clock = clock
    async with running(screen := made.entrance()):
        assert (await shown(screen, made, CAMILLE)).state == state


async def test_over_a_reboot_a_passage_that_an_unset_clock_dated_is_no_hindrance(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.clock = "unsynced"
    async with running(screen := made.entrance()):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    made.clock = "synced"
    monkeypatch.setattr(entrance, "boot_id", lambda: "another boot")
    async with running(screen := made.entrance()):
        assert (await shown(screen, made, CAMILLE)).state == "ok"


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_without_a_reboot_a_clock_that_was_set_says_nothing(
    made: Bench, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    async with running(screen := made.entrance()):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    then = made.station.now()
    monkeypatch.setattr(Station, "now", lambda _: then + timedelta(seconds=jump))
    made.clock = "unsynced"
    async with running(screen := made.entrance()):
        assert (await shown(screen, made, CAMILLE)).state == "twice"


@pytest.mark.parametrize(("later", "state"), [(3, "twice"), (5, "ok")])
async def test_a_restart_makes_no_passage_last_longer(
    made: Bench, monkeypatch: pytest.MonkeyPatch, later: int, state: str
) -> None:
    """The station starts 6 seconds after it, of the 10 in which a badge is the same passage."""
    async with running(screen := made.entrance()):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(entrance, "time", SimpleNamespace(monotonic=lambda: clock.now))
    (fact,) = made.store.outbox.newest("badge", 1)
    monkeypatch.setattr(entrance, "uptime_ms", lambda: fact.up + 6000)
    async with running(screen := made.entrance()):
        await settle()
        clock.now += later
        assert (await shown(screen, made, CAMILLE)).state == state


async def test_after_a_restart_the_newest_passage_of_a_badge_counts(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, clock = 500_000, SimpleNamespace(now=100.0)
    monkeypatch.setattr("store.outbox.uptime_ms", lambda: up)
    monkeypatch.setattr(entrance, "uptime_ms", lambda: up)
    monkeypatch.setattr(entrance, "time", SimpleNamespace(monotonic=lambda: clock.now))
    for number in (1, 2):
        async with running(screen := made.entrance(twice_s=5)):
            await shown(screen, made, CAMILLE)
            await until_facts(made, number)
        up += 7000
    async with running(screen := made.entrance(twice_s=15)):
        await settle()
        clock.now += 4  # 18 seconds after the first, 11 after the second
        assert (await shown(screen, made, CAMILLE)).state == "twice"


async def test_after_a_restart_nobody_is_forgotten_because_a_crowd_came_behind(
    made: Bench,
) -> None:
    async with running(screen := made.entrance(twice_s=300)):
        await shown(screen, made, CAMILLE)
        await until_facts(made, 1)
    await put(made.store.outbox, 199)
    async with running(screen := made.entrance(twice_s=300)):
        assert (await shown(screen, made, CAMILLE)).state == "twice"
