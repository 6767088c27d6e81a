"""Which answers are believed: by hand, answer by answer."""

from dataclasses import replace
from decimal import Decimal

import pytest

from scale.steady import SAME_S, Steady
from scale.weight import Weight


def kg(grams: int, *, stable: bool | None = True, net: bool = False) -> Weight:
    return Weight(Decimal(grams) / 1000, "kg", stable=stable, net=net)


def shown(*answers: Weight) -> list[Weight | None]:
    steady = Steady()
    return [steady.take(answer, 0.0) for answer in answers]


MOVING = Weight(None, "kg", stable=False)


def test_a_weight_is_steady_when_it_was_given_twice() -> None:
    assert shown(kg(500), kg(500)) == [kg(500, stable=False), kg(500)]
    assert shown(MOVING, kg(500), kg(500)) == [MOVING, kg(500, stable=False), kg(500)]


def test_one_odd_answer_changes_nothing() -> None:
    assert shown(kg(500), kg(500), kg(980), kg(500))[2:] == [None, kg(500)]
    assert shown(kg(500), kg(500), *[kg(485), kg(500)] * 3)[2:] == [None, kg(500)] * 3


def test_two_other_answers_take_the_weight_away() -> None:
    assert shown(kg(500), kg(500), kg(600), kg(700), kg(700))[2:] == [
        None,
        kg(700, stable=False),
        kg(700),
    ]
    assert shown(kg(500), kg(500), kg(600), kg(600))[2:] == [None, kg(600)]


def test_the_weight_that_was_held_before_has_no_right_of_its_own() -> None:
    assert shown(kg(500), kg(500), kg(600), kg(700), kg(500))[3:] == [
        kg(700, stable=False),
        kg(500, stable=False),
    ]


def test_the_same_number_with_another_meaning_is_another_weight() -> None:
    assert shown(kg(500), kg(500), kg(500, net=True))[2] is None


def test_after_a_condition_everything_is_confirmed_anew() -> None:
    assert shown(kg(500), kg(500), MOVING, kg(500))[3] == kg(500, stable=False)


def test_after_silence_everything_is_confirmed_anew() -> None:
    steady = Steady()
    steady.take(kg(500), 0.0)
    steady.forget()
    assert steady.take(kg(500), 0.1) == kg(500, stable=False)
    assert steady.take(kg(500), 0.2) == kg(500)
    steady.take(kg(600), 0.3)
    steady.forget()
    assert steady.take(kg(500), 0.4) == kg(500, stable=False)


def test_a_scale_that_says_itself_that_it_moves_is_not_steady() -> None:
    assert shown(*[kg(500, stable=False)] * 3)[2] == kg(500, stable=False)


@pytest.mark.parametrize(("seconds", "steady"), [(SAME_S - 0.01, False), (SAME_S, True)])
def test_a_scale_that_says_nothing_of_it_is_steady_after_a_while(
    seconds: float, steady: bool
) -> None:
    scale, unknown = Steady(), kg(500, stable=None)
    scale.take(kg(400, stable=None), 0.0)
    for now in (1.0, 1.0 + seconds / 2):
        assert scale.take(unknown, now) == replace(unknown, stable=False)
    assert scale.take(unknown, 1.0 + seconds) == replace(unknown, stable=steady)


def test_how_long_the_weight_has_been_the_same() -> None:
    steady = Steady()
    assert steady.settled_since is None
    steady.take(kg(500), 3.0)
    assert steady.settled_since is None
    steady.take(kg(500), 4.0)
    assert steady.settled_since == 3.0
    steady.take(kg(600), 5.0)
    assert steady.settled_since is None
    steady.take(kg(500), 6.0)
    assert steady.settled_since == 3.0
    steady.take(MOVING, 7.0)
    assert steady.settled_since is None
