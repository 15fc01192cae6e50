"""Checks for notebook 04."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nst_lib.checks import call, exercise, expect, expect_close, expect_number, to_array, to_picture
from nst_lib.images import resize
from nst_lib.metrics import score


@exercise
def louder(adam_factor: Any, descent_factor: Any) -> str:
    """How much further a first step goes when the loss is 1000 times as large."""
    expect_number(descent_factor, 999, 1001, "Gradient descent goes rate times slope: what has become of the slope?")
    expect_number(
        adam_factor, 0.99, 1.01, "Not Adam: see what its fraction is in the very first step, and for $1000 g$."
    )
    return "Right: Adam does not hear how loud the loss is, gradient descent hears nothing else."


@exercise
def edge(function: Any) -> str:
    """The learning rate from which on gradient descent diverges."""
    for curvature in (30.0, 1.0, 4.0):
        rate = to_array(call(function, curvature))
        expect(rate.size == 1, f"One number was asked for; this has {rate.size}.")
        value = float(rate.reshape(()))
        for factor, grows in ((0.98, False), (1.02, True)):
            shrink = abs(1 - factor * value * curvature)
            if grows:
                expect(shrink > 1, f"For c = {curvature:g} a rate somewhat above {value:.4g} still converges.")
            else:
                expect(shrink < 1, f"For c = {curvature:g} a rate somewhat below {value:.4g} diverges already.")
    return "Right, and twice the rate that would be perfect."


@exercise
def secant(function: Any) -> str:
    """A step of the secant method."""
    for curvature, lowest, first, second in ((3.0, 0.5, -2.0, -1.5), (30.0, -1.0, 4.0, 1.0), (0.1, 2.0, 0.0, 5.0)):

        def slope(x: Any, curvature: float = curvature, lowest: float = lowest) -> Any:
            return curvature * (x - lowest)

        answer = to_array(call(function, slope, first, second))
        expect(answer.size == 1, f"One number was asked for; this has {answer.size}.")
        value, step = float(answer.reshape(())), second - lowest
        expect(not np.isclose(value, curvature), "This is the curvature; the point where the step leads was asked for.")
        expect(not np.isclose(value, step), "This is the step itself; the point where it leads was asked for.")
        expect(not np.isclose(value, second + step), "This goes uphill: mind the sign.")
        expect_close(value, lowest, "On a parabola one step leads to the bottom; your point", 1e-6)
    value = float(to_array(call(function, lambda x: x**3, 1.0, 2.0)))
    expect_close(value, 2 - 8 / 7, "For a slope that is not straight, the point", 1e-6)
    return "Right: at the bottom of any parabola, after two looks."


@exercise
def enough(rule: Any, losses: list[float]) -> str:
    """A rule that says when to stop."""
    steep, level = [0.9**k for k in range(60)], [1 + 0.9**k for k in range(200)]
    trembling = [value * (1.05 if k % 3 else 1) for k, value in enumerate(level)]
    small, jump = [1e-3 * value for value in steep], [*steep[:-1], 1.0]
    deaf = [1.0] * 5 + [0.5] + [1.0] * 40  # once, by luck, it was lower
    for series, right, problem in (
        ([], False, "Without any losses it should say False."),
        ([1.0] * 20, False, "With 20 losses there is nothing before the last 20: it should say False."),
        (steep, False, "It stops a run that still wins 10 % a step."),
        (small, False, "It stops a run that still wins 10 % a step, but whose losses are small: a hundredth of what?"),
        (jump, False, "It stops a run that still wins, for the sake of one step: compare the smallest values."),
        (level, True, "It does not stop a run that has won next to nothing for a hundred steps."),
        (trembling, True, "It lets a run go on that only trembles: compare the smallest values, not single ones."),
        (deaf, True, "It goes on although the lowest loss was long before the last 20."),
    ):
        answer = call(rule, series)
        expect(isinstance(answer, (bool, np.bool_)), f"It should say True or False, not {answer!r}.")
        expect(bool(answer) == right, problem)
    return _when(rule, losses)


def _when(rule: Callable[[list[float]], bool], losses: list[float]) -> str:
    stopped = next((step for step in range(1, len(losses) + 1) if rule(losses[:step])), None)
    if stopped:
        return f"It would have stopped your run after {stopped} steps."
    if len(losses) <= 20:
        return "Your run was not long enough for it."
    won = 1 - min(losses[-20:]) / min(losses[:-20])
    return f"It would not have stopped your run yet, whose last 20 steps of {len(losses)} still won {won:.1%}."


@exercise
def squashed(picture: Any, castle: np.ndarray, painting: np.ndarray) -> str:
    """A picture painted through a sigmoid."""
    picture = to_picture(picture, like=castle)
    walled = np.mean((picture == 0) | (picture == 1))
    expect(walled < 1e-3, "Many numbers are exactly 0 or 1, which a sigmoid hardly ever is. Was the picture clipped?")
    found, before = (score(p, castle, painting, "pocket") for p in (picture, castle))
    expect(not np.allclose(picture, castle, atol=0.05), "This is the photograph still: did z move?")
    expect(found.content < 1.5, "The castle is lost. Does z start at the photograph, and is the rate small enough?")
    expect(found.total < 0.2 * before.total, "It has hardly any of the painting yet: is the rate too small?")
    fall = f"from a loss of {before.total:.0f} to {found.total:.1f}"
    return f"Right, {fall}, and no wall. Blacks and whites move slowest, where the sigmoid is flat."


@exercise
def change_of_mind(scenes: Any, castle: np.ndarray, painting: np.ndarray) -> str:
    """Frames in which the style grows."""
    expect(isinstance(scenes, (list, tuple)), f"This should be a list of pictures, not {type(scenes).__name__}.")
    expect(len(scenes) >= 10, f"At least ten frames were asked for; these are {len(scenes)}.")
    frames = [to_picture(scene, f"frame {number}") for number, scene in enumerate(scenes, start=1)]
    expect(len({frame.shape for frame in frames}) == 1, "The frames have different sizes: no film can be made of them.")
    distance = np.abs(frames[0] - frames[-1]).mean()
    expect(distance > 0.01, "The first and the last frame are the same: was the picture kept after the steps?")
    photograph = resize(castle, frames[0].shape[:2])
    first, last = (score(frame, photograph, painting, "pocket") for frame in (frames[0], frames[-1]))
    expect(last.style < first.style, "The last frame is no nearer to the painting than the first.")
    expect(
        last.content > first.content,
        "The last frame should be further from the photograph than the first. Is the weight raised?",
    )
    style, content = (f"from {a:.2f} to {b:.2f}" for a, b in ((first.style, last.style), (first.content, last.content)))
    return f"{len(frames)} frames: style {style}, content {content}."
