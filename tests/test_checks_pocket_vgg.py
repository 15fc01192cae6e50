import numpy as np
import pytest

from nst_lib.checks import pocket_vgg as check

A = np.random.default_rng(0).normal(size=(4, 9)).astype("float32")
M = A @ A.T
VALUES, VECTORS = np.linalg.eigh(M)
SYMMETRIC = (VECTORS * np.sqrt(VALUES)) @ VECTORS.T
ORIGINAL = 2_194_145_280
HALF = sum(
    (256 >> block) ** 2 * 9 * i * o
    for block, i, o in [
        (0, 3, 12), (0, 12, 12), (1, 12, 24), (1, 24, 24), (2, 24, 48), (2, 48, 48), (2, 48, 48), (3, 48, 64), (3, 64, 64),
        (3, 64, 64), (4, 64, 64),
    ]
)  # fmt: skip


def said(capsys, function, *answers):
    function(*answers)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return out


def share_count(gram, share):
    values = np.linalg.eigvalsh(gram)[::-1]
    return int(np.searchsorted(np.cumsum(values) / values.sum(), share - 1e-9) + 1)


def quantize(values, bits):
    step = np.abs(values).max() / (2 ** (bits - 1) - 1)
    return np.round(values / step) * step


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (HALF, "✓"),
        (..., "Not answered"),
        (ORIGINAL / 2, "two widths"),
        (ORIGINAL / 4, "cannot halve"),
        (ORIGINAL, "not fewer"),
        (HALF / 1e6, "not it"),
        ("many", "should be a number"),
        (None, "✗"),
        ([1, 2], "One number"),
    ],
)
def test_half_as_wide(capsys, answer, fragment):
    assert fragment in said(capsys, check.half_as_wide, answer, ORIGINAL)


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (np.linalg.cholesky(M), "✓"),
        (-SYMMETRIC, "but a symmetric one"),
        (..., "Not answered"),
        (SYMMETRIC, "which you have already"),
        (np.linalg.cholesky(M).T, "transpose would do"),
        (M, "a root of it"),
        (A, "4 x 4"),
        (2 * SYMMETRIC, "numbers differ"),
        (None, "✗"),
        ("cholesky", "array of numbers"),
    ],
)
def test_another_head(capsys, answer, fragment):
    assert fragment in said(capsys, check.another_head, answer, A, SYMMETRIC)


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (share_count, "✓"),
        (..., "Not answered"),
        (lambda gram, share: ..., "Not answered"),
        (lambda gram, share: share_count(gram, share) - 1, "are needed, not"),
        (lambda gram, share: np.ones(3), "One number"),
        (lambda gram, share: None, "✗"),
        (lambda gram, share: 1 / 0, "ZeroDivisionError"),
        (3, "a function"),
    ],
)
def test_directions_needed(capsys, answer, fragment):
    assert fragment in said(capsys, check.directions_needed, answer)


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (quantize, "✓"),
        (..., "Not answered"),
        (lambda values, bits: ..., "Not answered"),
        (lambda values, bits: values, "different ones left"),
        (lambda values, bits: np.round(values), "nearly the same"),
        (lambda values, bits: quantize(values, bits - 1), "half a step"),
        (lambda values, bits: values.ravel(), "shape should stay"),
        (lambda values, bits: "no", "array of numbers"),
        (lambda values, bits: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_rounded(capsys, answer, fragment):
    assert fragment in said(capsys, check.rounded, answer)


def test_finished(capsys):
    rng = np.random.default_rng(0)
    content, style = rng.random((2, 48, 48, 3)).astype("float32")
    rough = np.clip(content + rng.normal(0, 0.3, content.shape), 0, 1).astype("float32")
    assert "✓" in said(capsys, check.finished, content, rough, content, style)
    assert "Not answered" in said(capsys, check.finished, ..., rough, content, style)
    assert "sketch itself" in said(capsys, check.finished, rough, rough, content, style)
    assert "critic of the last steps" in said(capsys, check.finished, np.zeros_like(rough), rough, content, style)
    assert "the sketch (48, 48, 3)" in said(capsys, check.finished, content[:40], rough, content, style)
    assert "(height, width, 3), not ()" in said(capsys, check.finished, 3.0, rough, content, style)
