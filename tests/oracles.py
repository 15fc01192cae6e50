"""The mathematics once more, in plain NumPy and SciPy, float64: slow, and independent of Keras and of the library."""

import numpy as np
import scipy.linalg

MEAN_BGR = np.array([103.939, 116.779, 123.68])


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, edge: str = "constant") -> np.ndarray:
    """ReLU of a 3x3 convolution of (h, w, in) with a margin of one: zeros ("constant") or the edge again ("edge")."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=edge)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (h, w, in, 3, 3)
    return np.maximum(np.tensordot(windows, kernel, ([3, 4, 2], [0, 1, 2])) + bias, 0)


def pool(x: np.ndarray, how=np.max) -> np.ndarray:
    """2x2 pooling; an odd last row or column is dropped."""
    h, w = x.shape[0] // 2, x.shape[1] // 2
    return how(x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1), axis=(1, 3))


def vgg(picture: np.ndarray, weights, first_edge: str = "constant", how_to_pool=np.max) -> dict[str, np.ndarray]:
    """Activations (h, w, channels) of every layer in `weights`, {"block1_conv1/kernel": array, ...}, for an RGB picture."""
    layers = sorted({key.split("/")[0] for key in weights})
    x = picture[..., ::-1].astype("float64") * 255 - MEAN_BGR
    activations = {}
    for layer in layers:
        if layer.endswith("_conv1") and layer != "block1_conv1":
            x = pool(x, how_to_pool)
        kernel, bias = (weights[f"{layer}/{kind}"].astype("float64") for kind in ("kernel", "bias"))
        x = convolve(x, kernel, bias, first_edge if layer == "block1_conv1" else "constant")
        head = f"{layer}/head"
        activations[layer] = x @ weights[head].astype("float64") if head in weights else x
    return activations


def gram(activations: np.ndarray) -> np.ndarray:
    """(h, w, channels) -> (channels, channels), one entry after the other."""
    h, w, channels = activations.shape
    return np.array(
        [
            [np.sum(activations[..., i] * activations[..., j]) / (h * w) for j in range(channels)]
            for i in range(channels)
        ]
    )


def relative_error(value: np.ndarray, target: np.ndarray) -> float:
    return np.linalg.norm((value - target).ravel()) ** 2 / np.linalg.norm(target.ravel()) ** 2


def total_variation(picture: np.ndarray) -> float:
    """The mean length of the colour gradient of (h, w, 3), over all pixels with a right and a lower neighbour."""
    h, w, _ = picture.shape
    lengths = [
        np.sqrt(
            np.sum((picture[i, j + 1] - picture[i, j]) ** 2) + np.sum((picture[i + 1, j] - picture[i, j]) ** 2) + 1e-6
        )
        - 1e-3
        for i in range(h - 1)
        for j in range(w - 1)
    ]
    return float(np.mean(lengths))


def wasserstein(value: np.ndarray, targets: list[np.ndarray], shares: list[float]) -> float:
    """Squared 2-Wasserstein distance between Gaussians, relative; the covariances' roots by Schur decomposition."""
    flat = value.reshape(-1, value.shape[-1]).astype("float64")
    mean, covariance = flat.mean(axis=0), np.cov(flat.T, bias=True)
    columns = [target.reshape(-1, target.shape[-1]).astype("float64") for target in targets]
    target_mean = sum(share * column.mean(axis=0) for share, column in zip(shares, columns, strict=True))
    target_covariance = sum(share * np.cov(column.T, bias=True) for share, column in zip(shares, columns, strict=True))
    root = scipy.linalg.sqrtm(target_covariance)
    cross = np.trace(scipy.linalg.sqrtm(root @ covariance @ root).real)
    spread = np.trace(covariance) + np.trace(target_covariance) - 2 * cross
    scale = np.sum(target_mean**2) + np.trace(target_covariance)
    return float((np.sum((mean - target_mean) ** 2) + spread) / scale)
