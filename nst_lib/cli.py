"""`nst` on the command line: a thin shell over the library. The engine is imported only by the commands that need it."""

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from nst_lib.engine import PACKAGES, start_engine
from nst_lib.errors import NSTError, PictureError, SettingsError
from nst_lib.images import FORMATS, MAX_PIXELS, load_image, resize, save_image
from nst_lib.weights import (
    ARCHITECTURES,
    DOWNLOADS,
    POCKET_FILE,
    cached_file,
    fetch_weights,
    layer_shapes,
    read_weights,
)

CHECKPOINT_SECONDS = 60  # a longer run keeps a checkpoint on the disk, this often


def main(arguments: list[str] | None = None) -> int:
    """Run `nst` and return its exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except NSTError as problem:
        print(f"nst: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nst: stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nst", description="Neural style transfer: photographs repainted as paintings."
    )
    parser.add_argument("--version", action="version", version=f"nst {importlib.metadata.version('nst_lib')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    paint = commands.add_parser(
        "paint",
        help="repaint a photograph in the manner of a painting",
        description="Repaint a photograph in the manner of one or several paintings.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    paint.set_defaults(run=_paint)
    paint.add_argument("content", metavar="CONTENT", help="the photograph")
    paint.add_argument("styles", metavar="STYLE", nargs="+", help="the painting, or several to blend")
    add = paint.add_argument
    none: dict[str, Any] = {"default": argparse.SUPPRESS}  # options that mean something by being left out
    add("-o", "--output", metavar="OUT", help="the picture to write (default: CONTENT_STYLE.png, here)", **none)
    add("--shares", metavar="SHARE", nargs="+", type=float, help="how much of each of several paintings", **none)
    add("--size", metavar="PIXELS", type=int, default=256, help="long side of the result")
    add("--steps", metavar="N", type=int, help="budget: evaluations of the loss (default: 100)", **none)
    add("--seconds", metavar="S", type=float, help="budget: seconds of optimisation, without start-up", **none)
    add("--backbone", metavar="NAME", help=f"{', '.join(ARCHITECTURES)} (default: $NST_BACKBONE or pocket)", **none)
    add("--weights", metavar="FILE", help="the network's weights, if not in the usual place", **none)
    add("--content-weight", metavar="W", type=float, default=1.0, help="how much the photograph counts")
    add("--style-weight", metavar="W", type=float, default=1.0, help="how much the painting counts")
    add("--tv-weight", metavar="W", type=float, default=0.5, help="how much smoothness counts (total variation)")
    add("--content-layers", metavar="LAYER", nargs="+", help="see `nst layers` (default: block4_conv2)", **none)
    add("--style-layers", metavar="LAYER", nargs="+", help="(default: block1_conv1 to block5_conv1)", **none)
    add("--style-loss", metavar="NAME", default="gram", help="gram or wasserstein")
    add("--pooling", metavar="NAME", default="max", help="max or avg")
    add("--optimizer", metavar="NAME", default="lbfgs", help="lbfgs or adam")
    add("--learning-rate", metavar="R", type=float, default=0.03, help="Adam's")
    add("--init", metavar="WHAT", default="content", help="start from content, noise, or a picture FILE")
    add("--seed", metavar="N", type=int, default=0, help="of the noise")
    add("--pyramid", metavar="N", type=int, help="number of sizes, coarse to fine (default: down to 256)", **none)
    add("--no-sketch", dest="sketch", action="store_false", default=True, help="no first sketch by the pocket VGG")
    add("--precision", metavar="NAME", default="auto", help="auto, float32 or bfloat16")
    add("--resume", metavar="FILE", help="go on from a checkpoint of the same photograph and painting", **none)
    add("--json", metavar="FILE", help="write losses, seconds and settings there", **none)
    add("--max-pixels", metavar="N", type=int, default=MAX_PIXELS, help="refuse larger picture files")

    fetch = commands.add_parser(
        "fetch", help="download the weights of VGG19 or VGG16", description=fetch_weights.__doc__
    )
    fetch.set_defaults(run=_fetch)
    fetch.add_argument("network", metavar="NETWORK", help=" or ".join(DOWNLOADS))

    doctor = commands.add_parser("doctor", help="check this machine, a line each")
    doctor.set_defaults(run=_doctor)

    layers = commands.add_parser("layers", help="list a network's layers and what each can see")
    layers.set_defaults(run=_layers)
    layers.add_argument("network", metavar="NETWORK", nargs="?", default="pocket", help=", ".join(ARCHITECTURES))
    return parser


def _paint(options: argparse.Namespace) -> int:
    settings = {name: value for name, value in vars(options).items() if name not in ("run", "content", "styles")}
    output = Path(settings.pop("output", f"{Path(options.content).stem}_{Path(options.styles[0]).stem}.png"))
    report, resume = settings.pop("json", None), settings.pop("resume", None)
    max_pixels = settings.pop("max_pixels")
    _check_output(output)
    if report is not None and not Path(report).absolute().parent.is_dir():
        raise SettingsError(f"cannot write {report}: the folder {Path(report).parent} does not exist. Make it first.")

    clock = _Clock()
    content = load_image(options.content, max_pixels=max_pixels)
    styles = [load_image(style, max_pixels=max_pixels) for style in options.styles]
    if settings["init"] not in ("content", "noise"):
        settings["init"] = load_image(settings["init"], max_pixels=max_pixels)
    clock.lap("pictures")
    start_engine()
    from nst_lib import autodiff
    from nst_lib.painting import Painting, paint

    clock.lap("engine")

    if resume is None:
        painting = Painting(content, styles, **settings)
    else:
        painting = Painting.load(resume, settings.get("weights"))
        painting.check_same_pictures(content, styles, resume)
    clock.lap("network")
    checkpoint = output.with_name(f"{output.stem}.checkpoint.npz")
    saved = time.monotonic()
    state = None
    try:
        with tqdm(total=1000, bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}", desc="painting") as bar:
            for state in paint(painting, every=10 if autodiff.gpus() else 1):
                done = state.seconds / max(state.seconds + state.eta, 1e-9)
                bar.set_postfix_str(
                    f"step {state.step}, {state.size[1]}x{state.size[0]} {state.backbone}, loss {state.loss:.3f}, "
                    f"{state.eta:.0f} s left",
                    refresh=False,
                )
                bar.update(round(1000 * done) - bar.n)
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    painting.save(checkpoint)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        painting.save(checkpoint)
        save_image(resize(painting.picture, painting.content.shape[:2]), output)
        again = shlex.join(
            ["nst", "paint", options.content, *options.styles, "-o", str(output), "--resume", str(checkpoint)]
        )
        print(
            f"nst: stopped at step {painting.step_count}. The picture so far is {output}. Go on with\n  {again}",
            file=sys.stderr,
        )
        return 130
    clock.lap("painting")
    save_image(painting.picture, output)
    checkpoint.unlink(missing_ok=True)
    clock.lap("saving")
    if report is not None:
        _write_report(Path(report), options, painting, state, clock)
    print(f"{output}: {painting.content.shape[1]} x {painting.content.shape[0]}, {painting.step_count} steps, "
          f"{painting.timing.optimize:.1f} s of optimisation, {clock.total:.1f} s in all")  # fmt: skip
    return 0


def _write_report(path: Path, options: argparse.Namespace, painting: Any, state: Any, clock: "_Clock") -> None:
    from nst_lib.files import atomic_write

    phases = clock.laps | {key: asdict(painting.timing)[key] for key in ("targets", "compile", "optimize")}
    phases["painting"] = max(0.0, phases["painting"] - sum(phases[key] for key in ("targets", "compile", "optimize")))
    report = {
        "content": options.content,
        "styles": options.styles,
        "losses": asdict(state) if state is not None else None,
        "seconds": {key: round(value, 3) for key, value in phases.items()},
        "settings": painting.settings | painting.loss_weights,
        "engine": start_engine(),
        "version": importlib.metadata.version("nst_lib"),
    }
    with atomic_write(path, SettingsError) as file:
        file.write((json.dumps(report, indent=2) + "\n").encode())


def _check_output(path: Path) -> None:
    """Say before the work what would be wrong after it."""
    if path.suffix.lower() not in FORMATS:
        raise PictureError(f"cannot write {path}: a picture's name ends in one of {', '.join(FORMATS)}.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise PictureError(
            f"cannot write {path}: the folder {path.parent} does not exist. Make it first, or choose another."
        )
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise PictureError(f"cannot write {path}: the folder {path.parent} is read-only, or the name is a folder's.")


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now

    @property
    def total(self) -> float:
        return self._last - self._started


def _fetch(options: argparse.Namespace) -> int:
    print(f"{options.network}: {fetch_weights(options.network)}")
    return 0


def _layers(options: argparse.Namespace) -> int:
    from nst_lib.errors import check_choice

    check_choice("backbone", options.network, ARCHITECTURES)
    print(
        f"{'layer':<14}{'channels':>9}{'stride':>8}{'sees':>7}   (sees: side in pixels of what one activation depends on)"
    )
    stride, sees = 1, 1
    for layer, (_, channels) in layer_shapes(options.network).items():
        if layer.endswith("_conv1") and layer != "block1_conv1":
            sees += stride  # the pooling before the block
            stride *= 2
        sees += 2 * stride
        use = "content" if layer == "block4_conv2" else "style" if layer.endswith("_conv1") else ""
        print(f"{layer:<14}{channels:>9}{stride:>8}{sees:>7}   {use}".rstrip())
    return 0


def _doctor(_: argparse.Namespace) -> int:
    """OK, FAIL or -- (absent, but only needed for some things), a line each."""
    failures = 0

    def line(ok: bool | None, name: str, text: str) -> None:
        nonlocal failures
        failures += ok is False
        print(f"{'--' if ok is None else 'OK' if ok else 'FAIL':<5}{name:<16}{text}", flush=True)

    python = platform.python_version()
    line((3, 11) <= sys.version_info[:2] < (3, 14), "Python", f"{python} on {platform.system()} {platform.machine()}")
    import psutil

    memory = psutil.virtual_memory().available / 1e9
    line(memory > 1.5, "free memory", f"{memory:.1f} GB (a 256 px picture takes about 1 GB)")
    line(True, "cores", str(os.cpu_count()))
    try:
        read_weights(POCKET_FILE, "pocket")
        line(True, "pocket VGG", "built in")
    except NSTError as problem:
        line(False, "pocket VGG", str(problem))
    for network in DOWNLOADS:
        path = cached_file(network)
        line(
            True if path.is_file() else None,
            network.upper(),
            str(path) if path.is_file() else f"not here; `nst fetch {network}`",
        )
    try:
        start_engine()
    except NSTError as problem:
        line(False, "engine", str(problem))
        return 1
    from nst_lib import autodiff
    from nst_lib.painting import Painting, paint

    package = PACKAGES[autodiff.ENGINE]
    keras_version = importlib.metadata.version("keras")
    line(True, "engine", f"{package} {importlib.metadata.version(package)}, Keras {keras_version}")
    line(True if autodiff.gpus() else None, "GPU", ", ".join(autodiff.gpus()) or "none; the pocket VGG needs none")
    line(True, "precision", "bfloat16" if autodiff.bfloat16_pays() else "float32")
    import numpy as np

    noise = np.random.default_rng(0).uniform(size=(192, 256, 3)).astype("float32")
    painting = Painting(noise, noise[:, ::-1].copy(), backbone="pocket", steps=8)
    for _state in paint(painting):
        pass
    seconds = painting.timing.optimize / painting.step_count * 100 + painting.timing.compile + painting.timing.targets
    line(True, "speed", f"about {seconds:.0f} s for a 256 px picture with the pocket VGG, after start-up")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
