"""What notebooks lean on: bundled pictures, the computing budget, and checks that never stop a notebook."""

import numpy as np
import pytest

from nst_lib import PictureError, SettingsError
from nst_lib.checks import OPEN, RIGHT, WRONG, call, exercise, expect, expect_close, expect_number
from nst_lib.course import budget, find_data, painting, photograph


def test_bundled_pictures_by_name():
    assert photograph("chelsea_cat", size=64).shape == (43, 64, 3)
    assert painting("hokusai_great_wave", size=64).max() <= 1
    with pytest.raises(SettingsError, match="chelsea_cat"):
        photograph("chelsea_dog")


def test_the_data_folder_is_found_from_below(monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/SOURCES.md").touch()
    (tmp_path / "notebooks/solutions").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks/solutions")
    assert find_data() == tmp_path / "data"
    monkeypatch.chdir("/")
    with pytest.raises(PictureError, match="open the notebook from the course's repository"):
        find_data()


@pytest.mark.parametrize(("share", "steps"), [(None, 100), ("0.3", 30), ("0.01", 5), ("2", 200)])
def test_budget(monkeypatch, share, steps):
    monkeypatch.delenv("NST_BUDGET", raising=False)
    if share:
        monkeypatch.setenv("NST_BUDGET", share)
    assert budget(100, least=5) == steps


@pytest.mark.parametrize("share", ["", "none", "0", "-1", "nan"])
def test_a_budget_that_is_none(monkeypatch, share):
    monkeypatch.setenv("NST_BUDGET", share)
    with pytest.raises(SettingsError, match="NST_BUDGET"):
        budget(100)


@exercise
def area(function):
    """A check as a notebook's."""
    expect_close(call(function, 2.0), 4 * np.pi, "the area of a disc of radius 2")
    expect(function(0) == 0, "A disc of no radius has no area.")
    return "pi r squared."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda r: np.pi * r**2, f"{RIGHT} pi r squared."),
        (..., f"{OPEN} Not answered yet"),
        (lambda r: ..., f"{OPEN} Not answered yet"),
        (lambda r: 2 * r, f"{WRONG} the area of a disc of radius 2 is not 4."),
        (lambda r: [r, r], "should have the shape (), not (2,)"),
        (lambda r: "a string", "should be a number"),
        (lambda r: 1 / 0, f"{WRONG} <lambda> raised ZeroDivisionError"),
        (3, f"{WRONG} This should be a function, not int."),
        (None, f"{WRONG} This should be a function, not NoneType."),
        (lambda r: np.pi * r**2 + (r == 0), "no radius has no area"),
    ],
)
def test_a_check_prints_one_line_and_goes_on(capsys, answer, said):
    area(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1


def test_a_check_that_fails_itself_says_so(capsys):
    @exercise
    def broken(answer):
        return answer.missing

    broken(1)
    assert capsys.readouterr().out.startswith(f"{WRONG} That led to an error, AttributeError")


def test_numbers_and_arrays(capsys):
    @exercise
    def check(number, array):
        expect_number(number, 1, 2, "between one and two")
        expect_close(array, [1.0, 2.0], "the array")

    for number, array in ((1.5, [1, 2]), (3, [1, 2]), ([1, 2], [1, 2]), (1.5, [1, 2.1]), (1.5, [np.nan, 2])):
        check(number, array)
    right, *wrong = capsys.readouterr().out.splitlines()
    assert right == f"{RIGHT} Right."
    assert wrong[0] == f"{WRONG} between one and two" and "One number" in wrong[1]
    assert "differ, by up to 0.1" in wrong[2] and "nan" in wrong[3]
