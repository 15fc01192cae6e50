"""The checks of notebook 07: right answers pass, typical wrong ones get a sentence that fits."""

import numpy as np
import pytest

from nst_lib.checks import real_time as check


def summarise(times, first=3, middle=np.median):
    low, high = np.percentile(times[first:], [10, 90])
    return middle(times[first:]), high - low


def multiplications(height, width, kernel, channels, outputs, stride):
    return (height // stride) * (width // stride) * kernel**2 * channels * outputs


TRIED = {0: (1.0, 1.0), 0.3: (0.75, 0.99), 0.6: (0.55, 0.95), 0.9: (0.35, 0.9)}


@pytest.mark.parametrize(
    ("name", "answer", "sentence"),
    [
        ("summary", summarise, "✓"),
        ("summary", lambda times: summarise(times, first=0), "first three"),
        ("summary", lambda times: summarise(times, middle=np.mean), "mean"),
        ("summary", lambda times: (summarise(times)[0], np.std(times)), "spread is not"),
        ("summary", lambda times: (summarise(times)[0], -summarise(times)[1]), "negative"),
        ("summary", lambda times: np.median(times[3:]), "A pair"),
        ("summary", lambda times: ..., "Not answered"),
        ("summary", 3, "should be a function"),
        ("multiplied", multiplications, "✓"),
        ("multiplied", lambda h, w, k, c, d, s: h * w * k * k * c * d, "stride is not in it"),
        ("multiplied", lambda h, w, k, c, d, s: h * w * k * k * c * d / s, "halves the height and the width"),
        ("multiplied", lambda h, w, k, c, d, s: h * w * k * c * d, "it is not"),
        ("multiplied", lambda *_: None, "`return` missing"),
        ("multiplied", lambda *_: [1, 2], "one number"),
        ("multiplied", lambda *_: ..., "Not answered"),
        ("reach", 51, "✓"),
        ("reach", np.int64(48), "✓"),
        ("reach", 96, "same statistics"),
        ("reach", 12, "Not 12"),
        ("reach", (1, 2), "One number"),
        ("reach", ..., "Not answered"),
        ("queue", 5, "✓"),
        ("queue", 15, "taken after ten"),
        ("queue", 5000, "In seconds"),
        ("queue", 0.017, "Not 0.017"),
        ("queue", "late", "not str"),
        ("queue", ..., "Not answered"),
        ("steadiness", TRIED, "✓"),
        ("steadiness", {0: (1, 1)}, "missing"),
        ("steadiness", TRIED | {0: (0.08, 0.05)}, "divide by"),
        ("steadiness", TRIED | {0.9: (0.8, 0.9)}, "Flicker should fall"),
        ("steadiness", TRIED | {0.9: 0.3}, "a pair"),
        ("steadiness", [1, 2], "A dictionary"),
        ("steadiness", ..., "Not answered"),
    ],
)
def test_check(name, answer, sentence, capsys):
    getattr(check, name)(answer)
    printed = capsys.readouterr().out
    assert sentence in printed and printed.count("\n") == 1, printed
