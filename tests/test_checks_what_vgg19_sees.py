"""Each check of notebook 01 passes a right answer, and meets typical wrong ones with a fitting sentence."""

import numpy as np
import pytest

from nst_lib.checks import RIGHT, WRONG
from nst_lib.checks import what_vgg19_sees as check

LEVEL = np.array([[-1, -1, -1], [2, 2, 2], [-1, -1, -1]])
WAVE = "hokusai_great_wave"
MEANS = {f"photograph_{i}": np.ones(4) for i in range(15)} | {WAVE: np.array([1.0, 3.0, 2.0, 0.0])}
PEAKS = {
    "block1_conv2": {"a": np.array([1.0, 2.0]), "b": np.array([0.0, 1.0])},
    "block5_conv1": {"a": np.array([0.0, 2.0]), "b": np.array([0.0, 0.0])},
}
PHOTOGRAPH = np.full((32, 48, 3), 0.4, "float32")


def relus(pictures, layers):
    """A network whose only channel is brightness."""
    return {layers[0]: np.asarray(pictures).mean(axis=-1, keepdims=True)}


def sees(windows, steps):
    r, s = 1, 1
    for window, step in zip(windows, steps, strict=True):
        r, s = r + (window - 1) * s, s * step
    return r


def fails(*_):
    raise KeyError("r")


CASES = [
    (check.level_line, (), LEVEL, None),
    (check.level_line, (), LEVEL.tolist(), None),
    (check.level_line, (), np.ones((3, 3)), "should answer 0"),
    (check.level_line, (), LEVEL.T, "level line"),
    (check.level_line, (), -LEVEL, "should be above 0"),
    (check.level_line, (), [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], "upright"),
    (check.level_line, (), np.zeros((3, 3)), "zeros"),
    (check.level_line, (), [[-1, -1, -1], [1, 1, 1], [0, 0, 0]], "an edge"),
    (check.level_line, (), [[0, 0, 0], [1, 1, 1], [-1, -1, -1]], "an edge"),
    (check.level_line, (), LEVEL[0], "(3, 3)"),
    (check.level_line, (), "level", "not str"),
    (check.level_line, (), None, ""),
    (check.other_windows, (), sees, None),
    (check.other_windows, (), lambda windows, steps: sum(windows), "two windows of 3 it gives 6"),
    (check.other_windows, (), lambda windows, steps: 1 + sum(w - 1 for w in windows), "too few"),
    (check.other_windows, (), fails, "KeyError"),
    (check.other_windows, (), 163, "function"),
    (check.other_windows, (), lambda windows, steps: None, ""),
    (check.who_sleeps, (PEAKS,), {"block1_conv2": 0, "block5_conv1": 0.5}, None),
    (check.who_sleeps, (PEAKS,), {"block1_conv2": 0.25, "block5_conv1": 0.75}, "too many"),
    (check.who_sleeps, (PEAKS,), {"block1_conv2": 0, "block5_conv1": 0}, "too few"),
    (check.who_sleeps, (PEAKS,), {"block1_conv2": 0, "block5_conv1": 50}, "between 0 and 1"),
    (check.who_sleeps, (PEAKS,), {"block1_conv2": 0}, "no share for block5_conv1"),
    (check.who_sleeps, (PEAKS,), [0, 0.5], "dictionary"),
    (check.hokusai, (MEANS,), 1, None),
    (check.hokusai, (MEANS,), np.int64(1), None),
    (check.hokusai, (MEANS,), 2, "another reaches"),
    (check.hokusai, (MEANS,), 4, "numbered from 0 to 3"),
    (check.hokusai, (MEANS,), 1.5, "numbered"),
    (check.hokusai, (MEANS,), [1, 2], "one channel"),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH + 0.15, None),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH, "take more steps"),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH - 0.2, "uphill"),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH + 0.5, "Nothing of the photograph"),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH + 0.8, "clip"),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH * np.nan, "not finite"),
    (check.dream, (PHOTOGRAPH, relus), PHOTOGRAPH[None], "shape"),
]


@pytest.mark.parametrize(("function", "given", "answer", "sentence"), CASES)
def test_answers(function, given, answer, sentence, capsys):
    function(answer, *given)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith(RIGHT if sentence is None else WRONG), line
    assert (sentence or "") in line, line


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (check.level_line, ()),
        (check.other_windows, ()),
        (check.who_sleeps, (PEAKS,)),
        (check.hokusai, (MEANS,)),
        (check.dream, (PHOTOGRAPH, relus)),
    ],
)
def test_dots_are_no_answer(function, given, capsys):
    function(..., *given)
    assert "Not answered" in capsys.readouterr().out


def test_a_function_of_dots_is_no_answer(capsys):
    check.other_windows(lambda windows, steps: ...)
    assert "Not answered" in capsys.readouterr().out
