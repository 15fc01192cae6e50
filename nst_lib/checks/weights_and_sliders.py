"""Checks for notebook 05."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nst_lib.backbones import load_backbone
from nst_lib.checks import NoAnswer, WrongAnswer, call, exercise, expect, expect_number, to_array, to_picture
from nst_lib.color import to_oklab
from nst_lib.images import resize
from nst_lib.losses import gram_distance, gram_matrix
from nst_lib.metrics import Score, palette_distance, score

JUDGE = "pocket"
DEEP = ("block3_conv1", "block4_conv1", "block5_conv1")
CLIENTS = ("photographer", "painter", "sitter")


@exercise
def equal_steps(weights: Any) -> str:
    """Seven weights from 0.1 to 10, each as many times the one before."""
    weights = to_array(weights).ravel()
    expect(weights.size == 7, f"Seven weights were asked for; this has {weights.size}.")
    expect(abs(weights[0] - 0.1) < 1e-3 and abs(weights[-1] - 10) < 0.1, "They should begin at 0.1 and end at 10.")
    expect((np.diff(weights) > 0).all(), "They should rise.")
    ratios, gaps = weights[1:] / weights[:-1], np.diff(weights)
    expect(
        np.ptp(gaps) > 0.1 * gaps.mean(),
        "Equal differences: five of the seven are louder than 3. Make the ratios equal.",
    )
    expect(
        np.ptp(ratios) < 0.05 * ratios.mean(), "The ratio from one weight to the next should be the same all the way."
    )
    return f"Each is {ratios[0]:.2f} times the one before, and 1 is in the middle."


@exercise
def price(function: Callable) -> str:
    """What one unit of style costs in content."""
    weaker, stronger = Score(0.2, 0.02, 0.9, 0.1), Score(0.35, 0.01, 0.8, 0.1)
    found = call(function, weaker, stronger)
    value = float(to_array(found).ravel()[0]) if to_array(found).size == 1 else np.nan
    expect(not abs(value - 15) < 0.1, "Almost: the loss counts style thirty times, so count it so here.")
    expect(not abs(value - 2) < 0.01, "Upside down: content is what is paid, style is what is bought.")
    expect(not abs(value + 0.5) < 0.01, "The sign: content rises while style falls, and a price is positive.")
    expect_number(found, 0.499, 0.501, f"Content 0.2 to 0.35, style 0.02 to 0.01: the price is not {value:.3g}.")
    return "A price, and it should lie between the two weights."


@exercise
def match_lightness(function: Callable) -> str:
    """Lightness with another's mean and standard deviation."""
    generator = np.random.default_rng(5)
    mine, wanted = generator.uniform(0.1, 0.4, (12, 10, 1)), generator.uniform(0.3, 0.9, (8, 16, 1))
    found = to_array(call(function, mine.copy(), wanted.copy()))
    expect(found.shape == mine.shape, f"The shape should stay that of the painting, {mine.shape}, not {found.shape}.")
    expect(not np.allclose(found, mine), "This is the painting's lightness as it was.")
    expect(abs(found.mean() - wanted.mean()) < 1e-3, "The mean is not the photograph's.")
    expect(
        abs(found.std() - wanted.std()) < 1e-3, "The mean is right, but the standard deviation is not the photograph's."
    )
    straight = abs(np.corrcoef(found.ravel(), mine.ravel())[0, 1] - 1) < 1e-6
    expect(straight, "Light has to stay light, and dark dark: stretch and shift the painting's values, no more.")
    return "The painting now has the photograph's light, and its own strokes."


@exercise
def forms_not_colours(picture: Any, castle: np.ndarray, kandinsky: np.ndarray, known: np.ndarray) -> str:
    """The painting's large forms and lines, but not its colours; `known` has the forms alone."""
    picture = to_picture(picture, like=castle)
    kept = palette_distance(picture, castle) < 2 / 3 * palette_distance(kandinsky, castle)
    expect(kept, "Its colours have gone more than two thirds of the way to the painting's. Which layers carry colour?")
    before, without, after = (_by_depth(seen, kandinsky) for seen in (castle, known, picture))
    forms = after[1:].mean() < 0.5 * before[1:].mean()
    expect(forms, "Blocks 4 and 5 find hardly more of the painting in it than in the photograph. Are they heard?")
    lines = f"His lines, in block 3, are {after[0]:.3f} away; blocks 4 and 5 alone: {without[0]:.3f}."
    expect(after[0] < 0.9 * without[0], f"His forms are there. {lines} Let block 3 be heard, softly.")
    return f"His forms, under a Bavarian sky. {lines}"


def _by_depth(picture: np.ndarray, painting: np.ndarray) -> np.ndarray:
    judge = load_backbone(JUDGE)
    seen, wanted = judge(picture, DEEP), judge(resize(painting, max(picture.shape)), DEEP)
    return np.array([float(to_array(gram_distance(seen[layer], gram_matrix(wanted[layer])))) for layer in DEEP])


@exercise
def cheat(picture: Any, castle: np.ndarray, wave: np.ndarray, painted: np.ndarray) -> str:
    """A picture that beats the painted one in similarity and colour."""
    mine, known = (score(to_picture(p, like=castle), castle, wave, JUDGE) for p in (picture, painted))
    numbers = " against ".join(f"{found.similarity:.2f} and {found.color:.3f}" for found in (mine, known))
    expect(
        mine.similarity > known.similarity, f"Not yet more similar to the photograph. Similarity and colour: {numbers}."
    )
    expect(mine.color < known.color, f"Not yet nearer to the painting's colours. Similarity and colour: {numbers}.")
    return f"Similarity {mine.similarity:.2f}, colour {mine.color:.3f}, and not one stroke of paint."


@exercise
def three_clients(pictures: Any, face: np.ndarray, cafe: np.ndarray) -> str:
    """A picture each for a photographer, a painter, and the sitter."""
    if not isinstance(pictures, Mapping):
        raise WrongAnswer(f"This should be a dictionary of pictures, not {type(pictures).__name__}.")
    expect(set(CLIENTS) <= set(pictures), f"There should be a picture for each of {', '.join(CLIENTS)}.")
    if any(pictures[client] is ... for client in CLIENTS):
        raise NoAnswer
    hung = {client: to_picture(pictures[client], f"the {client}'s picture", face) for client in CLIENTS}
    photographer, painter, sitter = (score(hung[client], face, cafe, JUDGE) for client in CLIENTS)
    unpainted = score(face, face, cafe, JUDGE)
    expect(photographer.style < unpainted.style, "The photographer's picture has nothing of the painting.")
    expect(
        photographer.content < painter.content, "The photographer should get more of the photograph than the painter."
    )
    expect(painter.style < photographer.style, "The painter should get more of the painting than the photographer.")
    natural = _colour_drift(hung["sitter"], face) < 0.6 * _colour_drift(hung["painter"], face)
    expect(natural, "The sitter asks for the skin that she came with. Whose colours did you keep?")
    expect(sitter.content > 0.01, "The sitter's picture is the photograph: a little paint, please.")
    return "Three clients, one sitting."


def _colour_drift(picture: np.ndarray, photograph: np.ndarray) -> float:
    return float(np.abs(to_oklab(picture) - to_oklab(photograph))[..., 1:].mean())
