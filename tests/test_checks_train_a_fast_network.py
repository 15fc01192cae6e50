"""The checks of notebook 06: right answers pass, typical wrong ones get a sentence that fits."""

import numpy as np
import pytest

from nst_lib.checks import train_a_fast_network as check
from nst_lib.course import painting
from nst_lib.fast.styles import StyleFile, shipped_styles

KNOWN = shipped_styles()
STYLES = KNOWN.styles
MIDDLE = np.mean(list(STYLES.values()), axis=0)
WAVE = painting("hokusai_great_wave", 128)


def equal_sums(kernel):
    phases = kernel.reshape(3, 3, -1, 4, 3)
    means = phases.mean(axis=(0, 1), keepdims=True)
    return (phases - means + means.mean(axis=3, keepdims=True)).reshape(kernel.shape)


def spoil(kernel):
    kernel *= 0
    return kernel


def further(style, share):
    return MIDDLE + share * (STYLES[style] - MIDDLE)


@pytest.mark.parametrize(
    ("name", "answers", "sentence"),
    [
        ("count", (1_674_432,), "✓"),
        ("count", (1_674_432 - 9 * 9 * 128 * 128,), "Ten layers"),
        ("count", (103_040,), "Not 103,040"),
        ("count", ([1, 2],), "One number"),
        ("count", ("many",), "not str"),
        ("count", (...,), "Not answered"),
        ("invisible", ({"darker", "half contrast"},), "✓"),
        ("invisible", ({"darker", "half contrast", "negative"},), "does see this one: negative"),
        ("invisible", ({"darker"},), "not all"),
        ("invisible", ("darker",), "no set"),
        ("invisible", ({"lighter"},), "no change of this name"),
        ("invisible", (None,), "A set"),
        ("no_chequers", (equal_sums,), "✓"),
        ("no_chequers", (lambda kernel: kernel,), "still differ"),
        ("no_chequers", (lambda kernel: 0 * kernel,), "smaller change"),
        ("no_chequers", (lambda kernel: kernel.reshape(3, 3, -1, 4, 3),), "keep its shape"),
        ("no_chequers", (spoil,), "handed in has been changed"),
        ("no_chequers", (lambda kernel: 1 / 0,), "ZeroDivisionError"),
        ("no_chequers", (lambda kernel: ...,), "Not answered"),
        ("wilder", (further("composition_viii", 1.5),), "✓"),
        ("wilder", (further("composition_viii", 1.0),), "1.00 times"),
        ("wilder", (1.5 * STYLES["composition_viii"],), "not on the line"),
        ("wilder", (STYLES["composition_viii"][:10],), "shape"),
        ("wilder", (...,), "Not answered"),
        ("own_style", (StyleFile(KNOWN.weights, {"mine": STYLES["great_wave"]}, {}), WAVE), "✓"),
        ("own_style", (KNOWN, WAVE), "a name of its own"),
        ("own_style", (StyleFile({}, {"mine": MIDDLE}, {}), WAVE), "vector_only"),
        ("own_style", (StyleFile(KNOWN.weights, {"mine": MIDDLE}, {}), WAVE), "for longer"),
        ("own_style", (None, WAVE), "StyleFile"),
        ("own_style", (..., WAVE), "Not answered"),
    ],
)
def test_check(name, answers, sentence, capsys):
    getattr(check, name)(*answers)
    printed = capsys.readouterr().out
    assert sentence in printed and printed.count("\n") == 1, printed
