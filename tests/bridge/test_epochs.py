"""What station and bridge tell each other of epochs, and what follows for the facts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.inboxes import (
    HERE,
    KEY,
    blob,
    count,
    fact,
    keeps,
    of_epoch,
    oldest,
    photo,
    replay,
    sql,
    state,
    stored,
)
from support.stations import uuid7

from bridge import epochs
from bridge.inbox import Inbox
from bridge.intake import LOST
from bridge.ledger import Gap, Item, Told
from mqtt.messages import EpochKept


async def listed(inbox: Inbox) -> list[str]:
    return [word.epoch for word in (await inbox.ack(HERE)).epochs]


async def waits(inbox: Inbox) -> list[int]:
    return [waiting.envelope.seq for waiting in await inbox.waiting("demo", 99)]


async def all_done(inbox: Inbox) -> None:
    await inbox.done([(waiting, None) for waiting in await inbox.waiting("demo", 999)])


# --- which epochs an ack lists ------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [state(keeps(2, done=2)), state()],
    ids=["it says that all is done", "it keeps nothing of it any more"],
)
async def test_an_epoch_leaves_the_ack_when_both_sides_know_that_it_is_done(
    inbox: Inbox, told: Told
) -> None:
    await inbox.store([fact(1), fact(2)])
    await inbox.store([state()])
    await all_done(inbox)
    assert await listed(inbox) == ["e1"], "the station has not heard of it yet"
    await inbox.store([state(keeps(2, done=1))])
    assert await listed(inbox) == ["e1"], "nor yet"
    await inbox.store([told])
    assert await listed(inbox) == []


async def test_an_epoch_with_a_parked_fact_stays_listed_whatever_the_station_says(
    inbox: Inbox,
) -> None:
    await inbox.store([fact(1), fact(2)])
    await inbox.park(await oldest(inbox), "because")
    await all_done(inbox)
    await inbox.store([state()])
    assert await listed(inbox) == ["e1"]
    (parked,) = await inbox.parked()
    await inbox.retry(parked.id)
    await inbox.store([state()])
    assert await listed(inbox) == ["e1"], "and while it is tried again"


async def test_a_station_that_still_lists_a_fact_as_parked_hears_that_it_is_not(
    inbox: Inbox,
) -> None:
    await inbox.store([fact(1)])
    await inbox.park(await oldest(inbox), "because")
    (parked,) = await inbox.parked()
    await inbox.drop(parked.id)
    await inbox.store([state(keeps(1, done=1, parked=(1,)))])
    ack = await of_epoch(inbox)
    assert (ack.done, ack.parked) == (1, ())
    await inbox.store([state(keeps(1, done=1))])
    assert await listed(inbox) == []


@pytest.mark.parametrize(
    "again",
    [fact(3), state(keeps(2, done=1)), state(keeps(3, done=2))],
    ids=["fact", "less", "new"],
)
async def test_a_closed_epoch_opens_again(inbox: Inbox, again: Item | Told) -> None:
    await inbox.store([fact(1), fact(2)])
    await all_done(inbox)
    await inbox.store([state()])
    assert await listed(inbox) == []
    await inbox.store([again])
    assert await listed(inbox) == ["e1"]


async def test_an_epoch_that_is_done_on_the_station_is_nothing_to_a_bridge_that_lost_it(
    inbox: Inbox,
) -> None:
    outcome = await inbox.store([state(keeps(9, done=9), keeps(5, done=3, epoch="e2"))])
    assert await listed(inbox) == ["e2"]
    assert outcome.gaps == {(HERE, "e2"): Gap(HERE, "e2", 1)}


async def test_of_many_parked_facts_the_newest_thousand_are_listed(inbox: Inbox) -> None:
    """A broker that refused the ack would leave the station without any word."""
    await inbox.store([fact(seq) for seq in range(1, 801)])
    await inbox.store([fact(seq, epoch="e2") for seq in range(1, 402)])
    await inbox.store([fact(1, epoch="e3")])
    for waiting in await inbox.waiting("demo", 1201):
        await inbox.park(waiting, "because")
    await all_done(inbox)
    first, second, third = (await inbox.ack(HERE)).epochs
    assert (first.done, first.listed_from, [p.seq for p in first.parked]) == (
        800, 202, [*range(202, 801)],
    )  # fmt: skip
    assert (second.listed_from, [p.seq for p in second.parked]) == (1, [*range(1, 402)])
    assert (third.listed_from, third.parked) == (1, ())
    assert sum(len(word.parked) for word in (first, second, third)) == 1000
    assert len(await inbox.parked()) == 1201


async def test_a_parked_fact_that_was_never_listed_is_not_taken_for_done(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The station heard "done up to 3, parked: 3": it cannot know of 1 and 2."""
    monkeypatch.setattr("bridge.epochs.PARKED_TOLD", 1)
    await inbox.store([fact(1), fact(2), fact(3)])
    for waiting in await inbox.waiting("demo", 3):
        await inbox.park(waiting, "because")
    await inbox.store([state(keeps(3, done=3, parked=(3,)))])
    assert len(await inbox.parked()) == 3


# --- what the station knows to be done ----------------------------------------------------------


async def test_a_bridge_that_lost_its_folder_applies_only_what_odoo_lacks(inbox: Inbox) -> None:
    await inbox.store([replay(1, done=3, parked=(2,)), *(fact(seq) for seq in range(1, 6))])
    assert await waits(inbox) == [2, 4, 5]
    assert await count(inbox, "done") == 2
    assert (await of_epoch(inbox)).done == 1


async def test_facts_that_wait_in_an_older_copy_are_done_when_the_station_says_so(
    inbox: Inbox,
) -> None:
    await inbox.store(
        [fact(seq, clock="unsynced" if seq == 1 else "synced") for seq in range(1, 7)]
    )
    await inbox.hold(await oldest(inbox))
    await inbox.park(await oldest(inbox), "because")
    await inbox.store([state(keeps(6, done=5, parked=(4,)))])
    assert await waits(inbox) == [4, 6]
    assert await count(inbox, "done") == 4
    assert await inbox.parked() == []


@pytest.mark.parametrize("older_last", [False, True])
async def test_of_two_lists_each_says_something_that_is_done(
    inbox: Inbox, older_last: bool
) -> None:
    """A cloned card knows less of what was done since; what was done stays done."""
    lists = [state(keeps(9, done=4, parked=(2, 3))), state(keeps(9, done=7, parked=(3, 6)))]
    for told in reversed(lists) if older_last else lists:
        await inbox.store([told])
    await inbox.store([fact(seq) for seq in range(1, 10)])
    assert await waits(inbox) == [3, 6, 8, 9]


async def test_a_photo_that_odoo_had_needs_no_bytes_and_keeps_none(inbox: Inbox) -> None:
    one, two = uuid7(), uuid7()
    await inbox.store([
        replay(1, done=2), blob(one, b"jpeg"), photo(1, b"jpeg", one), photo(2, b"other", two),
    ])  # fmt: skip
    assert await stored(inbox) == 2
    assert not list((inbox.folder / "blobs").iterdir())
    assert await sql(inbox, "SELECT * FROM blobs") == []


async def test_the_photo_of_a_fact_that_turns_out_to_be_done_goes(inbox: Inbox) -> None:
    one = uuid7()
    await inbox.store([blob(one, b"jpeg"), photo(1, b"jpeg", one)])
    assert list((inbox.folder / "blobs").iterdir())
    await inbox.store([state(keeps(1, done=1))])
    assert not list((inbox.folder / "blobs").iterdir())


async def test_while_a_replay_is_not_answered_nothing_of_that_epoch_is_taken(inbox: Inbox) -> None:
    """It might be what Odoo has. The answer may come behind the facts; in order with them it counts
    from where it stands.
    """
    await inbox.store([fact(1)])
    outcome = await inbox.store([fact(2), fact(1, epoch="e2")], {KEY})
    assert (await stored(inbox), await stored(inbox, "e2")) == (1, 1)
    assert outcome.gaps == {KEY: Gap(HERE, "e1", 2), (HERE, "e2"): None}
    outcome = await inbox.store([fact(2), replay(2, done=2), fact(2), fact(3)], {KEY})
    assert outcome.answered == {KEY}
    assert await stored(inbox) == 3
    assert await waits(inbox) == [1, 3], "1 is the other epoch's"
    assert await count(inbox, "done") == 2, "2, and 1, which comes before it"


# --- what is gone -------------------------------------------------------------------------------


async def test_what_is_gone_and_was_done_is_passed_over_in_silence(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await inbox.store([state(keeps(9, done=8, first=6)), fact(6), fact(9)])
    assert await stored(inbox) == 6
    assert outcome.gaps == {KEY: Gap(HERE, "e1", 7)}
    assert await count(inbox, "holes") == 0
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("told", "hole"),
    [
        (state(keeps(9, done=3, first=6)), (4, 5)),
        (state(keeps(9, done=9, first=6, parked=(2, 4))), (2, 4)),
        (replay(6), (1, 5)),
    ],
    ids=["done up to 3", "two of them parked", "a replay of which nothing was done"],
)
async def test_what_is_gone_and_was_not_done_is_a_hole(
    inbox: Inbox, told: Told, hole: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    await inbox.store([fact(2), told])
    assert await stored(inbox) == 5
    assert await sql(inbox, "SELECT first, last FROM holes") == [hole]
    assert f"facts {hole[0]} to {hole[1]} are gone" in caplog.text
    await inbox.store([fact(6)])
    assert await stored(inbox) == 6


async def test_a_hole_is_accepted_only_ahead(inbox: Inbox) -> None:
    await inbox.store([fact(1), fact(2), replay(2), state(keeps(9, first=3))])
    assert await stored(inbox) == 2
    assert await count(inbox, "holes") == 0


@pytest.mark.parametrize("first", [10**18, 2**63, 10**30])
@pytest.mark.parametrize("field", ["first", "last", "done"])
async def test_no_station_can_say_away_all_that_it_will_ever_have(
    inbox: Inbox, field: str, first: int
) -> None:
    await inbox.store([fact(1)])
    await inbox.store([Told(HERE, (EpochKept(**{**keeps(1).model_dump(), field: first}),))])
    await inbox.store([fact(2)])
    assert await stored(inbox) == 2
    assert await waits(inbox) == [1, 2]


# --- damaged facts ------------------------------------------------------------------------------


async def test_a_fact_that_the_station_lost_is_parked_and_holds_nobody_up(inbox: Inbox) -> None:
    await inbox.store([fact(1, "damaged"), fact(2)])
    assert [(p.seq, p.why) for p in (await of_epoch(inbox)).parked] == [(1, LOST)]
    assert await waits(inbox) == [2]
    await all_done(inbox)
    (parked,) = await inbox.parked()
    await inbox.drop(parked.id)
    assert ((await of_epoch(inbox)).done, (await of_epoch(inbox)).parked) == (2, ())


async def test_a_fact_that_the_station_lost_after_we_had_it_is_no_matter(inbox: Inbox) -> None:
    await inbox.store([fact(1), fact(1, "damaged")])
    assert await count(inbox, "strays") == 0
    assert await count(inbox, "parked") == 0
    assert await waits(inbox) == [1]


async def test_a_lost_fact_that_odoo_has_is_no_matter(inbox: Inbox) -> None:
    await inbox.store([replay(1, done=1), fact(1, "damaged")])
    assert await count(inbox, "parked") == 0
    assert await stored(inbox) == 1


# --- stations that invent epochs ------------------------------------------------------------------


async def test_a_station_has_at_most_500_epochs_that_are_not_done(inbox: Inbox) -> None:
    await inbox.store([fact(1, epoch=f"x{n}") for n in range(520)])
    assert len(await listed(inbox)) == epochs.OPEN == 500
    assert await count(inbox, "waiting") == 500
    assert await count(inbox, "strays") == 20
    await inbox.store([fact(1, epoch="x1", id=uuid7()), fact(2, epoch="x1"), fact(1, station="b")])
    assert await count(inbox, "waiting") == 502, "its known epochs go on, and so do others"
    await all_done(inbox)
    await inbox.store([fact(1, epoch="new")])
    assert (await listed(inbox))[-1] == "new", "one that is done makes room"
    assert len(await listed(inbox)) == 500


async def test_epochs_that_were_only_named_leave_no_row(inbox: Inbox) -> None:
    for turn in range(3):
        told = [keeps(1, epoch=f"t{turn}-{n}") for n in range(600)]
        outcome = await inbox.store([state(*told)])
        assert len(await listed(inbox)) == 500
    outcome = await inbox.store([state()])
    assert await sql(inbox, "SELECT * FROM streams") == []
    assert len(outcome.gaps) == 500
    assert set(outcome.gaps.values()) == {None}


async def test_numbers_of_parked_facts_are_believed_up_to_a_bound(inbox: Inbox) -> None:
    """With more of them, what lies behind is not believed to be done."""
    many = tuple(range(1, 2 * epochs.TOLD_PARKED, 2))
    await inbox.store([state(keeps(50_000, done=50_000, parked=(*many, 20_001)))])
    ((done, parked),) = await sql(inbox, "SELECT told_done, told_parked FROM streams")
    assert done == 20_000
    assert parked.count(",") == epochs.TOLD_PARKED - 1 == 9_999


@pytest.mark.parametrize("epoch", ["", "x" * 65, "é", "a\nb"])
async def test_an_epoch_without_a_name_that_can_come_back_in_an_ack_is_none(
    inbox: Inbox, epoch: str
) -> None:
    await inbox.store([fact(1, epoch=epoch), state(keeps(3, epoch=epoch))])
    assert await listed(inbox) == []
    assert await count(inbox, "strays") == 1


async def test_how_far_an_epoch_came_is_remembered_longer_than_its_facts(inbox: Inbox) -> None:
    """A card's image that is put back after a year sends facts that were done at that time."""
    await inbox.store([fact(1), fact(2)])
    await all_done(inbox)
    await inbox.store([state(keeps(2, done=2))])
    a_year_ago = datetime.now(UTC) - timedelta(days=365)
    await sql(inbox, f"UPDATE streams SET heard = {int(a_year_ago.timestamp())} * 1000000000")
    await sql(inbox, "UPDATE facts SET received = 0")
    await inbox.prune(30)
    assert await count(inbox, "done") == 0
    await inbox.store([fact(1), fact(2)])
    assert await inbox.waiting("demo", 9) == []
    assert (await of_epoch(inbox)).done == 2


async def test_pruning_forgets_epochs_that_are_closed_and_nothing_else(inbox: Inbox) -> None:
    await inbox.store([fact(1), fact(1, epoch="e2"), state(keeps(1, epoch="e3"))])
    await all_done(inbox)
    await inbox.store([state(keeps(1, epoch="e2"), keeps(1, epoch="e3"))])
    await sql(inbox, "UPDATE facts SET received = 0")
    await sql(inbox, "UPDATE streams SET heard = 0")
    await inbox.prune(30)
    assert await sql(inbox, "SELECT epoch FROM streams ORDER BY stream") == [("e2",), ("e3",)]


async def test_what_a_station_says_may_be_said_by_any(inbox: Inbox) -> None:
    """Nothing of it raises, whatever the numbers."""
    numbers: list[Any] = [0, -1, 1, 5]
    for first in numbers:
        for last in numbers:
            for done in numbers:
                told = state(keeps(last, done, (-1, 0, 3, 9), first=first))
                await inbox.store([told, Told(HERE, told.epochs, replay=True)])
    assert await listed(inbox) in ([], ["e1"])
