"""Checks for notebook 06."""

from typing import Any

import numpy as np

from nst_lib.checks import call, exercise, expect, expect_close, expect_number, to_array
from nst_lib.course import photograph
from nst_lib.fast.styles import StyleFile, load_style, shipped_styles

INVISIBLE = {"darker", "half contrast"}
ALL_CHANGES = INVISIBLE | {"negative", "redder", "squared", "mirrored"}


@exercise
def count(answer: Any) -> str:
    """The kernels of Johnson's network."""
    value = to_array(answer)
    expect(value.size == 1, f"One number was asked for; this has {value.size}.")
    expect(
        abs(float(value.reshape(())) - 199872 - 9 * 128 * 128) > 1, "Ten layers have 128 channels in and out, not one."
    )
    expect_number(
        answer, 1_674_431, 1_674_433, f"Not {float(value.reshape(())):,.0f}. Is every kernel k x k x in x out?"
    )
    return "Sixteen times our network's."


@exercise
def invisible(answer: Any) -> str:
    """The changes that instance normalisation takes away."""
    expect(not isinstance(answer, str), 'One string is no set: write {"name", "name"}.')
    expect(isinstance(answer, (set, list, tuple, frozenset)), "A set of names was asked for.")
    names = set(answer)
    expect(names <= ALL_CHANGES, f"There is no change of this name: {sorted(map(str, names - ALL_CHANGES))}.")
    wrong, missing = sorted(names - INVISIBLE), INVISIBLE - names
    expect(not wrong, f"The network does see this one: {', '.join(wrong)}. Paint both, and compare.")
    expect(not missing, "Right as far as it goes, but not all are found.")
    return "One factor above 0 for all pixels and channels, and one constant: nothing else cancels."


@exercise
def no_chequers(function: Any) -> str:
    """The nearest kernel whose four phases have equal sums."""
    kernel = np.random.default_rng(1).normal(size=(3, 3, 5, 12)).astype("float32")
    given = kernel.copy()
    result = to_array(call(function, kernel))
    expect(np.array_equal(given, kernel), "The kernel that was handed in has been changed: return another one.")
    expect(result.shape == kernel.shape, f"The kernel should keep its shape {kernel.shape}; this is {result.shape}.")
    sums = result.sum(axis=(0, 1)).reshape(5, 4, 3)
    expect(np.allclose(sums, sums[:, :1], atol=1e-3), "The four pixels' sums still differ.")
    phases = given.reshape(3, 3, 5, 4, 3).astype("float64")
    means = phases.mean(axis=(0, 1), keepdims=True)
    nearest = (phases - means + means.mean(axis=3, keepdims=True)).reshape(kernel.shape)
    expect_close(result, nearest, "the sums agree, but a smaller change would do: the kernel", 1e-3)
    return "This is `flat_stays_flat`, which nst_lib applies after every step."


@exercise
def wilder(numbers: Any) -> str:
    """A point beyond a style, seen from the middle of all."""
    styles = shipped_styles().styles
    value, middle = to_array(numbers), np.mean(list(styles.values()), axis=0)
    expect(value.shape == middle.shape, f"A style has the shape {middle.shape}; this has {value.shape}.")
    way = styles["composition_viii"] - middle
    share = float((value - middle) @ way / (way @ way))
    off = np.linalg.norm(value - middle - share * way) / np.linalg.norm(way)
    expect(off < 0.01, "This is not on the line from the middle of all eight styles through composition_viii.")
    expect(abs(share - 1.5) < 0.01, f"On the line, but at {share:.2f} times the distance, not 1.5.")
    return "Beyond what was trained: compare it with the original."


@exercise
def own_style(file: Any, painting: np.ndarray) -> str:
    """A style file of the shipped network, nearer to the painting than the mean of the known styles is."""
    expect(isinstance(file, StyleFile), f"`nst_lib.train` returns a StyleFile; this is {type(file).__name__}.")
    known = shipped_styles()
    same = file.weights.keys() == known.weights.keys() and all(
        np.allclose(file.weights[name], kernel, atol=1e-3) for name, kernel in known.weights.items()
    )
    expect(same, "The kernels are not the shipped ones: was vector_only=True, and start=known?")
    new = {name: numbers for name, numbers in file.styles.items() if name not in known.styles}
    expect(new, "All its styles are shipped ones: give yours a name of its own.")
    from nst_lib.metrics import score

    run, numbers = load_style("great_wave").run, next(iter(new.values()))
    sitter = photograph("moose", 128)
    sitter = sitter[: len(sitter) // 4 * 4]
    first = np.mean(list(known.styles.values()), axis=0)
    before, after = (
        score(np.clip(run(sitter[None], n)[0][0], 0, 1), sitter, painting, "pocket").style for n in (first, numbers)
    )
    expect(
        after < before, "It paints no nearer to your painting than a mean of the shipped styles. Train it for longer."
    )
    return f"Style distance {after:.2f}; the mean of the eight, where it set out, has {before:.2f}."
