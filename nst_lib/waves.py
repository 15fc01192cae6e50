"""A picture as a sum of waves, and back: the cosine transform (DCT-II), which does not wrap round, so that opposite edges do
not speak to each other; and Fourier's for a periodic picture, whose edges meet. Both are orthonormal.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from keras import ops

from nst_lib.autodiff import run_as_one

Tensor = Any
FAST_FROM = 500_000  # pixels: from here on, the fast Fourier transform is faster than a product of matrices


@run_as_one
def to_waves(picture: Tensor, *, periodic: bool = False) -> Tensor:
    """The amplitudes (c, h, w) of a picture's (h, w, c) waves, a frequency down and one across to each; see `frequencies`."""
    height, width, channels = picture.shape
    if _is_fast(height, width, periodic):
        return ops.stack([_along_both(_cosine_transform, picture[..., channel]) for channel in range(channels)])
    rows, columns = (ops.array(_basis(side, periodic), "float32") for side in (height, width))
    return rows @ ops.transpose(picture, (2, 0, 1)) @ ops.transpose(columns)


@run_as_one
def from_waves(waves: Tensor, *, periodic: bool = False) -> Tensor:
    """The picture (h, w, c) with these amplitudes (c, h, w)."""
    channels, height, width = waves.shape
    if _is_fast(height, width, periodic):
        return ops.stack([_along_both(_inverse_cosine_transform, waves[channel]) for channel in range(channels)], -1)
    rows, columns = (ops.array(_basis(side, periodic), "float32") for side in (height, width))
    return ops.transpose(ops.transpose(rows) @ waves @ columns, (1, 2, 0))


@run_as_one
def enlarge_periodic(picture: Tensor, *, size: tuple[int, int]) -> Tensor:
    """A periodic picture (1, h, w, c) enlarged to (height, width): its waves, in a larger picture. Opposite edges still meet,
    which they would not if each were continued by itself."""
    waves = to_waves(picture[0], periodic=True)
    for axis, large in enumerate(size, start=1):
        waves = _without_excess(waves, axis, large)
    more = [large - small for large, small in zip(size, waves.shape[1:], strict=True)]
    scale = float(np.sqrt(np.prod(size) / np.prod(waves.shape[1:])))  # as the amplitudes are of waves of unit length
    return from_waves(scale * ops.pad(waves, [(0, 0), (0, more[0]), (0, more[1])]), periodic=True)[None]


def _without_excess(waves: Tensor, axis: int, large: int) -> Tensor:
    """Waves along an axis, whose highest is divided by the root of 2 if the side is even and is enlarged: of such a side it
    is all peaks, and so has an amplitude that is larger by that than the same wave's in a larger picture."""
    side = waves.shape[axis]
    if side % 2 or large == side:
        return waves
    lower, last = ops.split(waves, [side - 1], axis)
    return ops.concatenate([lower, last / np.sqrt(2).astype("float32")], axis)


def frequencies(side: int, periodic: bool = False) -> np.ndarray:
    """Of the waves along a side, (side,), in cycles per pixel."""
    waves = np.arange(side)
    return (waves + 1) // 2 / side if periodic else waves / (2 * side)


def _is_fast(height: int, width: int, periodic: bool) -> bool:
    return not periodic and height * width >= FAST_FROM


@lru_cache(maxsize=8)
def _basis(side: int, periodic: bool) -> np.ndarray:
    """An orthonormal basis (side, side), a wave to a row; see `frequencies`."""
    k, i = np.arange(side)[:, None], np.arange(side)[None]
    if not periodic:
        waves = np.cos(np.pi * k * (2 * i + 1) / (2 * side))
    else:
        turns = (k + 1) // 2  # 0, then a cosine and a sine for each number of turns
        waves = np.where(k % 2 == 1, np.cos(2 * np.pi * turns * i / side), np.sin(2 * np.pi * turns * i / side))
        waves[0] = 1
    return waves / np.linalg.norm(waves, axis=1, keepdims=True)


def _along_both(transform: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A transform along both axes of x (h, w): of one colour at a time, as it takes ten times the memory of x."""
    return ops.transpose(transform(ops.transpose(transform(x))))


def _cosine_transform(x: Tensor) -> Tensor:
    """The orthonormal DCT-II along the last axis, by one Fourier transform of the same length (Makhoul 1980)."""
    side = x.shape[-1]
    real, imaginary = ops.rfft(ops.concatenate([x[..., ::2], ops.flip(x[..., 1::2], -1)], -1))
    cosine, sine, scale = map(ops.convert_to_tensor, _turns(side))
    low = real * cosine + imaginary * sine
    high = real * sine - imaginary * cosine
    return scale * ops.concatenate([low, ops.flip(high[..., 1 : (side + 1) // 2], -1)], -1)


def _inverse_cosine_transform(waves: Tensor) -> Tensor:
    side = waves.shape[-1]
    cosine, sine, scale = map(ops.convert_to_tensor, _turns(side))
    waves = waves / scale
    low, rest = waves[..., : side // 2 + 1], ops.flip(waves[..., side // 2 + 1 :], -1)
    middle = low[..., side // 2 :] if side % 2 == 0 else low[..., :0]  # an even side has a wave that is its own mirror
    high = ops.concatenate([ops.zeros_like(low[..., :1]), rest, middle], -1)
    folded = ops.irfft((low * cosine + high * sine, low * sine - high * cosine), fft_length=side)
    half = (side + 1) // 2
    odd = ops.flip(folded[..., half:], -1)
    odd = ops.concatenate([odd, folded[..., : half - side // 2]], -1)  # an odd side has one fewer: any, cut off again
    return ops.reshape(ops.stack([folded[..., :half], odd], -1), (*waves.shape[:-1], 2 * half))[..., :side]


@cache
def _turns(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosine and sine of the half-sample shift of every frequency, and the factors that make the transform orthonormal."""
    angle = np.pi * np.arange(side // 2 + 1) / (2 * side)
    scale = np.full(side, np.sqrt(2 / side))
    scale[0] = np.sqrt(1 / side)
    return np.cos(angle).astype("float32"), np.sin(angle).astype("float32"), scale.astype("float32")
