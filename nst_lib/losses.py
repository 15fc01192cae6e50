"""What a picture is judged by: content distance, style distance (Gram matrices or moments), total variation.

Distances are relative, so that 1 means "as far from the target as a blank": one weight means one thing on every network,
layer, size and picture. (Published systems sum squared errors; their weights differ by a factor of 10^8.)
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from nst_lib.autodiff import run_as_one

Tensor = Any
STYLE_GAIN = (
    30.0  # loss = content_weight x content + 30 x style_weight x style: makes weights of 1 and 1 a balanced picture
)
SQRT_ITERATIONS = 12


@run_as_one
def gram_matrix(activations: Tensor) -> Tensor:
    """Which channels fire together, wherever they do: the channels' inner products, averaged over positions.

    G_ij = sum over positions p of F_pi F_pj / (h w): Gatys et al. 2015, eq. 3, divided by the number of positions so that
    a picture and a painting of different sizes compare.

    Args:
        activations: (n, h, w, channels).

    Returns:
        (n, channels, channels), float32, symmetric.
    """
    _, h, w, channels = activations.shape
    flat = ops.reshape(activations, (-1, h * w, channels))
    gram = ops.cast(ops.matmul(ops.transpose(flat, (0, 2, 1)), ops.stop_gradient(flat)), "float32") / (h * w)
    # The gradient of the second factor is the first one's, transposed: added here, where it costs nothing.
    mirrored = ops.transpose(gram, (0, 2, 1))
    return gram + mirrored - ops.stop_gradient(mirrored)


@run_as_one
def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """|value - target|^2 / |target|^2, a scalar: 0 for the target itself, 1 for a blank.

    The first axis counts pictures: of several, this is the mean over them. Of activations at a content layer this is the
    content distance (Gatys et al. 2015, eq. 1, made relative).
    """
    value, target = ops.cast(value, "float32"), ops.cast(target, "float32")
    axes = tuple(range(1, len(value.shape)))
    return ops.mean(ops.sum(ops.square(value - target), axes) / (ops.sum(ops.square(target), axes) + 1e-12))


@run_as_one
def gram_target(paintings: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The Gram matrix to aim at: of one layer's activations of several paintings, mixed in `shares` that sum to 1."""
    return sum(share * gram_matrix(activations) for activations, share in zip(paintings, shares, strict=True))


@run_as_one
def gram_distance(activations: Tensor, target: Tensor) -> Tensor:
    """How far one layer's Gram matrix is from `target`: Gatys et al. 2015, eq. 4, made relative."""
    return relative_error(gram_matrix(activations), target)


def guided_gram_distance(activations: Tensor, targets: Tensor, masks: Tensor) -> Tensor:
    """The same for regions with a painting each: Gatys et al. 2017, eq. 7, made relative; each counts by its area.

    Args:
        activations: (1, h, w, channels).
        targets: (regions, channels, channels), the paintings' Gram matrices.
        masks: (regions, h, w) in [0, 1].
    """
    areas = ops.mean(masks, axis=(1, 2)) + 1e-6
    inside = activations * ops.cast(ops.sqrt(masks / areas[:, None, None]), activations.dtype)[..., None]
    errors = ops.sum(ops.square(gram_matrix(inside) - targets), (1, 2)) / (ops.sum(ops.square(targets), (1, 2)) + 1e-12)
    return ops.sum(errors * areas) / ops.sum(areas)


@run_as_one
def moments(activations: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (channels,) and covariance (channels, channels) of activations (1, h, w, channels) over positions."""
    flat = ops.cast(ops.reshape(activations, (-1, activations.shape[-1])), "float32")
    mean = ops.mean(flat, axis=0)
    centred = flat - mean
    return mean, ops.matmul(ops.transpose(centred), centred) / flat.shape[0]


@run_as_one
def wasserstein_target(paintings: Sequence[Tensor], shares: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, covariance and the covariance's root to aim at, mixed like `gram_target`'s."""
    parts = [moments(activations) for activations in paintings]
    mean = sum(share * part[0] for part, share in zip(parts, shares, strict=True))
    covariance = sum(share * part[1] for part, share in zip(parts, shares, strict=True))
    values, vectors = ops.eigh(covariance)
    root = ops.matmul(vectors * ops.sqrt(ops.maximum(values, 0.0)), ops.transpose(vectors))
    return mean, covariance, root


def wasserstein_distance(activations: Tensor, target: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Squared Wasserstein-2 distance between two Gaussians with the activations' means and covariances, made relative.

    |m - m_s|^2 + tr(C + C_s - 2 (C_s^1/2 C C_s^1/2)^1/2) (Olkin and Pukelsheim 1982), over |m_s|^2 + tr C_s. Where Gram
    matrices mix the two, this keeps mean and covariance apart; and it is of second degree in the activations, where the
    squared difference of Gram matrices is of fourth, so that the strongest channels do not drown the rest.
    Good to about 0.01 (see `_matrix_sqrt`), so that near 0 it may come out below it.
    """
    mean, covariance = moments(activations)
    target_mean, target_covariance, root = target
    product = ops.matmul(root, ops.matmul(covariance, root))
    cross = ops.trace(_matrix_sqrt(product))
    spread = ops.trace(covariance) + ops.trace(target_covariance) - 2 * cross
    scale = ops.sum(ops.square(target_mean)) + ops.trace(target_covariance) + 1e-12
    return (ops.sum(ops.square(mean - target_mean)) + spread) / scale


def _matrix_sqrt(matrix: Tensor) -> Tensor:
    """The root of a symmetric positive matrix by Newton and Schulz' iteration (Higham 2008, eq. 6.35): only products, so
    that its gradient is cheap and finite where an eigenvalue decomposition's is not."""
    identity = ops.eye(matrix.shape[0], dtype="float32")
    scale = ops.sqrt(ops.sum(ops.square(matrix)) + 1e-24)  # below the root, or one colour's gradient would be NaN
    y, z = matrix / scale + 1e-6 * identity, identity
    for _ in range(SQRT_ITERATIONS):
        t = 1.5 * identity - 0.5 * ops.matmul(z, y)
        y, z = ops.matmul(y, t), ops.matmul(t, z)
    return y * ops.sqrt(scale)


def total_variation(picture: Tensor, periodic: bool = False) -> Tensor:
    """How much neighbours differ: the mean over positions of the length of the colour gradient (Rudin et al. 1992).

    Args:
        picture: (n, height, width, 3) in [0, 1].
        periodic: whether its last row and column are neighbours of the first, as in a tile.

    Returns:
        A scalar, 0 for one colour. The root is smoothed (+1e-6 below it), so that its gradient exists everywhere.
    """
    planes = ops.transpose(picture, (0, 3, 1, 2))  # a colour's rows lie together: in a third of the time
    across, down = _steps(planes, 3, periodic), _steps(planes, 2, periodic)
    if not periodic:  # where there are both
        across, down = _but_last(across, 2), _but_last(down, 3)
    return ops.mean(ops.sqrt(ops.sum(across**2 + down**2, axis=1) + 1e-6) - 1e-3)


def _steps(x: Tensor, axis: int, periodic: bool) -> Tensor:
    """From each place along an axis to the next. Split, not sliced: the gradient of a slice is a whole x of zeros."""
    first, rest = ops.split(x, [1], axis)
    return ops.concatenate([rest, first], axis) - x if periodic else rest - _but_last(x, axis)


def _but_last(x: Tensor, axis: int) -> Tensor:
    return ops.split(x, [x.shape[axis] - 1], axis)[0]


# How a layer's style is summed up, and how far a picture is from that.
STYLE_LOSSES = {"gram": (gram_target, gram_distance), "wasserstein": (wasserstein_target, wasserstein_distance)}
