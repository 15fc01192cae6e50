"""Whose colours? The photograph's kept, or the painting recoloured first, in the perceptual space Oklab (Ottosson 2020).

Oklab is made so that equal distances look equal: lightness first, then green-red and blue-yellow.
"""

from collections.abc import Iterator

import numpy as np

from nst_lib.errors import check_choice
from nst_lib.images import check_picture, resize

COLORS = ("style", "content", "luminance", "match")
PIECE = 1 << 14  # pixels that are converted at a time: few enough for the processor's cache, too
_METHODS = {"content": "linear", "match": "histogram"}
_RGB_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_CONES_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_oklab(picture: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) in [0, 1] as Oklab: lightness in [0, 1], the two colour axes in about [-0.4, 0.4]; float64."""
    picture = check_picture(picture)
    lab = np.empty(picture.shape)
    for srgb, into in _pieces(picture, lab):
        srgb = srgb.astype("float64")
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        into[:] = np.cbrt(linear @ _RGB_TO_CONES.T) @ _CONES_TO_LAB.T
    return lab


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Oklab as a picture. Colours that sRGB does not have lose saturation until it has them, at the same lightness."""
    lab = np.asarray(lab)
    picture = np.empty(lab.shape, "float32")
    for piece, into in _pieces(lab, picture):
        lightness, colour = np.clip(piece[:, :1], 0, 1), piece[:, 1:]
        linear = _to_linear(lightness, colour)
        outside = ~_fits(linear)
        linear[outside] = _desaturated(lightness[outside], colour[outside])
        linear = np.clip(linear, 0, 1)
        into[:] = np.clip(np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055), 0, 1)
    return picture


def _pieces(*pictures: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The same pixels (n, 3) of each picture, a few at a time: what is computed of a whole print would not fit in memory."""
    pixels = [picture.reshape(-1, 3) for picture in pictures]
    for start in range(0, len(pixels[0]), PIECE):
        yield tuple(every[start : start + PIECE] for every in pixels)


def _fits(linear: np.ndarray) -> np.ndarray:
    """Which pixels sRGB has: (n,) of (n, 3)."""
    return np.all((linear >= -1e-4) & (linear <= 1 + 1e-4), axis=-1)


def _desaturated(lightness: np.ndarray, colour: np.ndarray) -> np.ndarray:
    low, high = np.zeros_like(lightness), np.ones_like(lightness)  # the share of its saturation that a pixel may keep
    for _ in range(12):
        share = (low + high) / 2
        fits = _fits(_to_linear(lightness, colour * share))[:, None]
        low, high = np.where(fits, share, low), np.where(fits, high, share)
    return _to_linear(lightness, colour * low)


def _to_linear(lightness: np.ndarray, colour: np.ndarray) -> np.ndarray:
    cones = np.concatenate([lightness, colour], axis=-1) @ np.linalg.inv(_CONES_TO_LAB).T
    return cones**3 @ np.linalg.inv(_RGB_TO_CONES).T


def recolor(painting: np.ndarray, content: np.ndarray, color: str) -> np.ndarray:
    """The painting as it is to be painted from, for one of COLORS: with the photograph's palette for "content" (linear) and
    "match" (histogram), else as it is."""
    check_choice("color", color, COLORS)
    if color not in _METHODS:
        return painting
    return match_colors(painting, content, _METHODS[color])


def keep_colors(pastiche: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The pastiche's lightness with the photograph's colours.

    After the luminance transfer of Gatys et al. 2017, section 5, which paints the lightness alone; here it is taken from a
    picture that was painted in full colour.

    Args:
        pastiche: (h, w, 3) in [0, 1].
        content: the photograph; resized to the pastiche's shape.
    """
    pastiche = check_picture(pastiche)
    content = resize(content, pastiche.shape[:2])
    kept = np.empty_like(pastiche)
    for light, colour, into in _pieces(pastiche, content, kept):
        lab = to_oklab(colour[None])
        lab[..., :1] = to_oklab(light[None])[..., :1]
        into[:] = from_oklab(lab)[0]
    return kept


def match_colors(painting: np.ndarray, content: np.ndarray, method: str = "linear") -> np.ndarray:
    """The painting with the photograph's palette, to be painted from (colour matching: Gatys et al. 2017, section 5).

    Args:
        painting, content: pictures (h, w, 3) in [0, 1], of any sizes.
        method: "linear" gives the painting's colours the mean and covariance of the photograph's by the map that moves them
            least (Monge-Kantorovich: Pitie and Kokaram 2007); "histogram" gives each axis of Oklab the photograph's
            distribution.
    """
    check_choice("method", method, ("linear", "histogram"))
    source, target = to_oklab(painting), to_oklab(content)
    pixels, wanted = source.reshape(-1, 3), target.reshape(-1, 3)
    if method == "linear":
        root = matrix_power(_covariance(pixels), 0.5)
        inverse = matrix_power(_covariance(pixels), -0.5)
        transport = inverse @ matrix_power(root @ _covariance(wanted) @ root, 0.5) @ inverse
        pixels = (pixels - pixels.mean(0)) @ transport.T + wanted.mean(0)
    else:
        pixels = np.stack([_match_axis(pixels[:, axis], wanted[:, axis]) for axis in range(3)], axis=-1)
    return from_oklab(pixels.reshape(source.shape))


def _covariance(pixels: np.ndarray) -> np.ndarray:
    return np.cov(pixels.T) + 1e-8 * np.eye(3)  # one colour has none: the map then stays finite


def matrix_power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A symmetric positive matrix to a power, by its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T


def _match_axis(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`values` replaced, in order, by the quantiles of `wanted`; equal values stay equal."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    quantiles = (np.cumsum(counts) - counts / 2) / len(values)
    return np.quantile(wanted, quantiles)[inverse]
