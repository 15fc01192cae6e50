"""The checks of notebook 00."""

import numpy as np
import pytest

from nst_lib import course, crop_to_fit, stylize
from nst_lib.checks import start_here as check


def said(capsys, function, *arguments):
    function(*arguments)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def castles():
    castle, church = course.photograph("chenonceau_castle", 128), course.painting("vangogh_church_auvers", 128)
    return (
        castle,
        church,
        *(stylize(castle, church, size=128, steps=40, init=init, progress=False) for init in ("content", "noise")),
    )


def test_from_nothing(capsys, castles):
    castle, church, painted, from_noise = castles

    def verdict(picture):
        return said(capsys, check.from_nothing, picture, castle, church, painted)

    assert "✓" in verdict(from_noise)
    assert "Did it start from noise?" in verdict(painted)
    assert "nothing of the castle" in verdict(np.full_like(castle, 0.5))
    assert "nothing of the church" in verdict(castle)
    assert "nothing of the castle" in verdict(crop_to_fit(church, *castle.shape[:2]))
    assert "shape" in verdict(church)
    assert "Not answered" in verdict(...)
