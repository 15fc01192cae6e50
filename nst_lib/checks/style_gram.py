"""Checks for notebook 03."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from nst_lib.backbones import STYLE_LAYERS, load_backbone
from nst_lib.checks import NoAnswer, WrongAnswer, call, exercise, expect, expect_close, to_array, to_picture
from nst_lib.images import check_picture, resize
from nst_lib.losses import gram_matrix, relative_error

PENCIL = np.array([[[1, 0], [2, 1]], [[0, 2], [1, 0]]], "float32")  # exercise 1: height, width, channels
CHANGES = ("shifted", "mirrored", "turned", "half the size")


def _gram(activations: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(gram_matrix(activations[None].astype("float32"))))[0]


def _style(picture: np.ndarray, target: np.ndarray, statistic: Callable = gram_matrix) -> float:
    """The mean style distance of two pictures, as the pocket VGG sees it."""
    pocket = load_backbone("pocket")
    seen = pocket(np.ascontiguousarray(picture, "float32"), STYLE_LAYERS)
    wanted = pocket(np.ascontiguousarray(target, "float32"), STYLE_LAYERS)
    distances = [relative_error(statistic(seen[layer]), statistic(wanted[layer])) for layer in STYLE_LAYERS]
    return float(np.mean([ops.convert_to_numpy(distance) for distance in distances]))


def _mean_and_spread(activations: Any) -> Any:
    x = ops.cast(activations, "float32")
    return ops.concatenate([ops.mean(x, axis=(1, 2)), ops.std(x, axis=(1, 2))], axis=-1)


def _texture(answer: Any) -> np.ndarray:
    texture = to_picture(answer, "the texture")
    expect(texture.shape[0] == texture.shape[1] >= 128, "`grow` makes squares of 192 x 192; this is something else.")
    return texture


def _fitted(source: Any, texture: np.ndarray) -> np.ndarray:
    """The painting that a texture grew from, at the texture's size."""
    return resize(check_picture(source, "the painting"), texture.shape[0])


def _grew_from(texture: np.ndarray, source: Any) -> bool:
    """Whether a texture is nearer to its source than plain grey with a little noise is."""
    source = _fitted(source, texture)
    noise = np.random.default_rng(0).normal(0.5, 0.1, texture.shape).clip(0, 1)
    return _style(texture, source) < 0.8 * _style(noise, source)


@exercise
def by_hand(answer: Any) -> str:
    """The Gram matrix of two by two positions and two channels."""
    value, target = to_array(answer), _gram(PENCIL)
    expect(value.shape == (2, 2), f"Two channels make a matrix of shape (2, 2), not {value.shape}.")
    expect(np.array_equal(value, value.T), "A Gram matrix is symmetric: i with j is j with i.")
    expect(not np.allclose(value, 4 * target), "These are the sums over the positions; the Gram matrix has the means.")
    flat = PENCIL.reshape(-1, 2)
    covariance = target - np.outer(flat.mean(axis=0), flat.mean(axis=0))
    expect(not np.allclose(value, covariance), "This is the covariance: the Gram matrix leaves the means in.")
    expect(
        np.allclose(value.diagonal(), target.diagonal(), atol=0.01),
        "The diagonal is not right: it has the mean square of each channel.",
    )
    expect_close(value, target, "the Gram matrix", 0.01)
    return "Right. Mind how little is left of where things were."


@exercise
def forgery(answer: Any, original: np.ndarray) -> str:
    """Other activations with the same Gram matrix, and not the same rows in another order or number."""
    value = to_array(answer)
    expect(
        value.ndim == 3 and value.shape[-1] == original.shape[-1],
        "Activations have the shape (height, width, channels), with as many channels as the original.",
    )
    rows, known = value.reshape(-1, value.shape[-1]), original.reshape(-1, original.shape[-1])
    expect(not np.allclose(rows, 0), "All channels are silent.")
    expect_close(_gram(value), _gram(original), "the forgery's Gram matrix", 1e-3)
    stolen = [np.isclose(known, row, atol=1e-3).all(axis=1).any() for row in rows]
    expect(not all(stolen), "The Gram matrix is right, but all rows are the original's: find a way that changes some.")
    return "A perfect forgery: no Gram matrix can tell the two apart. Their means may."


@exercise
def what_style_does_not_mind(order: Any, changed: dict[str, np.ndarray], original: np.ndarray) -> str:
    """The names of four changes, from the one that style minds least."""
    expect(isinstance(order, list | tuple), 'A list of four names was asked for, such as ["shifted", ...].')
    if any(name is ... for name in order):
        raise NoAnswer
    expect(
        all(isinstance(name, str) for name in order) and sorted(order) == sorted(CHANGES),
        f"Each of these names is needed once: {', '.join(sorted(CHANGES))}.",
    )
    truth = sorted(changed, key=lambda name: _style(changed[name], original))
    expect(list(order) != truth[::-1], "The right names, the wrong way round: the least changed comes first.")
    wrong = next((place for place, (ours, name) in enumerate(zip(truth, order, strict=True)) if ours != name), None)
    if wrong is not None:
        raise WrongAnswer(f"Number {wrong + 1} in the list, {order[wrong]!r}, does not belong there. Measure all four.")
    return "Right. Style has no place, hardly a left and right, but an up and down, and above all a size."


@exercise
def mean_and_spread(function: Any) -> str:
    """Means and standard deviations of each channel, with a gradient that is finite."""
    activations = np.random.default_rng(0).normal(1.0, 2.0, (1, 6, 5, 4)).astype("float32")
    value = to_array(call(function, ops.convert_to_tensor(activations)))
    expect(value.shape != (8,), "The first axis counts pictures, and has to stay: the shape should be (1, 8).")
    expect(value.shape == (1, 8), f"For 4 channels the shape should be (1, 8), not {value.shape}.")
    mean, spread = activations.mean(axis=(1, 2)), activations.std(axis=(1, 2))
    expect(not np.allclose(value, np.concatenate([spread, mean], -1), atol=1e-2), "The means come first.")
    expect_close(value[:, :4], mean, "the first half, the means", 1e-3)
    expect(
        not np.allclose(value[:, 4:], spread**2, rtol=1e-2),
        "The second half has the variances: the standard deviations are their roots.",
    )
    expect_close(value[:, 4:], spread, "the second half, the standard deviations", 1e-2)
    from nst_lib.autodiff import value_and_gradient

    silent = ops.zeros((1, 6, 5, 4))
    _, _, slope = value_and_gradient(lambda x: (ops.sum(function(x)), None), silent)
    expect(
        slope is not None and np.isfinite(to_array(slope)).all(),
        "The numbers are right, but for a silent channel the gradient is not finite: see the hint on the root.",
    )
    return "Right: twice as many numbers as channels, and no pairs."


@exercise
def own_texture(answer: Any, source: np.ndarray) -> str:
    """A texture that grew from the painting by means and spreads: which fit better than the Gram matrices do."""
    texture = _texture(answer)
    expect(_grew_from(texture, source), "This is hardly nearer to the poppies than static is. Was it grown from them?")
    wanted = _fitted(source, texture)
    expect(
        _style(texture, wanted, _mean_and_spread) < 0.25 * _style(texture, wanted),
        'Its Gram matrices fit about as well as its means and spreads. Was it grown with style_loss="mean and spread"?',
    )
    return "It grew. Compare it with the Gram matrices' texture, and say what the pairs were for."


@exercise
def wallpaper(answer: Any, source: Any) -> str:
    """A tile of the source's style whose edges fit together."""
    tile = _texture(answer)
    for picture in (tile, tile.transpose(1, 0, 2)):
        steps = np.abs(np.diff(picture, axis=0)).mean(axis=(1, 2))
        across = np.abs(picture[0] - picture[-1]).mean()
        expect(across <= 1.3 * steps.max(), "There is a seam where the copies meet. Was `tileable` True?")
    expect(_grew_from(tile, source), "The tile is hardly nearer to its source than static is. Did it grow from it?")
    return "No seam. Now hang nine of them."
