"""Checks for notebook 07."""

from typing import Any

import numpy as np

from nst_lib.checks import call, exercise, expect, expect_number, to_array


@exercise
def summary(function: Any) -> str:
    """The median and the spread of times, without a warm-up."""
    random = np.random.default_rng(0)
    for outlier in (30.0, 5000.0):
        times = [900.0, 200.0, 90.0, *random.uniform(20, 30, 20), outlier]
        result = to_array(call(function, list(times)))
        expect(result.shape == (2,), f"A pair was asked for, (median, spread); this has the shape {result.shape}.")
        low, middle, high = np.percentile(times[3:], [10, 50, 90])
        expect(not np.isclose(result[0], np.median(times)), "The first three are still in it.")
        expect(not np.isclose(result[0], np.mean(times[3:])), "That is the mean, which one interruption can move.")
        expect(np.isclose(result[0], middle), f"The median is not {result[0]:.4g}.")
        expect(result[1] >= 0, "The spread is negative: nine tenths minus one tenth.")
        expect(np.isclose(result[1], high - low), f"The median is right; the spread is not {result[1]:.4g}.")
    return "One interruption of five seconds changes next to nothing."


@exercise
def multiplied(function: Any) -> str:
    """Multiplications of a convolution."""
    for name, arguments in {
        "9 x 9, 3 to 32 channels, stride 1, 480 x 640": (480, 640, 9, 3, 32, 1),
        "3 x 3, 16 to 32 channels, stride 2, 240 x 320": (240, 320, 3, 16, 32, 2),
        "1 x 1, 32 to 16 channels, stride 1, 120 x 160": (120, 160, 1, 32, 16, 1),
    }.items():
        height, width, kernel, channels, outputs, stride = arguments
        right = (height // stride) * (width // stride) * kernel**2 * channels * outputs
        answer = call(function, *arguments)
        expect(to_array(answer).size == 1, "It should return one number.")
        value = float(to_array(answer).reshape(()))
        expect(stride == 1 or not np.isclose(value, right * stride), "A stride of 2 halves the height and the width.")
        expect(stride == 1 or not np.isclose(value, right * stride**2), "The stride is not in it yet.")
        expect_number(answer, right - 0.5, right + 0.5, f"For {name}, it is not {value:,.0f}.")
    return "And Johnson's first layer alone, on three channels, has 2.4 thousand million: more than our whole network."


@exercise
def reach(answer: Any) -> str:
    """How far a pixel reaches with fixed statistics."""
    value = to_array(answer)
    expect(value.size == 1, f"One number was asked for; this has {value.size}.")
    pixels = float(value.reshape(()))
    expect(pixels < 90, "As far as the edge: were both painted with the same statistics, and fixed=1.0?")
    expect(pixels < 80, "That may be the diameter: how far is it from the pixel in the middle?")
    expect_number(
        answer, 40, 56, f"Not {pixels:.0f}: which pixels differ by more than 0.0001, and how far away are they?"
    )
    return f"{pixels:.0f} pixels: a margin of 64 is enough, and a multiple of 4."


@exercise
def queue(answer: Any) -> str:
    """How late the last frame is."""
    value = to_array(answer)
    expect(value.size == 1, f"One number was asked for; this has {value.size}.")
    seconds = float(value.reshape(()))
    expect(not 14.5 < seconds < 15.5, "That is when it is shown. It was taken after ten seconds.")
    expect(not 4800 < seconds < 5200, "In seconds, please.")
    expect_number(answer, 4.8, 5.2, f"Not {seconds:.4g} seconds. When is frame 300 done, and when was it taken?")
    return "Five seconds, and growing: so the newest frame is painted, and the others are dropped."


@exercise
def steadiness(tried: Any) -> str:
    """Flicker and sharpness by steadiness."""
    expect(isinstance(tried, dict), f"A dictionary was asked for, not {type(tried).__name__}.")
    missing = [steady for steady in (0, 0.3, 0.6, 0.9) if steady not in tried]
    expect(not missing, f"These are missing: {missing}.")
    values = {steady: to_array(tried[steady]) for steady in (0, 0.3, 0.6, 0.9)}
    shapes = {value.shape for value in values.values()}
    expect(shapes == {(2,)}, "Each entry should be a pair, (flicker, sharpness): of flicker take the mean.")
    expect(np.allclose(values[0], 1), "At 0 both should be 1: divide by the film's at 0.")
    flickers = [value[0] for value in values.values()]
    expect(flickers == sorted(flickers, reverse=True), "Flicker should fall as `steady` rises: are the pairs in order?")
    expect(flickers[-1] < 0.9, "At 0.9 there is far less flicker than that: is it measured on the painted films?")
    return f"From 1 down to {flickers[-1]:.2f} of the flicker. Where things move by themselves, 0.9 leaves trails."
