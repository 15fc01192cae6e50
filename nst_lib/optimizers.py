"""Adam and L-BFGS for pictures: pure functions from one state to the next, so that a whole step compiles for the device.

Both minimise an `objective(x) -> (loss, aux, gradient)` over pictures x of shape (1, h, w, 3) inside the box [0, 1], with
one evaluation a step. An optimiser keeps nothing itself; its state is a dictionary of tensors, and `state["x"]` is the
picture that the next step evaluates, `state["best"]` the one to show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from nst_lib import autodiff
from nst_lib.waves import frequencies, from_waves, to_waves

Tensor = Any
State = dict[str, Any]
Objective = Callable[[Tensor], tuple[Tensor, Any, Tensor]]


class Optimizer:
    """What both have in common: a step is an `update`, to be compiled, and what to `remember` of the state before."""

    def step(self, objective: Objective, state: State) -> tuple[State, Tensor, Any]:
        """Evaluate the objective at `state["x"]`. Returns the next state, the loss there, and the objective's `aux`."""
        new, loss, aux = self.update(objective, state)
        return self.remember(state, new), loss, aux

    def compile(self, objective: Callable[..., tuple[Tensor, Any, Tensor]]) -> Callable[..., tuple[State, Tensor, Any]]:
        """`step` as a compiled `(state, *arguments) -> (state, loss, aux)`, for an `objective(x, *arguments)`."""
        update = autodiff.compile_function(
            lambda state, *arguments: self.update(lambda x: objective(x, *arguments), state)
        )

        def step(state: State, *arguments: Any) -> tuple[State, Tensor, Any]:
            new, loss, aux = update(state, *arguments)
            return self.remember(state, new), loss, aux

        return step

    def update(self, objective: Objective, state: State) -> tuple[State, Tensor, Any]:
        """The same, but that the state may lack what `remember` adds."""
        raise NotImplementedError

    def remember(self, state: State, new: State) -> State:
        """The whole state after `state`, from what `update` made of it."""
        return new


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) with the picture clipped to the box after every step, and averaged iterates.

    Attributes:
        learning_rate: about how far a pixel moves in a step, of a range of 1.
        average: decay of the running average of the pictures ("averaged iterates"), which is what is shown; 0 is none.
    """

    learning_rate: float = 0.03
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-8
    average: float = 0.9

    @property
    def pictures(self) -> int:
        """How many pictures' worth of memory the state takes."""
        return 5

    def start(self, x: Tensor) -> State:
        """The state before the first step from the picture `x`."""
        zeros = ops.zeros_like(x)
        return {"x": x, "best": x, "mean": zeros, "square": zeros, "averaged": zeros, "count": ops.zeros((), "float32")}

    def update(self, objective: Objective, state: State) -> tuple[State, Tensor, Any]:
        """A step (see `Optimizer`)."""
        loss, aux, gradient = objective(state["x"])
        count = state["count"] + 1.0
        usable = ops.isfinite(gradient)  # the others leave the picture as it was, and what is known of it
        gradient = ops.where(usable, gradient, 0.0)
        mean = ops.where(usable, self.beta_1 * state["mean"] + (1 - self.beta_1) * gradient, state["mean"])
        square = ops.where(usable, self.beta_2 * state["square"] + (1 - self.beta_2) * gradient**2, state["square"])
        unbiased_mean = mean / (1 - self.beta_1**count)
        unbiased_square = square / (1 - self.beta_2**count)
        moved = state["x"] - self.learning_rate * unbiased_mean / (ops.sqrt(unbiased_square) + self.epsilon)
        x = ops.where(usable, ops.clip(moved, 0, 1), state["x"])
        averaged = self.average * state["averaged"] + (1 - self.average) * x
        best = averaged / (1 - self.average**count)
        new = {"x": x, "best": best, "mean": mean, "square": square, "averaged": averaged, "count": count}
        return new, loss, aux

    def restart(self, state: State) -> State:
        """The state to go on from when the objective itself has changed: Adam adapts by itself."""
        return state

    def resize(self, state: State, resize: Callable[[Tensor], Tensor], scale: float) -> State:
        """The state for pictures of another size with `scale` times as many pixels; `resize` resizes a picture."""
        x = ops.clip(resize(state["best"]), 0, 1)
        # A pixel of a larger picture has a share of the loss that is smaller by `scale`, and so has its gradient.
        mean, square = resize(state["mean"]) / scale, ops.maximum(resize(state["square"]), 0) / scale**2
        averaged = x * (1 - self.average ** state["count"])
        return state | {"x": x, "best": x, "mean": mean, "square": square, "averaged": averaged}


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal 1980) with a projected, backtracking line search and a preconditioner.

    The last `memory` pairs of steps s and gradient changes y stand for the curvature; where they say nothing, a picture's
    typical curvature by frequency and colour does (see `precondition`). Each step of ours is one evaluation: if it lowers
    the loss enough (Armijo's rule), the pair is remembered and a new direction computed; if not, the same direction is
    tried again at a shorter length. Pixels that rest on the box and would leave it are held.

    Attributes:
        memory: pairs kept. Each costs two pictures of memory.
        first_move: how far the most eager pixel moves in the very first step, when no curvature is known.
        armijo: the share of the decrease promised by the slope that a step has to deliver.
        noise: what rounding may add to a loss or take from it, as a share: see `autodiff.loss_noise`. A step that raises the
            loss by no more is taken (Hager and Zhang 2005, "A new conjugate gradient method with guaranteed descent and an
            efficient line search": the epsilon of their approximate Wolfe conditions). Without this, the search stops for
            good where steps gain less than the noise.
        preconditioned: whether to use `precondition`; False is textbook L-BFGS.
        periodic: whether the picture's opposite edges meet, as a tile's do.
    """

    memory: int = 10
    first_move: float = 0.05
    armijo: float = 1e-4
    noise: float = 1e-6
    preconditioned: bool = True
    periodic: bool = False

    @property
    def pictures(self) -> int:
        """How many pictures' worth of memory the state takes."""
        return 2 * self.memory + 4

    def start(self, x: Tensor) -> State:
        """The state before the first step from the picture `x`."""
        zeros, nothing = ops.zeros_like(x), ops.zeros((), "float32")
        history = tuple(zeros for _ in range(self.memory))
        return {
            "x": x,
            "best": x,
            "loss": nothing + float("inf"),
            "gradient": zeros,
            "direction": zeros,
            "length": nothing + 1.0,
            "steps": history,  # s_k = x_{k+1} - x_k, newest first
            "changes": history,  # y_k = g_{k+1} - g_k
            "curvatures": ops.zeros((self.memory,), "float32"),  # s_k . y_k; 0 marks an empty place
            "inverse": ops.zeros((self.memory, self.memory)),  # of the triangle s_j . y_k, j not newer than k
            "scale": nothing,  # of the inverse Hessian where no pair tells it, from the last one; 0 before the first
        }

    def update(self, objective: Objective, state: State) -> tuple[State, Tensor, Any]:
        """A step (see `Optimizer`). Of the history, the next state has the newest pair only."""
        loss, aux, gradient = objective(state["x"])
        move, change = state["x"] - state["best"], gradient - state["gradient"]
        slope = ops.minimum(_dot(state["gradient"], move), 0.0)  # the box can bend a move uphill
        rounding = self.noise * ops.abs(state["loss"]) if self.noise else 0.0  # not 0 x infinity, before the first step
        accepted = loss <= state["loss"] + rounding + self.armijo * slope
        curvature = _dot(move, change)
        positive = curvature > 1e-10 * _dot(change, change)  # so that every direction points downhill
        taken = ops.logical_and(accepted, positive)  # or its place is left empty
        move, change, curvature = (ops.where(taken, value, 0.0) for value in (move, change, curvature))
        pair = {"steps": (move,), "changes": (change,)}
        history = self.remember(state, pair | self._triangle(state, change, curvature))
        new = autodiff.choose(
            accepted,
            lambda: self._accept(state, history, loss, gradient),
            lambda: self._shorten(state, history, loss, slope),
        )
        return new | pair, loss, aux

    def remember(self, state: State, new: State) -> State:
        """Put the newest pair before the others of `state`: here, as a compiled function would copy what it only hands on."""
        return new | {name: (*new[name], *state[name][:-1]) for name in ("steps", "changes")}

    def _triangle(self, state: State, change: Tensor, curvature: Tensor) -> State:
        """The products s_k . y_k and the inverse of the triangle with another pair and without the oldest. The inverse of the
        larger one follows from that of the smaller, as it has one row more on top, which is 0 but for its first element."""
        known, inverse = state["inverse"][:-1, :-1], _inverse(curvature)
        column = -inverse * ops.sum(known * _dots(state["steps"][:-1], change), axis=1)
        top = ops.pad(ops.reshape(inverse, (1, 1)), [(0, 0), (0, self.memory - 1)])
        return {
            "curvatures": ops.concatenate([ops.reshape(curvature, (1,)), state["curvatures"][:-1]]),
            "inverse": ops.concatenate([top, ops.concatenate([column[:, None], known], axis=1)]),
        }

    def _accept(self, state: State, history: State, loss: Tensor, gradient: Tensor) -> State:
        """Go on from the picture just seen: the two-loop recursion (Nocedal and Wright, Numerical Optimization, algorithm
        7.4), in the compact form of Byrd, Nocedal and Schnabel (1994). Each loop solves a triangular system, whose inverse is
        known, so that a GPU need not do one product after the other. Empty places have zeros there, and do nothing."""
        x, curvatures, inverse = state["x"], history["curvatures"], history["inverse"]
        steps, changes = history["steps"], history["changes"]
        held = ops.logical_or(ops.logical_and(x <= 0.0, gradient > 0.0), ops.logical_and(x >= 1.0, gradient < 0.0))
        free = ops.where(held, 0.0, gradient)
        alphas = ops.sum(inverse * _dots(steps, free), axis=1)
        q = free - _sum(alphas, changes)
        if self.preconditioned:
            q, square = precondition_with_square(q, changes[0], self.periodic)
        else:
            square = _dot(changes[0], changes[0])
        scale = ops.where(curvatures[0] > 0.0, curvatures[0] * _inverse(square), state["scale"])
        q = q * ops.where(scale > 0.0, scale, self.first_move / (ops.max(ops.abs(q)) + 1e-30))
        rest = curvatures * alphas - _dots(changes, q)
        uphill = q + _sum(ops.sum(inverse * rest[:, None], axis=0), steps)
        direction = ops.where(held, 0.0, -uphill)
        return {
            "x": ops.clip(x + direction, 0, 1),
            "best": x,
            "loss": loss,
            "gradient": gradient,
            "direction": direction,
            "length": ops.ones_like(state["length"]),
            "curvatures": curvatures,
            "inverse": inverse,
            "scale": scale,
        }

    def _shorten(self, state: State, history: State, loss: Tensor, slope: Tensor) -> State:
        """Go back to the best picture and try a shorter step: to the minimum of the parabola through what is known."""
        parabola = -slope / (2.0 * (loss - state["loss"] - slope) + 1e-30)
        length = state["length"] * ops.clip(ops.where(loss < float("inf"), parabola, 0.0), 0.1, 0.5)  # also after NaN
        stuck = length < 1e-3  # the curvature has misled us: forget it, and go straight downhill
        downhill = -state["gradient"] * self.first_move / (ops.max(ops.abs(state["gradient"])) + 1e-30)
        direction = ops.where(stuck, downhill, state["direction"])
        length = ops.where(stuck, 1.0, length)
        return {
            "x": ops.clip(state["best"] + length * direction, 0, 1),
            "best": state["best"],
            "loss": state["loss"],
            "gradient": state["gradient"],
            "direction": direction,
            "length": length,
            "curvatures": ops.where(stuck, 0.0, history["curvatures"]),
            "inverse": ops.where(stuck, 0.0, history["inverse"]),
            "scale": ops.where(stuck, 0.0, state["scale"]),
        }

    def restart(self, state: State) -> State:
        """The state to go on from when the objective itself has changed: what was learnt of its curvature is void."""
        return self.start(state["best"])

    def resize(self, state: State, resize: Callable[[Tensor], Tensor], scale: float) -> State:
        """The state for pictures of another size with `scale` times as many pixels; `resize` resizes a picture."""
        x = ops.clip(resize(state["best"]), 0, 1)
        return self.start(x)


def precondition(gradient: Tensor, periodic: bool = False) -> Tensor:
    """What a gradient (1, h, w, 3) becomes when every frequency of every colour axis is divided by its usual curvature.

    A loss made of VGG activations is steep along medium frequencies of the luminance and flat along the low and the highest
    ones. Undoing this saves about a third of the evaluations. See `nst_lib.waves`.
    """
    spectrum, curvature = _spectra([gradient], periodic)
    return _from_spectrum(spectrum[0] / curvature, periodic)


def precondition_with_square(gradient: Tensor, change: Tensor, periodic: bool = False) -> tuple[Tensor, Tensor]:
    """A gradient preconditioned, and the product, a scalar, of a gradient's `change` and itself preconditioned."""
    (spectrum, changed), curvature = _spectra([gradient, change], periodic)
    return _from_spectrum(spectrum / curvature, periodic), ops.sum(ops.square(changed) / curvature)


def _spectra(gradients: Sequence[Tensor], periodic: bool) -> tuple[list[Tensor], Tensor]:
    """The amplitudes (3, h, w) of gradients for each colour axis, and the usual curvature there."""
    _, height, width, _ = gradients[0].shape
    axes = ops.array(COLOUR_AXES.T, "float32")
    together = ops.concatenate([gradient[0] for gradient in gradients], axis=-1)  # a GPU likes large products
    waves = to_waves(together, periodic=periodic)
    curvature = ops.convert_to_tensor(_usual_curvature(height, width, periodic))
    return [ops.tensordot(axes, part, 1) for part in ops.split(waves, len(gradients))], curvature


def _from_spectrum(spectrum: Tensor, periodic: bool) -> Tensor:
    axes = ops.array(COLOUR_AXES, "float32")
    return from_waves(ops.tensordot(axes, spectrum, 1), periodic=periodic)[None]


# Luminance, red-blue, green-magenta: orthonormal columns. Colours of natural pictures vary independently along them.
COLOUR_AXES = np.array([[1, 1, 1], [1, 0, -2], [1, -1, 1]]) / np.sqrt([3, 2, 6])
# Typical curvature of the loss at frequencies in cycles per pixel, for each colour axis, up to a common factor.
# Measured by tools/measure_curvature.py: the pocket VGG on five pairs of pictures at 256 px; VGG16's is alike.
FREQUENCIES = (0.003, 0.009, 0.018, 0.037, 0.065, 0.10, 0.15, 0.215, 0.30, 0.425, 0.61)
CURVATURE = (
    (0.067, 0.050, 0.144, 0.468, 0.954, 1.481, 1.974, 2.114, 2.024, 1.557, 0.509),
    (0.266, 0.271, 0.722, 1.445, 1.660, 1.384, 1.059, 0.740, 0.504, 0.179, 0.057),
    (0.622, 0.699, 1.799, 2.464, 2.323, 1.773, 1.442, 1.133, 0.732, 0.285, 0.097),
)


@lru_cache(maxsize=8)
def _usual_curvature(height: int, width: int, periodic: bool) -> np.ndarray:
    """CURVATURE at every frequency of a picture: (3, height, width)."""
    down, across = frequencies(height, periodic), frequencies(width, periodic)
    frequency = np.hypot(down[:, None], across[None])
    return np.stack([np.interp(frequency, FREQUENCIES, row).astype("float32") for row in CURVATURE])


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return ops.sum(a * b)


def _inverse(x: Tensor) -> Tensor:
    """1 / x where x is positive, else 0."""
    return ops.where(x > 0.0, 1.0 / ops.maximum(x, 1e-30), 0.0)


def _dots(pictures: Sequence[Tensor], b: Tensor) -> Tensor:
    """The products of pictures with one, (n,): of every row first, so that a GPU then sums them up in one go."""
    return ops.sum(ops.stack([ops.sum(a * b, axis=(0, 2, 3)) for a in pictures]), axis=1)


def _sum(weights: Tensor, pictures: Sequence[Tensor]) -> Tensor:
    return sum(weights[k] * picture for k, picture in enumerate(pictures))
