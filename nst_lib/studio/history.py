"""What can be undone: how things stood before each of the last changes."""

import math
import time
from typing import Generic, TypeVar

REMEMBERED = 20  # changes that can be undone
TURN = 1.0  # seconds without a turn of a knob, after which another one is a change of its own, to be undone on its own
Stand = TypeVar("Stand")  # whatever a panel needs to go back


class History(Generic[Stand]):
    """How things stood before the last changes, of which it remembers REMEMBERED.

    Attributes:
        stands: the last change's is the last.
    """

    def __init__(self) -> None:
        self.stands: list[Stand] = []
        self._turned_at = -math.inf

    def remember(self, stand: Stand) -> None:
        """Remember how things stand before a change, that of a button or of a dropped file."""
        self.stands = [*self.stands[1 - REMEMBERED :], stand]
        self._turned_at = -math.inf  # what comes next is a change of its own

    def remember_turn(self, stand: Stand) -> None:
        """Remember how things stand before a knob is turned, unless one has been just now: a drag is one change."""
        if time.monotonic() - self._turned_at > TURN:
            self.remember(stand)
        self._turned_at = time.monotonic()

    def forget(self) -> None:
        """Forget the last change: it has been undone."""
        self.stands.pop()
        self._turned_at = -math.inf
