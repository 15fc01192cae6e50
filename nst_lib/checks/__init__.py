"""Checks for the exercises: each says what is wrong with an answer, and never stops the notebook.

A check is a function of the reader's answers, one module for each notebook:

    @exercise
    def area_of_a_disc(area):
        expect_close(call(area, 2.0), 4 * np.pi, "the area of a disc of radius 2")
        return "Right: pi r squared."
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

OPEN, WRONG, RIGHT = "…", "✗", "✓"


class WrongAnswer(Exception):
    """What is wrong with an answer, in a sentence for the reader."""


class NoAnswer(Exception):
    """There are still dots where the answer is to go."""


def exercise(check: Callable[..., str | None]) -> Callable[..., None]:
    """Make a check of a function that returns praise, or raises WrongAnswer: it prints one line, whatever happens."""

    @functools.wraps(check)
    def run(*answers: Any) -> None:
        try:
            if any(answer is ... for answer in answers):
                raise NoAnswer
            print(RIGHT, check(*answers) or "Right.")
        except NoAnswer:
            print(OPEN, "Not answered yet: put your answer where the dots are, and run the cell again.")
        except WrongAnswer as problem:
            print(WRONG, problem)
        except Exception as problem:
            print(WRONG, f"That led to an error, {type(problem).__name__}: {problem}")

    return run


def call(function: Callable, *arguments: Any) -> Any:
    """What the reader's function returns; NoAnswer if it is still dots, WrongAnswer if it fails."""
    if not callable(function):
        raise WrongAnswer(f"This should be a function, not {type(function).__name__}.")
    try:
        result = function(*arguments)
    except Exception as problem:
        name = getattr(function, "__name__", "your function")
        raise WrongAnswer(f"{name} raised {type(problem).__name__}: {problem}") from problem
    if result is ...:
        raise NoAnswer
    return result


def expect(condition: Any, otherwise: str) -> None:
    """Raise WrongAnswer, saying `otherwise`, unless the condition holds."""
    if not condition:
        raise WrongAnswer(otherwise)


def expect_number(answer: Any, low: float, high: float, otherwise: str) -> None:
    """Raise WrongAnswer, saying `otherwise`, unless the answer is a number from `low` to `high`."""
    value = to_array(answer)
    expect(value.size == 1, f"One number was asked for; this has {value.size}.")
    expect(low <= float(value.reshape(())) <= high, otherwise)


def expect_close(answer: Any, target: Any, what: str, tolerance: float = 1e-3) -> None:
    """Raise WrongAnswer unless two arrays have one shape, and differ by at most `tolerance` of the target's largest value."""
    value, target = to_array(answer), to_array(target)
    expect(value.shape == target.shape, f"{what} should have the shape {target.shape}, not {value.shape}.")
    gap = np.abs(value - target).max(initial=0.0)
    if not gap <= tolerance * max(np.abs(target).max(initial=0.0), 1e-12):
        if value.size == 1:
            raise WrongAnswer(f"{what} is not {float(value.reshape(())):.4g}.")
        raise WrongAnswer(f"{what}: the shape is right, but the numbers differ, by up to {gap:.3g}.")


def to_array(answer: Any) -> np.ndarray:
    """Any engine's tensor, or nested lists, as an array of float64."""
    expect(answer is not None, "This should be a number or an array of numbers, not None: is a `return` missing?")
    try:
        if hasattr(answer, "detach"):
            answer = answer.detach().cpu()
        return np.asarray(answer, dtype="float64")
    except (TypeError, ValueError) as problem:
        raise WrongAnswer(f"This should be a number or an array of numbers, not {type(answer).__name__}.") from problem


def to_picture(
    answer: Any, name: str = "the picture", like: np.ndarray | None = None, model: str = "the photograph"
) -> np.ndarray:
    """A picture (h, w, 3) in [0, 1], of the shape of `like` if that is given, which is called `model`; WrongAnswer for
    anything else.
    """
    picture, it = to_array(answer), name[0].upper() + name[1:]
    there = picture.ndim == 3 and picture.shape[-1] == 3 and picture.size > 0
    expect(there, f"{it} should have the shape (height, width, 3), not {picture.shape}.")
    expect(np.isfinite(picture).all(), f"Some values of {name} are no numbers: was there a logarithm of 0?")
    if like is not None:
        expect(picture.shape == like.shape, f"{it} has the shape {picture.shape}, {model} {like.shape}.")
    expect(picture.min() >= 0 and picture.max() <= 1, f"The values of {name} should lie between 0 and 1.")
    return picture.astype("float32")
