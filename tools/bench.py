"""Measure speed, memory and quality, each row in a process of its own; write docs/benchmarks.md, .json and .png.

    python tools/bench.py                 every row (about an hour on two cores)
    python tools/bench.py pocket cold     only these; the others keep what was measured before
    python tools/bench.py fast_train      trainings of an hour and more, which are not among `every row`
    NST_BENCH_QUICK=out/bench python tools/bench.py peers     a try on tiny pictures, which writes there

Rows that need the real VGG16 take it from $NST_VGG16, a file that `nst_lib.weights.read_weights` reads, or from the usual
place. Ratios are taken within one run; run it on a quiet machine.
"""

import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time

import bench_costs  # noqa: F401 (its rows)
import bench_fast
import bench_gpu  # noqa: F401
import bench_peers  # noqa: F401
import bench_practice  # noqa: F401
import bench_studio  # noqa: F401
import numpy as np
from bench_common import (
    FOLDER,
    PLAIN,
    ROOT,
    ROWS,
    first_below,
    in_order,
    pictures,
    random_vgg19,
    result,
    row,
    vgg16_file,
)
from bench_page import amount, processor, write_page

PAIRS = [
    ("chelsea_cat", "hokusai_great_wave"),
    ("astronaut", "kandinsky_composition_viii"),
    ("china_temple", "vangogh_cafe_terrace"),
    ("berlin_cathedral", "cassatt_summertime"),
    ("neuschwanstein_castle", "vangogh_church_auvers"),
    ("coffee_cup", "hokusai_poppies"),
    ("lemurs", "arcimboldo_spring"),
    ("great_wall", "bruegel_harvesters"),
    ("kingfisher", "renoir_moulin_galette"),
    ("eilean_donan_castle", "hiroshige_inokashira_snow"),
]
LEARNING_RATES = (0.01, 0.02, 0.03, 0.05)  # that the Adam baselines are tuned over


def run(painting: object, target: float = -1.0) -> list[tuple[float, float]]:
    """Paint until the budget or the target loss; the (seconds, loss) after every step."""
    from nst_lib import paint

    trace = []
    for state in paint(painting):
        trace.append((state.seconds, state.loss))
        if state.loss <= target:
            break
    return trace


@row
def pocket() -> list[dict]:
    """The time in which L-BFGS reaches the loss that 300 Adam steps end with, by Adam's learning rate."""
    from nst_lib import Painting

    seconds: dict[str, list[float]] = {"tuned": [], "0.01": []}
    curves, details = {}, []
    for pair in PAIRS[:3]:
        content, style = pictures(*pair)
        adam = {}
        for rate in LEARNING_RATES:
            adam[rate] = run(Painting(content, style, optimizer="adam", learning_rate=rate, steps=300, **PLAIN))
        losses = {rate: min(loss for _, loss in trace) for rate, trace in adam.items()}
        best = min(losses, key=lambda rate: losses[rate])
        trace = run(Painting(content, style, steps=400, **PLAIN), losses[best])
        reached = [first_below(*np.array(trace).T, losses[rate]) for rate in (best, 0.01)]
        if None in reached:
            sys.exit(f"{pair}: not reached in 400 steps; the row has no meaning then")
        for label, second in zip(seconds, reached, strict=True):
            seconds[label].append(second)
        details.append(
            f"{pair[0]}: {losses[best]:.3f} after {len(trace)} evaluations, {trace[-1][0]:.1f} s (Adam at {best} took "
            f"{adam[best][-1][0]:.1f} s); the {losses[0.01]:.3f} of Adam at 0.01 after {seconds['0.01'][-1]:.1f} s"
        )
        curves[" in the style of ".join(pair)] = {
            "adam, tuned": adam[best],
            "adam at 0.01": adam[0.01],
            "l-bfgs": trace,
        }
    name = "pocket VGG, 256 px: to the loss that 300 Adam steps reach"
    tuned, usual = (statistics.mean(values) for values in seconds.values())
    return [
        result(
            f"{name}, learning rate tuned for each pair (mean of three)",
            tuned,
            4.0,
            "s",
            "; ".join(details),
            curves=curves,
        ),
        result(f"{name} at learning rate 0.01, as in the pocket VGG's own table", usual, 4.0, "s"),
    ]


@row
def cold() -> list[dict]:
    """The whole process `nst paint`, from nothing to a picture."""
    content, style = (
        ROOT / "data" / "content" / "china_temple.jpg",
        ROOT / "data" / "style" / "hokusai_great_wave.jpg",
    )
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            started = time.perf_counter()
            command = [sys.executable, "-m", "nst_lib", "paint", str(content), str(style), "-o", f"{folder}/out.png"]
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    return [
        result("`nst paint`, whole process, pocket VGG, 256 px", statistics.median(seconds), 12.0, "s", "median of 3")
    ]


@row
def quality() -> list[dict]:
    """Ten pictures at the defaults, scored on VGG16."""
    import nst_lib

    judge = nst_lib.load_backbone("vgg16", vgg16_file())
    scores, untouched = [], []
    for pair in PAIRS:
        content, style = pictures(*pair)
        scores.append(nst_lib.score(nst_lib.stylize(content, style, progress=False), content, style, judge))
        untouched.append(nst_lib.score(nst_lib.resize(content, 256), content, style, judge).total)
    lines = [f"{pair[0]} {s.content:.2f} + 30 x {s.style:.3f}" for pair, s in zip(PAIRS, scores, strict=True)]
    total, content = statistics.mean(s.total for s in scores), statistics.mean(s.content for s in scores)
    bare = f"untouched photographs: {min(untouched):.0f} to {max(untouched):.0f}"
    return [
        result(
            "picture at the defaults, scored on VGG16: content + 30 x style, mean of ten pairs", total, 4.8, "", bare
        ),
        result("the same: content alone", content, 1.1, "", "; ".join(lines)),
    ]


def plain_adam(
    network: object, content: np.ndarray, style: np.ndarray, rate: float, steps: int
) -> list[tuple[float, float]]:
    """Gatys' method as a tutorial would write it in TensorFlow, with the targets computed once; (seconds, loss) a step."""
    import keras
    import tensorflow as tf

    names = ["block4_conv2", *(f"block{block}_conv1" for block in range(1, 6))]
    model = keras.Model(network.input, [network.get_layer(name).output for name in names])

    def activations(x: tf.Tensor) -> list[tf.Tensor]:
        return model(keras.applications.vgg16.preprocess_input(x * 255.0))

    def gram(a: tf.Tensor) -> tf.Tensor:
        positions = tf.cast(tf.shape(a)[1] * tf.shape(a)[2], tf.float32)
        return tf.einsum("nijc,nijd->ncd", a, a) / positions

    def relative(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum((value - target) ** 2) / tf.reduce_sum(target**2)

    content_target = activations(tf.constant(content[None]))[0]
    style_targets = [gram(a) for a in activations(tf.constant(style[None]))[1:]]
    x = tf.Variable(content[None])
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build([x])

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            content_now, *style_now = activations(x)
            distances = [relative(gram(a), target) for a, target in zip(style_now, style_targets, strict=True)]
            loss = relative(content_now, content_target) + 30.0 * tf.add_n(distances) / 5.0
        optimizer.apply([tape.gradient(loss, x)])
        x.assign(tf.clip_by_value(x, 0.0, 1.0))
        return loss

    untouched = [variable.numpy() for variable in optimizer.variables]
    step()  # compiles; what it did is undone
    x.assign(content[None])
    for variable, value in zip(optimizer.variables, untouched, strict=True):
        variable.assign(value)
    trace, started = [], time.perf_counter()
    for _ in range(steps):
        loss = float(step())
        trace.append((time.perf_counter() - started, loss))
    return trace


@row
def vgg16() -> list[dict]:
    """The time to the loss of 1000 plain float32 Adam steps on the real VGG16, as a share of their time."""
    import keras

    import nst_lib
    from nst_lib import autodiff
    from nst_lib.weights import read_weights

    pair = ("china_temple", "hokusai_great_wave")
    content, style = (nst_lib.resize(picture, 256) for picture in pictures(*pair))
    plain = keras.applications.VGG16(include_top=False, weights=None)
    for layer, arrays in read_weights(vgg16_file(), "vgg16").items():
        plain.get_layer(layer).set_weights([arrays["kernel"], arrays["bias"]])
    # The learning rate is tuned in runs of 250 steps; the best two then run all 1000, and the better one counts.
    rates = {rate: plain_adam(plain, content, style, rate, 250)[-1][1] for rate in LEARNING_RATES}
    finalists = sorted(rates, key=lambda rate: rates[rate])[:2]
    runs = {rate: plain_adam(plain, content, style, rate, 1000) for rate in finalists}
    best = min(runs, key=lambda rate: min(loss for _, loss in runs[rate]))
    baseline = runs[best]
    target = min(loss for _, loss in baseline)
    judge = nst_lib.load_backbone("vgg16", vgg16_file())
    painting = nst_lib.Painting(content, style, backbone="vgg16", weights=vgg16_file(), steps=220, **PLAIN)
    trace, checked = [], float("inf")
    for state in nst_lib.paint(painting):
        trace.append((state.seconds, state.loss, state.backbone))
        if state.backbone == "vgg16" and state.loss <= target:
            checked = nst_lib.score(painting.picture, content, style, judge).total  # in float32, by the judge
            if checked <= target:
                break
    bar = 1 / 12 if autodiff.fastest_dtype() == "bfloat16" else 1 / 8
    evaluations = sum(name == "vgg16" for _, _, name in trace)
    theirs = first_below(*np.array(baseline).T, target)
    detail = (
        f"baseline: loss {target:.3f} after {theirs:.0f} s at learning rate {best} (after 250 steps: "
        + ", ".join(f"{rate}: {loss:.2f}" for rate, loss in rates.items())
        + f"); ours: {checked:.3f} after {trace[-1][0]:.1f} s, of which the pocket VGG's sketch "
        f"{max(second for second, _, name in trace if name == 'pocket'):.1f} s, then {evaluations} evaluations"
    )
    reached = checked <= target
    ratio = trace[-1][0] / theirs if reached else None
    curves = {
        f"{pair[0]} in the style of {pair[1]}, VGG16": {
            "adam, float32": baseline,
            "l-bfgs, bfloat16, after a sketch": [(second, loss) for second, loss, name in trace if name == "vgg16"],
        }
    }
    name = "VGG16, 256 px: to the loss of 1000 plain float32 Adam steps, as a share of their time"
    verdict = "" if reached else f"not reached: {checked:.3f} for {target:.3f}"
    return [result(name, ratio, bar, "", detail, curves=curves, reached=reached, verdict=verdict)]


@row
def vgg19_step() -> list[dict]:
    """One float32 Adam step on VGG19 against the hand-written loop's, in turns."""
    import keras

    from nst_lib import Painting, resize
    from nst_lib.weights import read_weights

    content, style = pictures("astronaut", "hokusai_great_wave")
    content, style = resize(content, 256), resize(style, 256)
    ratios, ours, theirs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        weights = random_vgg19(folder)
        plain = keras.applications.VGG19(include_top=False, weights=None)
        for layer, arrays in read_weights(weights, "vgg19").items():
            plain.get_layer(layer).set_weights([arrays["kernel"], arrays["bias"]])
        settings = {
            "backbone": "vgg19",
            "weights": weights,
            "optimizer": "adam",
            "precision": "float32",
            "sketch": False,
        }
        painting = Painting(content, style, steps=10, **settings, **PLAIN)
        for _ in range(5):
            trace = np.diff([second for second, _ in plain_adam(plain, content, style, 0.02, 8)])
            theirs.append(float(np.median(trace)))
            painting.step()
            started = time.perf_counter()
            for _ in range(8):
                painting.step()
                painting.state()
            ours.append((time.perf_counter() - started) / 8)
            ratios.append(ours[-1] / theirs[-1])
    detail = (
        f"ours {1000 * statistics.median(ours):.0f} ms, theirs {1000 * statistics.median(theirs):.0f} ms; five turns"
    )
    name = "one VGG19 step, 256 x 256, float32, over a hand-written TensorFlow loop's"
    return [result(name, statistics.median(ratios), 1.15, "x", detail)]


def main() -> None:
    if sys.argv[1:2] == ["--row"]:
        print("RESULT " + json.dumps(ROWS[sys.argv[2]]()))
        return
    unknown = set(sys.argv[1:]) - set(ROWS)
    if unknown:
        sys.exit(f"unknown rows {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    stored = FOLDER / "benchmarks.json"
    rows = json.loads(stored.read_text()) if stored.exists() else {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or [name for name in in_order() if name not in bench_fast.LONG]:
        print(f"{name}: {ROWS[name].__doc__}", flush=True)
        process = subprocess.run([sys.executable, __file__, "--row", name], stdout=subprocess.PIPE, text=True)
        found = [line for line in process.stdout.splitlines() if line.startswith("RESULT ")]
        if process.returncode or not found:
            print(f"  skipped: it ended with {process.returncode}")
            continue
        rows[name] = json.loads(found[0][7:])
        for r in rows[name]:
            r |= {"machine": r.get("machine", processor()), "date": str(datetime.date.today())}
            bar = "" if r["bar"] is None else f" (bar {r['bar']:.3g})"
            print(f"  {r['what']}: {amount(r)}{bar}  {r['detail']}", flush=True)
        rows = {name: rows[name] for name in in_order() if name in rows}
        stored.write_text(json.dumps(rows) + "\n")
    written = write_page(rows, FOLDER)
    print(f"On {processor()}. Written: {stored}, {', '.join(written)}")


if __name__ == "__main__":
    main()
