"""The checks of notebook 04: right answers pass, wrong ones get a sentence that fits."""

import numpy as np
import pytest

pytest.importorskip("keras", reason="the checks score pictures")

from nst_lib.checks import the_loop as check
from nst_lib.images import resize

RNG = np.random.default_rng(0)
COARSE = RNG.uniform(size=(32, 48, 3)).astype("float32")
CASTLE = resize(COARSE, (64, 96))
PAINTING = RNG.uniform(size=(64, 64, 3)).astype("float32")


@pytest.fixture
def verdict(capsys):
    def of(*answers, check):
        assert check(*answers) is None
        (line,) = capsys.readouterr().out.splitlines()
        return line

    return of


def rule(losses, window=20):
    return len(losses) > window and min(losses[-window:]) > 0.99 * min(losses[:-window])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((1, 1000), "✓"),
        ((np.float32(1), 1000.0), "✓"),
        ((..., ...), "… Not answered"),
        ((1000, 1000), "✗ Not Adam"),
        ((1, 1), "✗ Gradient descent goes rate times slope"),
        (("one", 1000), "✗ This should be a number"),
        ((None, 1000), "✗"),
        (([1, 2], 1000), "✗ One number was asked for"),
    ],
)
def test_louder(verdict, answers, expected):
    assert verdict(*answers, check=check.louder).startswith(expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda c: 2 / c, "✓"),
        (lambda c: ..., "… Not answered"),
        (lambda c: 1 / c, "✗ For c = 30 a rate somewhat above"),
        (lambda c: 3 / c, "✗ For c = 30 a rate somewhat below"),
        (lambda c: 2 / 30, "✗ For c = 1 a rate somewhat above"),
        (lambda c: "2/c", "✗ This should be a number"),
        (lambda c: [1, 2], "✗ One number"),
        (lambda c: None, "✗"),
        (lambda c: 1 / 0, "✗ <lambda> raised ZeroDivisionError"),
        (0.0667, "✗ This should be a function"),
    ],
)
def test_edge(verdict, answer, expected):
    assert verdict(answer, check=check.edge).startswith(expected)


def right(slope, first, second):
    return second - slope(second) * (second - first) / (slope(second) - slope(first))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (right, "✓"),
        (lambda s, a, b: ..., "… Not answered"),
        (lambda s, a, b: (s(b) - s(a)) / (b - a), "✗ This is the curvature"),
        (lambda s, a, b: b - right(s, a, b), "✗ This is the step itself"),
        (lambda s, a, b: 2 * b - right(s, a, b), "✗ This goes uphill"),
        (lambda s, a, b: b - 0.1 * s(b), "✗ On a parabola one step leads to the bottom"),
        (lambda s, a, b: b - s(b) * 1e-3 / (s(b + 1e-3) - s(b)), "✗ For a slope that is not straight"),
        (lambda s, a, b: None, "✗"),
    ],
)
def test_secant(verdict, answer, expected):
    assert verdict(answer, check=check.secant).startswith(expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (rule, "✓"),
        (lambda losses: ..., "… Not answered"),
        (lambda losses: False, "✗ It does not stop"),
        (lambda losses: len(losses) > 30, "✗ It stops a run that still wins"),
        (
            lambda losses: len(losses) > 20 and losses[-1] > 0.99 * min(losses[:-20]),
            "✗ It stops a run that still wins, for",
        ),
        (
            lambda losses: len(losses) > 20 and min(losses[:-20]) - min(losses[-20:]) < 0.01,
            "✗ It stops a run that still",
        ),
        (lambda losses: 1, "✗ It should say True or False"),
        (lambda losses: losses[-1] > 0.99 * losses[-20], "✗ <lambda> raised IndexError"),
        (lambda losses: len(losses) > 20 and losses[-1] > 0.99 * losses[-21] and losses[-2] > losses[-1], "✗"),
        (None, "✗ This should be a function"),
    ],
)
def test_enough(verdict, answer, expected):
    assert verdict(answer, [1 + 0.9**k for k in range(200)], check=check.enough).startswith(expected)


def test_enough_says_when(verdict):
    assert "after" in verdict(rule, [1 + 0.9**k for k in range(200)], check=check.enough)
    assert "20 steps of 60 still won 87.8%" in verdict(rule, [0.9**k for k in range(60)], check=check.enough)
    assert "not long enough" in verdict(rule, [2.0, 1.0], check=check.enough)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (..., "… Not answered"),
        (None, "✗"),
        ("a picture", "✗ This should be a number or an array"),
        (CASTLE[None], "✗ The picture should have the shape"),
        (COARSE, "✗ The picture has the shape (32, 48, 3), the photograph (64, 96, 3)"),
        (CASTLE * 255, "✗ The values of the picture should lie between 0 and 1"),
        (CASTLE * np.nan, "✗ Some values of the picture are no numbers"),
        (np.round(CASTLE), "✗ Many numbers are exactly 0 or 1"),
        (np.clip(CASTLE, 0.02, 0.98), "✗ This is the photograph still"),
    ],
)
def test_squashed(verdict, answer, expected):
    assert verdict(answer, CASTLE, PAINTING, check=check.squashed).startswith(expected)


def mixed(share):
    other = resize(PAINTING, CASTLE.shape[:2])
    return (1 - share) * CASTLE + share * other


def test_squashed_painted(verdict):
    answer = np.clip(mixed(0.5), 0.01, 0.99)
    assert verdict(answer, CASTLE, mixed(0.6), check=check.squashed).startswith("✓")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([mixed(share) for share in np.linspace(0.1, 0.9, 10)], "✓"),
        ([mixed(share) for share in np.linspace(0.9, 0.1, 10)], "✗ The last frame is no nearer"),
        ([CASTLE] * 10, "✗ The first and the last frame are the same"),
        ([CASTLE] * 5, "✗ At least ten frames"),
        ([CASTLE] * 9 + [COARSE], "✗ The frames have different sizes"),
        ([*[CASTLE] * 9, CASTLE[..., 0]], "✗ Frame 10 should have the shape"),
        (["frame"] * 10, "✗"),
        (np.stack([CASTLE] * 10), "✗ This should be a list"),
        (..., "… Not answered"),
        (None, "✗ This should be a list"),
    ],
)
def test_change_of_mind(verdict, answer, expected):
    assert verdict(answer, CASTLE, PAINTING, check=check.change_of_mind).startswith(expected)
