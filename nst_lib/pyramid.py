"""From coarse to fine: which sizes a painting goes through, on which network, and for how many steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from nst_lib.backbones import Backbone
from nst_lib.errors import SettingsError, check_number
from nst_lib.images import MIN_SIDE

COARSEST = 256  # pixels of the long side: the smallest picture that a pyramid begins with; below, faces do not survive
# What a step costs on each network, in steps of the pocket VGG; for shares of a budget and first estimates of time only.
RELATIVE_COST = {"pocket": 1.0, "vgg16": 7.0, "vgg19": 9.0}


@dataclass
class Level:
    """One rung of the way from coarse to fine: a size, a network, a share of the budget, and the side of the tiles in which
    it is painted (None for the whole picture at once)."""

    height: int
    width: int
    backbone: Backbone
    steps: int
    tile: int | None = None

    @property
    def cost(self) -> float:
        """Of all its steps, in an arbitrary unit."""
        return self.steps * self.step_cost

    @property
    def step_cost(self) -> float:
        """Of one step, in the same unit."""
        return self.height * self.width * RELATIVE_COST[self.backbone.name]


def plan_levels(
    height: int, width: int, steps: int, final: Backbone, coarse: Backbone, depth: int | Sequence[int] | None = None
) -> list[Level]:
    """The levels up to a picture of `height` x `width`, coarse to fine. The last takes half the steps.

    Args:
        height, width: of the finished picture.
        steps: evaluations in all.
        final: the network of the last level.
        coarse: that of the others; if it is not `final`, it first paints a sketch at the full size too.
        depth: how many sizes, each half the next, or the long sides of those before the last; by default down to about
            COARSEST pixels.

    Raises:
        SettingsError: if the coarsest picture would be smaller than the network can see.
    """
    long, short = max(height, width), min(height, width)
    if depth is None:
        depth = 1
        while long >> depth >= COARSEST and short >> depth >= MIN_SIDE:
            depth += 1
    if isinstance(depth, Sequence):
        for side in depth:
            check_number("a size of the pyramid", side, whole=True, least=MIN_SIDE)
            if side * short < MIN_SIDE * long or side >= long:
                raise SettingsError(f"a pyramid of {long} pixels cannot begin with {side}: choose a size between.")
        shares = [side / long for side in depth]
    else:
        check_number("pyramid", depth, whole=True, least=1)
        deepest = (short // MIN_SIDE).bit_length()
        if depth > deepest:
            raise SettingsError(
                f"a pyramid of {depth} sizes is too deep for {width} x {height}: use at most {deepest}."
            )
        shares = [0.5**n for n in range(depth - 1, 0, -1)]
    shares += [] if coarse is final else [1]
    each = steps // 2 // len(shares) if shares else 0
    sketches = [Level(round(height * share), round(width * share), coarse, each) for share in shares if each]
    return [*sketches, Level(height, width, final, steps - each * len(shares))]
