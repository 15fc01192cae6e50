"""The rows of the benchmark about textures, masks, exploration and large prints. Each runs `nst` as a reader does."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_common import ROOT, result, row

CONTENT, STYLES = ROOT / "data/content", ROOT / "data/style"
TEXTURES = (
    "vangogh_harvest", "vangogh_cafe_terrace", "hokusai_great_wave", "hokusai_poppies", "kandinsky_composition_viii",
    "renoir_moulin_galette", "arcimboldo_spring", "bruegel_harvesters", "texture_gravel", "texture_brick",
)  # fmt: skip


def nst(*words: object) -> tuple[float, float, str]:
    """Seconds, GB and output of a whole `nst` process."""
    with tempfile.TemporaryFile("w+") as log:
        start = time.perf_counter()
        command = [sys.executable, "-m", "nst_lib", *map(str, words)]
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        log.seek(0)
        output = log.read()
    if status:
        sys.exit(output)
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9, output


@row
def texture_512() -> list[dict]:
    """A tileable texture of 512 pixels, and the seams of ten."""
    times, seams = [], []
    with tempfile.TemporaryDirectory() as folder:
        for style in TEXTURES:
            tile = Path(folder, f"{style}.png")
            seconds, _, output = nst("texture", STYLES / f"{style}.jpg", "--size", 512, "-o", tile)
            times.append(seconds)
            seams.append([int(n) for n in re.search(r"percentiles (\d+) and (\d+)", output).groups()])
    outside = sum(not 5 <= percentile <= 95 for pair in seams for percentile in pair)
    detail = f"median of ten whole processes, {min(times):.0f} to {max(times):.0f} s"
    painted = "; ".join(f"{style} {down}, {across}" for style, (down, across) in zip(TEXTURES, seams, strict=True))
    return [
        result("`nst texture`, tileable, 512 px, pocket VGG", float(np.median(times)), 20.0, "s", detail),
        result(
            "edges outside the 5th to 95th percentile of interior steps, as painted, of 20 of ten styles",
            outside,
            None,
            "edges",
            f"before the file is begun where the step is the median one: {painted}",
            verdict="of any 20 steps, 2 are to be expected there; of seams, all 20",
        ),
    ]


@row
def large_print() -> list[dict]:
    """A picture of 2048 pixels, and what was estimated before."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        seconds, gigabytes, output = nst(
            "paint", CONTENT / "chenonceau_castle.jpg", STYLES / "vangogh_church_auvers.jpg", "--size", 2048,
            "--memory", 3, "--json", report, "-o", Path(folder, "print.png"),
        )  # fmt: skip
        spent = json.loads(report.read_text())["seconds"]["optimize"]
    minutes, rest, expected = re.search(r"about (\d+):(\d+) min and ([\d.]+) GB", output).groups()
    estimated = 60 * int(minutes) + int(rest)
    detail = (
        f"estimated {estimated} s and {expected} GB; optimisation took {spent:.0f} s, the process {gigabytes:.2f} GB"
    )
    return [
        result("`nst paint --size 2048 --memory 3`, pocket VGG, whole process", seconds / 60, 6.0, "min", detail),
        result("its memory", gigabytes, 3.0, "GB"),
        result("error of the estimated time", abs(estimated / spent - 1), 0.25, "share"),
        result("error of the estimated memory", abs(float(expected) / gigabytes - 1), 0.25, "share"),
    ]


@row
def exploration() -> list[dict]:
    """`nst explore`: sixteen variants of a picture of 256 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "grid.png")
        seconds, _, _ = nst("explore", CONTENT / "chelsea_cat.jpg", STYLES / "hokusai_great_wave.jpg", "-o", out)
    return [result("`nst explore`, 4 x 4 at 256 px, whole process", seconds, 60.0, "s")]


@row
def masks() -> list[dict]:
    """Three regions with a painting each, against one painting; in turns, so that both see the same machine."""
    from nst_lib import Painting, paint
    from nst_lib.course import painting, photograph

    content = photograph("astronaut", 384)
    styles = [painting(name, 384) for name in ("hokusai_great_wave", "vangogh_harvest", "kandinsky_composition_viii")]
    regions = np.zeros((3, *content.shape[:2]), "float32")
    for number, columns in enumerate(np.array_split(np.arange(content.shape[1]), 3)):
        regions[number][:, columns] = 1
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(3):
        for masked, seconds in times.items():
            run = Painting(content, styles if masked else styles[0], masks=regions if masked else None, size=384)
            seconds.append(list(paint(run))[-1].seconds)
    plain, three = (float(np.median(times[masked])) for masked in (False, True))
    detail = f"medians of three: {three:.1f} s and {plain:.1f} s, 100 steps"
    return [result("a picture of three masked regions over an unmasked one, 384 px", three / plain, 1.5, "x", detail)]
