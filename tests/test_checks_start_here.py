"""The checks of notebook 00."""

import numpy as np
import pytest

from nst_lib import course, crop_to_fit, stylize
from nst_lib.checks import start_here as check
from nst_lib.metrics import score


def said(capsys, function, *arguments):
    function(*arguments)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def castles():
    castle, church = course.photograph("chenonceau_castle", 96), course.painting("vangogh_church_auvers", 96)
    return (
        castle,
        church,
        *(stylize(castle, church, size=96, steps=24, init=init, progress=False) for init in ("content", "noise")),
    )


def test_another_pair(capsys, castles):
    castle, _, painted, _ = castles
    assert "✓" in said(capsys, check.another_pair, 0.9 * course.photograph("chelsea_cat", 96), castle, painted)
    assert "already" in said(capsys, check.another_pair, painted, castle, painted)
    assert "chelsea_cat.jpg as it is" in said(
        capsys, check.another_pair, course.photograph("chelsea_cat", 96), castle, painted
    )
    assert "hokusai_poppies.jpg as it is" in said(
        capsys, check.another_pair, course.painting("hokusai_poppies"), castle, painted
    )


@pytest.mark.slow
def test_between(capsys):
    cat, kandinsky, wave = (
        course.photograph("chelsea_cat", 96),
        *(course.painting(name, 96) for name in ("kandinsky_composition_viii", "hokusai_great_wave")),
    )
    painted = {
        weight: stylize(cat, kandinsky, size=96, steps=12, style_weight=weight, progress=False)
        for weight in (0.1, 0.3, 1)
    }
    ends = [score(painted[weight], cat, kandinsky) for weight in (0.1, 1)]

    def verdict(picture):
        return said(capsys, check.between, picture, cat, kandinsky, *ends)

    assert "✓" in verdict(painted[0.3])
    assert "Too gentle" in verdict(cat)
    assert "Too strong" in verdict(painted[1])
    after_another = stylize(cat, wave, size=96, steps=12, style_weight=0.3, progress=False)
    assert "painted after him" in verdict(after_another)


def test_two_teachers(capsys, castles):
    castle, church, painted, _ = castles
    wave = course.painting("hokusai_great_wave", 96)

    def verdict(picture):
        return said(capsys, check.two_teachers, picture, castle, church, wave, painted)

    for shares in ([0.2, 0.8], [0.8, 0.2]):
        assert "✓" in verdict(stylize(castle, [church, wave], shares=shares, size=96, steps=12, progress=False))
    assert "second painting" in verdict(painted)
    assert "first painting" in verdict(stylize(castle, wave, size=96, steps=12, progress=False))


def test_from_nothing(capsys, castles):
    castle, church, painted, from_noise = castles

    def verdict(picture):
        return said(capsys, check.from_nothing, picture, castle, church, painted)

    assert "✓" in verdict(from_noise)
    assert "Did it start from noise?" in verdict(painted)
    assert "nothing of the castle" in verdict(np.full_like(castle, 0.5))
    assert "nothing of the church" in verdict(castle)
    assert "nothing of the castle" in verdict(crop_to_fit(church, *castle.shape[:2]))
    assert "The picture has the shape" in verdict(church)
    assert "should have the shape (height, width, 3), not (0, 64, 3)" in verdict(castle[:0, :64])
    assert "between 0 and 1" in verdict(2 * castle)
    assert "Not answered" in verdict(...)
