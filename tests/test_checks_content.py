"""The checks of notebook 02: right answers pass, typical wrong ones get a sentence that fits."""

import numpy as np
import pytest

from nst_lib.checks import content as check

W = np.array([[0.5, 0.5, 0.0, 0.0], [-0.5, -0.5, 0.5, 0.5]])


@pytest.fixture
def said(capsys):
    def said():
        text = capsys.readouterr().out
        assert text.count("\n") == 1
        return text

    return said


def gradient(x, photo, W):
    F, P = np.maximum(W @ x, 0), np.maximum(W @ photo, 0)
    return W.T @ ((F - P) * (W @ x > 0)) * 2 / np.sum(P**2)


def no_relu_on_the_photograph(x, photo, W):
    return W.T @ ((W @ x > 0) * 2 * (W @ x - W @ photo)) / np.sum((W @ photo) ** 2)


def linear(x, photo, W):
    return W.T @ (W @ x - W @ photo) * 2 / np.sum((W @ photo) ** 2)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (gradient, "✓ Right"),
        (linear, "wrong where it is silent"),
        (no_relu_on_the_photograph, "where one number of the photograph is silent"),
        (lambda *a: -gradient(*a), "the numbers differ"),
        (lambda *a: gradient(*a)[:2], "shape (4,)"),
        (lambda *a: None, "✗"),
        (lambda *a: 1 / 0, "ZeroDivisionError"),
        ("x", "should be a function"),
        (lambda *a: ..., "Not answered"),
    ],
)
def test_relu_gradient(answer, sentence, said):
    check.relu_gradient(answer, W)
    assert sentence in said()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (np.argsort(check.SHUFFLE), "✓ All five"),
        (np.argsort(check.SHUFFLE)[::-1], "Turn it round"),
        (check.SHUFFLE, "in the layers' order"),
        ([0, 1, 2, 3, 4], "in place"),
        ([0, 1, 2, 3, 3], "once"),
        ([1, 2], "Five indices"),
        (["block1_conv2"], "✗"),
        (None, "✗"),
        (..., "Not answered"),
    ],
)
def test_which_is_which(answer, sentence, said):
    check.which_is_which(answer)
    assert sentence in said()


def test_shuffled_is_undone_by_the_answer():
    pictures = {name: name for name in "abcde"}
    shuffled = check.shuffled(pictures)
    assert [shuffled[place] for place in np.argsort(check.SHUFFLE)] == list("abcde")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((check.DOWN, check.RIGHT), "✓"),
        ((check.RIGHT, check.DOWN), "Nearly"),
        ((0, 0), "Not there"),
        (3, "Two numbers"),
        ("here", "✗"),
        (..., "Not answered"),
    ],
)
def test_lost_and_found(answer, sentence, said):
    check.lost_and_found(answer)
    assert sentence in said()


def means(F, P):
    f, p = F.mean((0, 1, 2)), P.mean((0, 1, 2))
    return ((f - p) ** 2).sum() / (p**2).sum()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (means, "✓ 0 for the shuffled"),
        (lambda F, P: ((F - P) ** 2).sum() / (P**2).sum(), "minds the mirror"),
        (lambda F, P: ((F.mean((0, 2)) - P.mean((0, 2))) ** 2).sum(), "minds the order"),
        (lambda F, P: 0.0, "forgives too much"),
        (lambda F, P: ((F.mean((0, 1, 2)) - P.mean((0, 1, 2))) ** 2).sum(), "not relative"),
        (lambda F, P: F.mean((0, 1, 2)), "one number"),
        (lambda F, P: 1.0, "not 0"),
        (lambda F, P: F @ None, "raised"),
        (None, "should be a function"),
        (lambda F, P: ..., "Not answered"),
    ],
)
def test_forgiving(answer, sentence, said):
    rng = np.random.default_rng(1)
    check.forgiving(answer, rng.uniform(1, 2, (1, 4, 6, 5)), rng.uniform(0, 1, (1, 4, 6, 5)) ** 3)
    assert sentence in said()


def test_chimera(pair, said):
    left, right = pair[0][:48], pair[1]
    pasted = np.concatenate([left[:, :32], right[:, 32:]], axis=1)
    near = np.clip(pasted + np.random.default_rng(0).normal(0, 0.02, pasted.shape), 0, 1).astype("float32")
    answers = [
        (near, "✓ Distances"),
        (pasted, "pasted from pixels"),
        (left, "right half"),
        (right, "left half"),
        ((near, [1.0]), "a tuple"),
        (near[:20], "shape should be"),
        (None, "✗"),
        ("picture", "✗"),
        (..., "Not answered"),
    ]
    for answer, sentence in answers:
        check.chimera(answer, left, right)
        assert sentence in said()
