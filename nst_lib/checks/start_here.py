"""Checks for notebook 00."""

from typing import Any

import numpy as np

from nst_lib.checks import exercise, expect, to_picture
from nst_lib.course import find_data
from nst_lib.images import crop_to_fit, load_image
from nst_lib.metrics import score


def _same(picture: np.ndarray, known: np.ndarray) -> bool:
    return picture.shape == known.shape and np.allclose(picture, known, atol=0.02)


@exercise
def another_pair(picture: Any, castle: np.ndarray, painted_castle: np.ndarray) -> str:
    """A picture other than the castle."""
    picture = to_picture(picture)
    for known in (castle, painted_castle):
        expect(
            not _same(picture, known),
            "This is the castle that you have already: take other names from data/content and data/style.",
        )
    for file in sorted(find_data().glob("*/*.jpg")):
        expect(
            not _same(picture, load_image(file, max(picture.shape[:2]))),
            f"This is {file.name} as it is, unpainted: `stylize` takes a photograph and a painting.",
        )
    return "A picture that was not there before."


@exercise
def between(picture: Any, cat: np.ndarray, kandinsky: np.ndarray, gentle: Any, balanced: Any) -> str:
    """A cat between two others in both distances."""
    found = score(to_picture(picture, like=cat), cat, kandinsky)
    expect(
        found.content > gentle.content, "Too gentle: the content distance is no greater than at weight 0.1. Raise it."
    )
    expect(
        found.content < balanced.content, "Too strong: the content distance is no smaller than at weight 1. Lower it."
    )
    expect(found.style < gentle.style, "It is no nearer to the Kandinsky than at weight 0.1. Was it painted after him?")
    return f"Content {found.content:.1f}: between {gentle.content:.1f} and {balanced.content:.1f}."


@exercise
def from_nothing(picture: Any, castle: np.ndarray, church: np.ndarray, painted_castle: np.ndarray) -> str:
    """A castle from noise: its content and its style without its pixels."""
    found, known = (score(to_picture(p, like=castle), castle, church) for p in (picture, painted_castle))
    alien = score(crop_to_fit(church, *castle.shape[:2]), castle, church).content
    expect(found.content < 0.8 * alien, "This has nothing of the castle. Is the photograph the first argument?")
    untouched = score(castle, castle, church)
    expect(found.style < 0.2 * untouched.style, "This has nothing of the church. Is the painting the second argument?")
    expect(
        found.similarity < 0.7 * known.similarity,
        f"Pixel by pixel it is as much like the photograph ({found.similarity:.2f}) as the first picture was "
        f"({known.similarity:.2f}). Did it start from noise?",
    )
    return "The castle is found again, but not all of it: the start matters."


@exercise
def two_teachers(picture: Any, castle: np.ndarray, first: np.ndarray, second: np.ndarray, after_first: Any) -> str:
    """A picture nearer to both paintings than one that knows the other alone: the other itself, and a castle after it."""
    picture = to_picture(picture, like=castle)
    strangers = (("first", first, crop_to_fit(second, *castle.shape[:2])), ("second", second, after_first))
    for name, style, stranger in strangers:
        nearer = score(picture, castle, style).style < 0.92 * score(stranger, castle, style).style
        expect(nearer, f"It is hardly nearer to the {name} painting than without it. Has that one a share, and enough?")
    return "Both are heard."
