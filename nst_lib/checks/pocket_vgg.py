"""Checks for notebook 09."""

from typing import Any

import numpy as np

from nst_lib.checks import call, exercise, expect, expect_close, expect_number, to_array, to_picture
from nst_lib.metrics import score


@exercise
def half_as_wide(answer: Any, multiplications: int) -> str:
    """The pocket VGG's multiplications with all widths halved; `multiplications` are those of the original."""
    value = float(to_array(answer).reshape(-1)[0])
    expect_number(
        answer,
        1,
        0.9 * multiplications,
        "That is not fewer than the pocket VGG has: give the number of multiplications, at 256 pixels, with half the widths.",
    )
    expect(
        abs(value - multiplications / 2) > 1e-3 * multiplications,
        "Half as many? A convolution's cost has two widths in it, the one below and its own.",
    )
    expect(
        abs(value - multiplications / 4) > 1e-4 * multiplications,
        "A quarter, very nearly. But one layer has an input that you cannot halve.",
    )
    expected = _half_cost()
    expect(
        abs(value - expected) <= 1e-4 * expected,
        f"{value:.4g} is not it. Sum h x w x 9 x in x out over the eleven layers, at 256 pixels.",
    )
    return "A quarter and a little: the picture's own three channels stay three."


def _half_cost() -> int:
    from nst_lib.weights import layer_shapes

    total = 0
    for layer, (inputs, outputs) in layer_shapes("pocket").items():
        total += (256 >> (int(layer[5]) - 1)) ** 2 * 9 * (inputs if inputs == 3 else inputs // 2) * outputs // 2
    return total


@exercise
def another_head(head: Any, A: np.ndarray, symmetric: np.ndarray) -> str:
    """A square matrix with the products of A, other than its symmetric root."""
    size = len(A)
    matrix = to_array(head)
    expect(
        matrix.shape == (size, size), f"A head is a matrix of {size} x {size} here; this has the shape {matrix.shape}."
    )
    M = to_array(A @ A.T)
    expect(
        not (matrix.shape == M.shape and np.allclose(matrix, M, rtol=1e-3)),
        "This is A times its transpose itself. The head is a root of it: inner products will square it.",
    )
    if np.allclose(matrix.T @ matrix, M, atol=1e-3 * abs(M).max()) and not np.allclose(matrix, matrix.T, rtol=1e-3):
        expect(False, "Nearly: its transpose would do. Features are rows, and stand on the left of the head.")
    expect_close(matrix @ matrix.T, M, "head times its transpose")
    expect(
        not np.allclose(matrix, to_array(symmetric), atol=1e-3 * abs(matrix).max()),
        "That is the symmetric root, which you have already. Find one that is not symmetric.",
    )
    expect(
        not np.allclose(matrix, matrix.T, atol=1e-3 * abs(matrix).max()),
        "A root it is, but a symmetric one. Find one that is not.",
    )
    return "Inner products cannot tell it from the other: a head is only known up to a rotation."


@exercise
def directions_needed(function: Any) -> str:
    """How many directions hold a share of a Gram matrix's energy."""
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    gram = (turn * [8.0, 4.0, 2.0, 1.0, 1.0]) @ turn.T
    for share, expected in ((0.45, 1), (0.7, 2), (0.8, 3), (0.9, 4), (0.99, 5)):
        found = to_array(call(function, gram, share))
        expect(found.size == 1, "One number was asked for: how many directions.")
        expect(
            float(found.reshape(())) == expected,
            f"For eigenvalues 8, 4, 2, 1, 1 and a share of {share}, {expected} are needed, not {float(found.reshape(())):g}.",
        )
    return "Right: the fewest that hold the share."


@exercise
def rounded(function: Any) -> str:
    """Rounding to `bits` bits, with one scale for the whole array."""
    values = np.random.default_rng(2).normal(size=(3, 3, 8, 8)).astype("float32") * 0.1
    largest = float(np.abs(values).max())
    for bits in (8, 4, 3):
        found = to_array(call(function, values, bits))
        expect(found.shape == values.shape, f"The shape should stay {values.shape}; it became {found.shape}.")
        levels = len(np.unique(np.round(found, 6)))
        expect(levels > 2, "All numbers became nearly the same: multiply by the scale again after rounding.")
        expect(
            levels <= 2**bits,
            f"{bits} bits can tell {2**bits} numbers apart; there are {levels} different ones left.",
        )
        step = largest / (2 ** (bits - 1) - 1)
        gap = float(np.abs(found - values).max())
        expect(
            gap <= 0.501 * step,
            f"At {bits} bits no number should move by more than half a step, {step / 2:.2g}; one moved by {gap:.2g}.",
        )
    return "Every number is within half a step of where it was."


@exercise
def finished(picture: Any, rough: np.ndarray, content: np.ndarray, style: np.ndarray) -> str:
    """A picture sketched on a bad critic and finished on a good one, better than the sketch but from it."""
    picture = to_picture(picture, like=rough, model="the sketch")
    expect(
        not np.allclose(picture, rough, atol=0.01), "This is the sketch itself: paint on from it, on the pocket VGG."
    )
    before, after = (score(p, content, style, "pocket").total for p in (rough, picture))
    expect(
        after < before,
        f"The pocket VGG gives it {after:.2f}, and gave the sketch {before:.2f}: was it the critic of the last steps?",
    )
    return f"From {before:.2f} to {after:.2f} in the good critic's eyes."
