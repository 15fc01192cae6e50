"""The checks of notebook 05: right answers pass, wrong ones hear what is wrong, dots are no answer."""

import numpy as np
import pytest

from nst_lib import course
from nst_lib.checks import weights_and_sliders as check
from nst_lib.color import match_colors
from nst_lib.images import crop_to_fit
from nst_lib.losses import STYLE_GAIN


def fails(function):
    raise ZeroDivisionError("by nothing")


@pytest.fixture(scope="module")
def pictures():
    """A smooth photograph and a busy painting."""
    generator = np.random.default_rng(0)
    slope = np.linspace(0.1, 0.9, 64, dtype="float32")
    photograph = np.stack(np.broadcast_arrays(slope[:48, None], slope[None], np.float32(0.5)), axis=-1)
    painting = np.clip(generator.normal((0.8, 0.5, 0.2), 0.2, (48, 64, 3)), 0, 1).astype("float32")
    return photograph, painting


def said(capsys, function, *answers):
    function(*answers)
    (line,) = capsys.readouterr().out.splitlines()
    return line


@pytest.mark.parametrize(
    "weights, sentence",
    [
        (np.geomspace(0.1, 10, 7), "✓"),
        (list(np.geomspace(0.1, 10, 7)), "✓"),
        (..., "Not answered"),
        (np.linspace(0.1, 10, 7), "Equal differences"),
        (np.geomspace(0.1, 10, 6), "this has 6"),
        (np.geomspace(0.1, 10, 7)[::-1], "begin at 0.1"),
        ([0.1, 0.2, 0.3, 1, 2, 5, 10], "ratio"),
        (None, "✗"),
        ("geomspace", "not str"),
    ],
)
def test_equal_steps(capsys, weights, sentence):
    assert sentence in said(capsys, check.equal_steps, weights)


@pytest.mark.parametrize(
    "price, sentence",
    [
        (lambda a, b: (b.content - a.content) / (STYLE_GAIN * (a.style - b.style)), "✓"),
        (lambda a, b: ..., "Not answered"),
        (lambda a, b: (b.content - a.content) / (a.style - b.style), "thirty"),
        (lambda a, b: STYLE_GAIN * (a.style - b.style) / (b.content - a.content), "Upside down"),
        (lambda a, b: (b.content - a.content) / (STYLE_GAIN * (b.style - a.style)), "sign"),
        (lambda a, b: b.content - a.content, "not 0.15"),
        (lambda a, b: np.zeros(3), "One number"),
        (lambda a, b: None, "✗"),
        (lambda a, b: fails(a), "ZeroDivisionError"),
        (0.5, "function"),
    ],
)
def test_price(capsys, price, sentence):
    assert sentence in said(capsys, check.price, price)


@pytest.mark.parametrize(
    "match, sentence",
    [
        (lambda a, b: (a - a.mean()) / a.std() * b.std() + b.mean(), "✓"),
        (lambda a, b: ..., "Not answered"),
        (lambda a, b: a, "as it was"),
        (lambda a, b: a - a.mean() + b.mean(), "deviation"),
        (lambda a, b: a / a.std() * b.std(), "mean is not"),
        (lambda a, b: (a.mean() - a) / a.std() * b.std() + b.mean(), "dark dark"),
        (lambda a, b: b, "shape"),
        (lambda a, b: None, "✗"),
        (fails, "✗"),
        ("no function", "function"),
    ],
)
def test_match_lightness(capsys, match, sentence):
    assert sentence in said(capsys, check.match_lightness, match)


def test_forms_not_colours(capsys):
    photograph, painting = (
        course.photograph("neuschwanstein_castle", 96),
        course.painting("kandinsky_composition_viii", 96),
    )
    drawing = crop_to_fit(painting, *photograph.shape[:2])
    forms = 0.5 * drawing + 0.5 * match_colors(drawing, photograph)

    def verdict(picture, known=photograph):
        return said(capsys, check.forms_not_colours, picture, photograph, painting, known)

    assert "✓" in verdict(forms)
    assert "Let block 3 be heard" in verdict(forms, forms)
    assert "carry colour" in verdict(drawing)
    assert "hardly more" in verdict(photograph)
    assert "(height, width, 3)" in verdict([forms])
    assert "not dict" in verdict({"block1_conv1": 0})
    assert "Not answered" in verdict(...)


def test_cheat(capsys, pictures):
    photograph, painting = pictures
    painted = np.clip(0.5 * photograph + 0.5 * painting, 0, 1)
    cheat = match_colors(photograph, painting)
    assert "✓" in said(capsys, check.cheat, cheat, photograph, painting, painted)
    assert "nearer to the painting's colours" in said(capsys, check.cheat, photograph, photograph, painting, painted)
    assert "more similar" in said(capsys, check.cheat, painting, photograph, painting, painted)
    assert "shape" in said(capsys, check.cheat, cheat[:20], photograph, painting, painted)
    assert "between 0 and 1" in said(capsys, check.cheat, 255 * cheat, photograph, painting, painted)
    assert "Not answered" in said(capsys, check.cheat, ..., photograph, painting, painted)


def test_three_clients(capsys, pictures):
    face, painting = pictures
    hung = {
        "photographer": 0.9 * face + 0.1 * painting,
        "painter": 0.2 * face + 0.8 * painting,
        "sitter": match_colors(0.5 * face + 0.5 * painting, face),
    }

    def judged(**changed):
        return said(capsys, check.three_clients, hung | changed, face, painting)

    assert "✓" in judged()
    assert "more of the photograph" in judged(photographer=hung["painter"], painter=hung["photographer"])
    assert "nothing of the painting" in judged(photographer=face)
    assert "skin" in judged(sitter=hung["painter"])
    assert "a little paint" in judged(sitter=face)
    assert "Not answered" in judged(painter=...)
    assert "The painter's picture has the shape" in judged(painter=face[:30])
    assert "for each of" in said(capsys, check.three_clients, {"painter": face}, face, painting)
    assert "not list" in said(capsys, check.three_clients, list(hung.values()), face, painting)
    assert "Not answered" in said(capsys, check.three_clients, ..., face, painting)
