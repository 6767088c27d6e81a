"""The judge itself: each kind of fault is counted as what it is, and as nothing else."""

from collections.abc import Iterable

import pytest
from faults.judge import Attendance, Parked, Truth, Verdict, judge

NINE, TEN, NOON = (f"2026-11-26 {hour}:00:00" for hour in ("09", "10", "12"))
ANNE, BORIS = 1, 2


def truth(*passages: tuple[int, str], shown: Iterable[int] = ()) -> Truth:
    """These badges are on a disk; `shown` names people who badged in vain besides."""
    kept = {f"fact-{number}": passage for number, passage in enumerate(passages)}
    told = Truth(kept=kept)
    told.shown.update([whose for whose, _ in passages])
    told.shown.update(shown)
    return told


def rows(*ends: tuple[int, str, str | None]) -> list[Attendance]:
    return [Attendance(number, *row) for number, row in enumerate(ends)]


DAY = truth((ANNE, NINE), (ANNE, NOON), (BORIS, TEN))


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([(ANNE, NINE, NOON), (BORIS, TEN, None)], Verdict(3, 0, 0, 0, 0, 0)),
        ([(ANNE, NINE, NOON)], Verdict(3, 1, 0, 0, 0, 0)),
        ([(ANNE, NINE, NOON), (BORIS, TEN, NOON)], Verdict(3, 0, 1, 0, 0, 0)),
        ([(ANNE, NINE, NINE), (ANNE, NOON, None), (BORIS, TEN, None)], Verdict(3, 0, 1, 0, 0, 0)),
        ([(ANNE, NINE, None), (ANNE, NOON, None), (BORIS, TEN, None)], Verdict(3, 0, 0, 1, 0, 0)),
        ([(ANNE, NINE, NOON), (3, TEN, None)], Verdict(3, 1, 0, 0, 1, 0)),
    ],
    ids=["right", "lost", "checked out unasked", "doubled", "two check-ins", "somebody else's"],
)
def test_a_fault_is_counted_once(
    there: list[tuple[int, str, str | None]], expected: Verdict
) -> None:
    assert judge(DAY, rows(*there), []) == expected
    assert expected.clean == (there == [(ANNE, NINE, NOON), (BORIS, TEN, None)])


def test_what_a_person_is_told_is_not_lost() -> None:
    parked = [Parked("fact-2", "fact-2  … badge: older than what Odoo has")]
    assert judge(DAY, rows((ANNE, NINE, NOON)), parked) == Verdict(3, 0, 0, 0, 0, 1)


def test_a_fact_told_as_damaged_excuses_one_loss_and_no_more() -> None:
    parked = [Parked("another-id", "another-id  2026-11-26 … no. 3  damaged: its disk lost it")]
    assert judge(DAY, rows((ANNE, NINE, NOON)), parked) == Verdict(3, 0, 0, 0, 0, 1)
    assert judge(DAY, rows((ANNE, NINE, None)), parked) == Verdict(3, 1, 0, 0, 0, 1)


def test_a_badge_shown_in_vain_may_be_lost_but_one_shown_once_is_not_written_twice() -> None:
    once = truth((ANNE, NINE), shown=[ANNE])
    assert judge(once, rows((ANNE, NINE, None)), []).clean
    twice = truth((ANNE, NINE), (ANNE, TEN))
    twice.shown[ANNE] -= 1
    assert judge(twice, rows((ANNE, NINE, TEN)), []) == Verdict(1, 0, 1, 0, 0, 0)


def test_what_a_manager_did_in_odoo_has_to_stand() -> None:
    corrected = truth((ANNE, NINE), (BORIS, TEN))
    corrected.manager = {(ANNE, NINE): NOON, (BORIS, TEN): None}
    assert judge(corrected, rows((ANNE, NOON, None)), []).clean
    undone = judge(corrected, rows((ANNE, NINE, None), (BORIS, TEN, None)), [])
    assert (undone.lost, undone.doubled) == (1, 2)


def test_what_a_disk_says_later_does_not_change_what_was_promised() -> None:
    told = Truth()
    fact = {"id": "a", "kind": "badge", "at": "2026-11-26T09:00:00.123Z"}
    told.note([{**fact, "data": {"who": {"kind": "employee", "id": ANNE}}}])
    told.note([{**fact, "data": {"who": {"kind": "employee", "id": BORIS}}}])
    assert told.kept == {"a": (ANNE, NINE)}
