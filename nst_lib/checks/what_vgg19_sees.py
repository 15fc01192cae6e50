"""Checks for notebook 01."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nst_lib.checks import call, exercise, expect, to_array

PHOTOGRAPHS = 15


def _answer(kernel: np.ndarray, window: list[list[float]]) -> float:
    return float((kernel * np.array(window, "float64")).sum())


@exercise
def level_line(kernel: Any) -> str:
    """A kernel for bright level lines."""
    kernel = to_array(kernel)
    expect(kernel.shape == (3, 3), f"The kernel should have the shape (3, 3), not {kernel.shape}.")
    flat, level = _answer(kernel, [[1] * 3] * 3), _answer(kernel, [[0] * 3, [1] * 3, [0] * 3])
    upright = _answer(kernel, [[0, 1, 0]] * 3)
    edge = max(_answer(kernel, [[1] * 3, [1] * 3, [0] * 3]), _answer(kernel, [[0] * 3, [1] * 3, [1] * 3]))
    largest = np.abs(kernel).max()
    expect(largest > 0, "A kernel of zeros never says yes.")
    expect(abs(flat) <= 1e-3 * largest, f"Where everything is 1 it answers {flat:.3g}, and should answer 0.")
    expect(level > 0, f"In the middle of a bright level line it answers {level:.3g}: that should be above 0.")
    expect(upright <= 1e-3 * largest, f"In the middle of a bright upright line it answers {upright:.3g}, above 0.")
    expect(
        level - edge > 1e-3 * largest,
        f"Where it is bright above or below the line as well, it answers {edge:.3g}, on a line {level:.3g}: it has found "
        "an edge. A line is brighter than what is above and what is below.",
    )
    return f"{level:.3g} on a level line, {upright:.3g} on an upright one, 0 on a clear sky."


@exercise
def other_windows(sees: Callable) -> str:
    """A function that computes receptive fields."""
    cases = {
        "one window of 3": ((3,), (1,), 3),
        "two windows of 3": ((3, 3), (1, 1), 5),
        "a window of 3 and a pooling of 2": ((3, 2), (1, 2), 4),
        "block2_conv1 of VGG": ((3, 3, 2, 3), (1, 1, 2, 1), 10),
        "AlexNet's fifth convolution": ((11, 3, 5, 3, 3, 3, 3), (4, 2, 1, 2, 1, 1, 1), 163),
    }
    for name, (windows, steps, right) in cases.items():
        answer = to_array(call(sees, windows, steps))
        expect(answer.size == 1, f"One number was asked for; this has {answer.size}.")
        found = float(answer.reshape(()))
        expect(found >= right, f"For {name} it gives {found:g}: that is too few pixels.")
        expect(found <= right, f"For {name} it gives {found:g}: that is too many pixels.")
    return "AlexNet's fifth convolution sees 163 pixels, with far fewer layers than VGG."


@exercise
def who_sleeps(asleep: Any, peaks: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Shares of channels that never fire."""
    expect(isinstance(asleep, Mapping), f"A dictionary was asked for, not {type(asleep).__name__}.")
    missing = [layer for layer in peaks if layer not in asleep]
    expect(not missing, f"There is no share for {', '.join(missing)}.")
    for layer, table in peaks.items():
        answer = to_array(asleep[layer])
        expect(answer.size == 1, f"{layer}: one number was asked for; this has {answer.size}.")
        share = float(answer.reshape(()))
        expect(0 <= share <= 1, f"{layer}: a share is between 0 and 1, not {share:.4g}.")
        right = float(np.mean(np.max(list(table.values()), axis=0) == 0))
        expect(
            share <= right + 1e-6, f"{layer}: {share:.0%} are too many. Did each of them sleep through all pictures?"
        )
        expect(share >= right - 1e-6, f"{layer}: {share:.0%} are too few.")
    return "From a third to nearly half of the deeper channels never wake: the pocket could be smaller still."


@exercise
def hokusai(channel: Any, means: Mapping[str, np.ndarray]) -> str:
    """The channel that sets one painting apart."""
    names = list(means)
    usual = np.mean([means[name] for name in names[:PHOTOGRAPHS]], axis=0)
    ratios = means["hokusai_great_wave"] / (usual + 0.05)
    answer = to_array(channel)
    expect(answer.size == 1, f"The number of one channel was asked for; this has {answer.size}.")
    number = float(answer.reshape(()))
    expect(number == int(number) and 0 <= number < len(ratios), f"Channels are numbered from 0 to {len(ratios) - 1}.")
    found = ratios[int(number)]
    expect(
        found >= 0.999 * ratios.max(),
        f"Channel {number:g} is excited {found:.1f} times as much as usual; another reaches {ratios.max():.1f} times.",
    )
    return f"The wave excites it {found:.1f} times as much as the photographs do."


@exercise
def dream(dreamt: Any, photograph: np.ndarray, relus: Callable) -> str:
    """A photograph that excites block 4 more than it did, and is still itself."""
    picture = to_array(dreamt)
    expect(picture.shape == photograph.shape, f"Its shape is {picture.shape}, the photograph's {photograph.shape}.")
    expect(np.isfinite(picture).all(), "It holds numbers that are not finite.")
    expect(picture.min() >= 0 and picture.max() <= 1, "A picture's numbers are from 0 to 1: clip it after every step.")

    def excitement(picture: np.ndarray) -> float:
        activations = relus(picture[None].astype("float32"), ["block4_conv3"])["block4_conv3"]
        return float(np.square(to_array(activations)).mean())

    change = excitement(picture) / excitement(photograph)
    expect(change > 0.99, f"block4_conv3 is excited {change:.2f} times as much as before: is the step uphill?")
    expect(change > 1.5, f"block4_conv3 is excited only {change:.2f} times as much as before: take more steps.")
    moved = np.abs(picture - photograph).mean()
    expect(moved < 0.25, "Nothing of the photograph is left: smaller steps, or fewer.")
    return f"Block 4 is excited {change:.1f} times as much as by the photograph."
