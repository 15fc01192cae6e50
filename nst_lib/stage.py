"""A painting at work on one of its levels: what it aims at there, and its compiled step; in tiles where memory is short."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from keras import ops

from nst_lib import autodiff
from nst_lib.backbones import Backbone
from nst_lib.errors import SettingsError
from nst_lib.estimate import smaller_tile
from nst_lib.objective import Objective
from nst_lib.optimizers import LBFGS, Adam
from nst_lib.pyramid import Level
from nst_lib.subject import Subject
from nst_lib.tiles import TiledObjective

Tensor = Any
State = dict[str, Any]


@dataclass
class Timing:
    """Seconds by phase: resizing and measuring the targets, compiling, and optimising."""

    targets: float = 0.0
    compile: float = 0.0
    optimize: float = 0.0
    level: float = field(default=0.0, repr=False)  # of `optimize`, those spent on the present level
    level_steps: int = field(default=0, repr=False)

    def count(self, started: float) -> None:
        """Add what has been spent optimising since `started`."""
        seconds = time.perf_counter() - started
        self.optimize += seconds
        self.level += seconds


class Stage:
    """One level of a painting.

    Args:
        level: its size, network and tiles; these become smaller where the memory does not suffice.
        before: the level before it, of which is known that it fits.
        subject, objective, optimizer: the painting's.
        timing: where the seconds are noted.
    """

    def __init__(
        self,
        level: Level,
        before: Level | None,
        subject: Subject,
        objective: Objective,
        optimizer: Adam | LBFGS,
        timing: Timing,
    ):
        self.level, self.before, self.subject = level, before, subject
        self.objective, self.optimizer, self.timing = objective, optimizer, timing
        self._targets: Any = None

    def step(self, state: State, weights: Tensor, smooth: bool) -> tuple[State, Tensor, Tensor]:
        """The next state of the optimiser, the loss before it, and the loss's parts; see `Objective.on`.

        Raises:
            SettingsError: if the memory does not suffice, not even for the smallest tiles.
        """
        while True:
            try:
                if self._targets is None:
                    self._prepare(state, weights, smooth)
                started = time.perf_counter()
                result = self._evaluate(state, weights, smooth)
                self.timing.count(started)
                return result
            except Exception as problem:
                if not autodiff.is_out_of_memory(problem):
                    raise
                self._use_smaller_tiles(problem)  # and let go of `problem`, which holds what was allocated

    def _prepare(self, state: State, weights: Tensor, smooth: bool) -> None:
        """Measure the targets, and compile."""
        started = time.perf_counter()
        level = self.level
        content, paintings, masks = self.subject.at(level.height, level.width)
        measure = self._tiled(smooth).targets if level.tile else partial(self.objective.targets, level.backbone)
        self._targets = measure(content, paintings, self.subject.shares, masks)
        self.timing.targets += time.perf_counter() - started
        started = time.perf_counter()
        if not level.tile:
            ops.convert_to_numpy(self._evaluate(state, weights, smooth)[1])  # thrown away: the first of a size compiles
        self.timing.compile += time.perf_counter() - started

    def _evaluate(self, state: State, weights: Tensor, smooth: bool) -> tuple[State, Tensor, Tensor]:
        level = self.level
        if level.tile:
            evaluation = self._tiled(smooth)(state["x"], weights, self._targets)
            return _move(self.optimizer)(state, evaluation)
        step = compile_step(self.optimizer, self.objective, level.backbone, smooth, (level.height, level.width))
        return step(state, weights, self._targets)

    def _tiled(self, smooth: bool) -> TiledObjective:
        return _tiled_objective(self.objective, self.level.backbone, smooth, self.level.tile or 0)

    def _use_smaller_tiles(self, problem: Exception) -> None:
        level, before = self.level, self.before
        layers = [*self.objective.content_layers, *self.objective.style_layers]
        side = smaller_tile(level, layers) if self.objective.is_sum else None
        if side is None:
            even = ", even in the smallest tiles" if level.tile else ""
            fits = f"; {before.width} x {before.height} on {before.backbone.name} did fit" if before else ""
            raise SettingsError(
                f"the memory does not suffice for {level.width} x {level.height} on {level.backbone.name}{even}{fits}. "
                "Choose a smaller size."
            ) from problem
        level.tile, self._targets = side, None


# Compiling takes as long as ten steps or more, so paintings alike in everything but pictures and weights share what it made.
@lru_cache(maxsize=16)
def compile_step(
    optimizer: Adam | LBFGS, objective: Objective, backbone: Backbone, smooth: bool, shape: tuple[int, int]
) -> Callable[[State, Tensor, dict[str, Any]], tuple[State, Tensor, Tensor]]:
    """A compiled `(state, weights, targets) -> (state, loss, parts)` for pictures of one shape."""
    return optimizer.compile(objective.on(backbone, smooth))


@lru_cache(maxsize=4)
def _move(optimizer: Adam | LBFGS) -> Callable[[State, tuple[Tensor, Tensor, Tensor]], tuple[State, Tensor, Tensor]]:
    """`(state, evaluation) -> (state, loss, parts)`. Not compiled, as that takes twice the memory; except on JAX, which would
    compile the branches at every step."""
    if autodiff.ENGINE == "jax":
        return optimizer.compile(lambda _, evaluation: evaluation)
    return lambda state, evaluation: optimizer.step(lambda _: evaluation, state)


_tiled_objective = lru_cache(maxsize=4)(TiledObjective)
