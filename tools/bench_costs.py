"""The rows of the benchmark about memory, and those that draw cost curves: picture size, steps, number of styles, batch."""

import subprocess
import sys
import tempfile
import time

import numpy as np
from bench_common import PLAIN, QUICK, ROOT, peak_gigabytes, pictures, random_vgg19, result, row, vgg16_file

PAIRS = (
    ("chelsea_cat", "hokusai_great_wave"),
    ("astronaut", "kandinsky_composition_viii"),
    ("china_temple", "vangogh_cafe_terrace"),
)
ONE_SIZE = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tools")!r})
from bench_common import peak_gigabytes, pictures
from nst_lib import Painting, crop_to_fit, paint
size, steps, backbone, weights = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] or None
content, style = (crop_to_fit(picture, size, size) for picture in pictures("china_temple", "hokusai_great_wave"))
painting = Painting(content, style, size=size, steps=steps, pyramid=1, sketch=False, backbone=backbone, weights=weights)
seconds = [state.seconds for state in paint(painting)]
pace = (seconds[-1] - seconds[0]) / (len(seconds) - 1)
print(pace, peak_gigabytes(), painting.levels[0].tile or 0)
"""


def curve(name: str, axes: tuple[str, str], lines: dict[str, list]) -> dict:
    return {"figure": "benchmarks_costs", "axes": list(axes), "curves": {name: lines}}


@row
def cost_size() -> list[dict]:
    """Seconds and memory of a step at sizes from 64 to 2048 px, the pocket VGG and VGG16, each in a process of its own."""
    sizes = (64, 128) if QUICK else (64, 128, 256, 512, 1024, 2048)
    seconds: dict[str, list] = {"pocket VGG": [], "VGG16": []}
    memory: dict[str, list] = {"pocket VGG": [], "VGG16": []}
    tiled: dict[str, list] = {"pocket VGG": [], "VGG16": []}  # the sizes that do not fit as a whole
    for name, backbone, weights in (("pocket VGG", "pocket", ""), ("VGG16", "vgg16", vgg16_file())):
        for size in sizes:
            steps = 3 if QUICK else max(4, min(40, 4_000_000 // size**2))
            command = [sys.executable, "-c", ONE_SIZE, size, steps, backbone, weights]
            out = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
            pace, gigabytes, tile = (float(number) for number in out.split()[-3:])
            seconds[name].append([size, pace])
            memory[name].append([size, gigabytes])
            tiled[name] += [size] if tile else []
            print(f"  {name}, {size} px: {pace:.3f} s, {gigabytes:.2f} GB, tile {tile:.0f}", file=sys.stderr)
    rows = []
    for name, points in seconds.items():
        large, last = points[-1]
        whole = np.log([point for point in points if point[0] not in tiled[name]][len(points) // 2 - 1 :])
        exponent = float(np.polyfit(2 * whole[:, 0], whole[:, 1], 1)[0])
        detail = ", ".join(f"{size} px {pace:.3g} s{' in tiles' * (size in tiled[name])}" for size, pace in points)
        rows.append(
            result(f"{name}, one step at {large} px", last, None, "s", detail,
                   verdict=f"without tiles, grows from {np.exp(whole[0, 0]):.0f} px on with the pixels to the power of "
                   f"{exponent:.2f}")
        )  # fmt: skip
    rows[0] |= curve("a step, by picture size", ("side of the picture, pixels", "seconds"), seconds)
    large, most = memory["pocket VGG"][-1]
    detail = "; ".join(
        f"{n}: " + ", ".join(f"{size} px {gb:.2f}" for size, gb in points) for n, points in memory.items()
    )
    rows.append(
        result(
            f"pocket VGG, peak memory at {large} px",
            most,
            None,
            "GB",
            detail,
            verdict=f"{most / memory['pocket VGG'][0][1]:.1f} times that at {sizes[0]} px",
        )
        | curve("peak memory, by picture size", ("side of the picture, pixels", "GB"), memory)
    )
    return rows


@row
def cost_steps() -> list[dict]:
    """What more steps buy: content + 30 x style of paintings of n steps on the pocket VGG, judged by VGG16 and by itself."""
    import nst_lib

    counts, pairs = ((5, 10), PAIRS[:1]) if QUICK else ((6, 12, 25, 50, 100, 200, 400), PAIRS)
    judges = {
        "VGG16": nst_lib.load_backbone("vgg16", vgg16_file()),
        "pocket VGG itself": nst_lib.load_backbone("pocket"),
    }
    lines: dict[str, list] = {judge: [] for judge in judges}
    for steps in counts:
        totals: dict[str, list[float]] = {judge: [] for judge in judges}
        for pair in pairs:
            content, style = pictures(*pair)
            picture = nst_lib.stylize(content, style, size=64 if QUICK else 256, steps=steps, progress=False, **PLAIN)
            for name, judge in judges.items():
                totals[name].append(nst_lib.score(picture, content, style, judge).total)
        for name, values in totals.items():
            lines[name].append([steps, float(np.mean(values))])
    points = dict(lines["VGG16"])
    usual, most = counts[-3] if len(counts) > 2 else counts[0], counts[-1]
    gain = points[usual] / points[most] - 1
    return [
        result(f"pocket VGG, {usual} steps: VGG16's content + 30 x style over that of {most} steps",
               points[usual] / points[most], None, "x", ", ".join(f"{n} steps {v:.2f}" for n, v in points.items()),
               verdict=f"{most // usual} times the steps would gain {gain:.0%}")
        | curve("content + 30 x style, by steps (pocket VGG)", ("steps", "content + 30 x style"), lines)
    ]  # fmt: skip


@row
def cost_styles() -> list[dict]:
    """A step with several paintings: mixed, or each in a region of its own."""
    from nst_lib import Painting, crop_to_fit, paint

    side, counts, steps = (64, (1, 2), 4) if QUICK else (256, (1, 2, 4, 8), 40)
    content = crop_to_fit(pictures("astronaut", "hokusai_great_wave")[0], side, side)
    files = sorted((ROOT / "data" / "style").glob("*.jpg"))[: max(counts)]
    paintings = [crop_to_fit(pictures("astronaut", file.stem)[1], side, side) for file in files]
    seconds: dict[str, list] = {"mixed": [], "in regions": []}
    for count in counts:
        masks = np.zeros((count, side, side), "float32")
        for number, columns in enumerate(np.array_split(np.arange(side), count)):
            masks[number][:, columns] = 1
        for name, given in (("mixed", None), ("in regions", masks)):
            paces = []
            for _ in range(1 if QUICK else 3):
                states = list(paint(Painting(content, paintings[:count], masks=given, size=side, steps=steps)))
                paces.append((states[-1].seconds - states[0].seconds) / (steps - 1))
            seconds[name].append([count, float(np.median(paces))])
    rows = []
    for name, points in seconds.items():
        ratio = points[-1][1] / points[0][1]
        detail = ", ".join(f"{count}: {1000 * pace:.0f} ms" for count, pace in points)
        what = f"pocket VGG, {side} px: a step with {counts[-1]} paintings {name} over one with one"
        verdict = (
            "more paintings cost nothing" if ratio < 1.1 else f"{(ratio - 1) / (counts[-1] - 1):.0%} more for each"
        )
        rows.append(result(what, ratio, None, "x", detail, verdict=verdict))
    rows[0] |= curve(f"a step, by number of paintings ({side} px)", ("paintings", "seconds"), seconds)
    return rows


@row
def cost_batch() -> list[dict]:
    """Frames through the shipped style network, several at once."""
    import nst_lib

    (width, height), counts, turns = ((64, 48), (1, 2), 3) if QUICK else ((640, 480), (1, 2, 4, 8, 16), 15)
    style = nst_lib.load_style("great_wave", engine="onnx")
    times: dict[int, list[float]] = {count: [] for count in counts}
    frames = np.random.default_rng(0).random((max(counts), height, width, 3), dtype="float32")
    for _ in range(turns):  # in turns, so that all see the same machine
        for count in counts:
            start = time.perf_counter()
            style.run(frames[:count], style.numbers)
            times[count].append((time.perf_counter() - start) / count)
    points = [[count, float(np.median(paces[1:]))] for count, paces in times.items()]
    ratio = min(pace for _, pace in points) / points[0][1]
    detail = "medians of turns: " + ", ".join(
        f"{count}: {1000 * pace:.1f} ms a frame ({1000 * min(times[count]):.1f} to {1000 * max(times[count][1:]):.1f})"
        for count, pace in points
    )
    verdict = "a batch gains nothing on this machine" if ratio > 0.9 else f"a batch takes {1 - ratio:.0%} off a frame"
    what = f"fast network, {width} x {height}: a frame of the best batch over a frame alone"
    lines = {"nst fast": points}
    return [
        result(what, ratio, None, "x", detail, verdict=verdict)
        | curve(f"a frame, by batch ({width} x {height})", ("frames at once", "seconds a frame"), lines)
    ]


@row
def memory_pocket() -> list[dict]:
    """Peak memory of a whole pocket painting, and what it grows by from step 50 to step 500."""
    import psutil

    from nst_lib import Painting, paint

    content, style = pictures("astronaut", "hokusai_great_wave")
    resident, peak = {}, 0.0
    for state in paint(Painting(content, style, steps=500)):
        resident[state.step] = psutil.Process().memory_info().rss / 1e6
        if state.step == 100:
            peak = peak_gigabytes()
    return [
        result("peak memory, pocket VGG, 256 x 256", peak, 1.2, "GB", "the whole process, 100 steps"),
        result(
            "growth from step 50 to step 500",
            resident[500] - resident[50],
            5.0,
            "MB",
            "the heap's own",
        ),
    ]


@row
def memory_vgg19() -> list[dict]:
    """Peak memory of VGG19 at 1024 px."""
    from nst_lib import Painting, paint

    content, style = pictures("astronaut", "hokusai_great_wave")
    with tempfile.TemporaryDirectory() as folder:
        painting = Painting(content, style, size=1024, steps=12, backbone="vgg19", weights=random_vgg19(folder))
        for _ in paint(painting):
            pass
    return [
        result("peak memory, VGG19, 1024 x 1024", peak_gigabytes(), 6.0, "GB", "the whole process, with its sketch")
    ]
