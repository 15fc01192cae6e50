"""What can be undone, without a panel."""

import pytest

from nst_lib.studio import history
from nst_lib.studio.history import REMEMBERED, TURN, History


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until its hand is moved."""
    hand = [1000.0]
    monkeypatch.setattr(history.time, "monotonic", lambda: hand[0])
    return hand


def test_turns_that_follow_each_other_are_one_change(clock):
    former = History()
    for stand in range(10):
        former.remember_turn(stand)
        clock[0] += 0.9 * TURN
    assert former.stands == [0]
    clock[0] += TURN
    former.remember_turn(10)
    assert former.stands == [0, 10]


def test_a_button_is_a_change_of_its_own_and_so_is_the_turn_after_it(clock):
    former = History()
    former.remember_turn("before the turn")
    former.remember("before the button")
    former.remember_turn("before the next turn")
    former.remember_turn("within that")
    assert former.stands == ["before the turn", "before the button", "before the next turn"]


def test_a_turn_after_undoing_is_a_change_of_its_own_however_soon(clock):
    former = History()
    former.remember_turn(1)
    former.forget()
    former.remember_turn(2)
    assert former.stands == [2]


def test_old_changes_are_forgotten():
    former = History()
    for stand in range(REMEMBERED + 5):
        former.remember(stand)
    assert former.stands == list(range(5, REMEMBERED + 5))
