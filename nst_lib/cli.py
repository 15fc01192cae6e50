"""`nst` on the command line: a thin shell over the library. The engine is imported only by the commands that need it."""

import argparse
import errno
import importlib.metadata
import io
import json
import os
import re
import shlex
import sys
import time
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from nst_lib import practice
from nst_lib.color import COLORS
from nst_lib.engine import start_engine
from nst_lib.errors import CheckpointError, NSTError, SettingsError, check_choice
from nst_lib.fast import fast_command, style_commands, train_command
from nst_lib.files import as_word, atomic_write, check_outputs, check_writable, free_path
from nst_lib.images import MAX_PIXELS, check_format, load_image
from nst_lib.masks import load_mask, regions
from nst_lib.studio import app as studio_page
from nst_lib.terminal import paint_to_file, progress_bar
from nst_lib.weights import ARCHITECTURES, DOWNLOADS, fetch_weights, layer_shapes, receptive_fields

SIZE = 256
LARGE = 1024  # pixels: from here on, time and memory are estimated before the start


def main(arguments: list[str] | None = None) -> int:
    """Run `nst` and return its exit code.

    0; 1 if `nst doctor` finds a fault, if some pictures of a folder or a sheet were left out, or if nobody reads the
    output; 2 for a mistake of the user's; 130 after Ctrl-C, and 143 after SIGTERM.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments, argparse.Namespace(arguments=arguments))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be of no encoding
    try:
        _check_words(arguments)
        code = options.run(options)
        print(end="", flush=True)
        return code
    except NSTError as problem:
        print(f"nst: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nst: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `nst layers | head -3`; what is still to be written has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"nst: the output cannot be written: {problem.strerror}. Free some space.", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more
        return 2
    except Exception as problem:
        autodiff = sys.modules.get("nst_lib.autodiff")  # where the engine has been started
        if not (autodiff.is_out_of_memory(problem) if autodiff else isinstance(problem, MemoryError)):
            raise
        print("nst: the memory does not suffice. Take smaller pictures, or a smaller --size.", file=sys.stderr)
        return 2


def _check_words(words: list[str]) -> None:
    """Refuse an empty one, but for a title: as a file's name it would be the current folder, or as good as not given."""
    for before, word in pairwise(["nst", *words]):
        if word == "" and before != "--title":
            raise SettingsError(f"the word after {before} is empty. Is a variable of the shell not set?")
        if re.fullmatch("--[a-z-]+=", word) and word != "--title=":
            raise SettingsError(f"{word} is followed by nothing. Is a variable of the shell not set?")


class _Parser(argparse.ArgumentParser):
    """argparse's, which knows where the picture of `nst fast` may be when it is missing."""

    def error(self, message: str) -> NoReturn:
        """Print a message with the usage, and exit."""
        hint = ". Put it before --style, which takes all that follows it, or after ` -- `"
        super().error(message + hint * ("are required: INPUT" in message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nst",
        usage="nst [-h] [--version] COMMAND ...",
        description="Neural style transfer: photographs repainted as paintings.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nst {importlib.metadata.version('nst_lib')}")
    commands = parser.add_subparsers(required=True, prog="nst", metavar="COMMAND ...")
    _add_paint(commands)
    for module in (fast_command, train_command, style_commands, practice, studio_page):
        module.add_to(commands)

    fetch = commands.add_parser(
        "fetch",
        help="download the weights of VGG16 or VGG19",
        description="Download a network's weights (58 MB for vgg16, 80 MB for vgg19) to where Keras keeps them, and check "
        "them. An interrupted download goes on where it stopped; nothing is fetched twice.",
    )
    fetch.set_defaults(run=_fetch)
    fetch.add_argument("network", metavar="NETWORK", help=" or ".join(DOWNLOADS))

    doctor = commands.add_parser("doctor", help="check this machine, a line each", description=_doctor.__doc__)
    doctor.set_defaults(run=_doctor)

    score = commands.add_parser("score", help="judge a stylised picture", description=_score.__doc__)
    score.set_defaults(run=_score)
    for name, help_text in (
        ("content", "the photograph"),
        ("style", "the painting"),
        ("pastiche", "what was made of them"),
    ):
        score.add_argument(name, metavar=name.upper(), help=help_text)
    score.add_argument("--backbone", choices=tuple(ARCHITECTURES), help="the judge (default: $NST_BACKBONE, or pocket)")
    score.add_argument("--weights", metavar="FILE", help="its weights, if not in the usual place")

    layers = commands.add_parser(
        "layers", help="list a network's layers and what each can see", description=_layers.__doc__
    )
    layers.set_defaults(run=_layers)
    layers.add_argument(
        "network", metavar="NETWORK", nargs="?", default="pocket", help=f"{', '.join(ARCHITECTURES)} (default: pocket)"
    )
    return parser


def _add_paint(commands: Any) -> None:
    paint = commands.add_parser(
        "paint",
        help="repaint a photograph in the manner of a painting",
        description="Repaint a photograph in the manner of one or several paintings.",
        usage="nst paint CONTENT STYLE [STYLE ...] [-o OUT] [--size PIXELS] [options]",
        epilog="examples:\n"
        "  nst paint me.jpg wave.jpg\n"
        "  nst paint me.jpg wave.jpg poppies.jpg --shares .7 .3 --size 512 -o me.png\n"
        "  nst paint me.jpg wave.jpg --backbone vgg19 --seconds 300",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given has the default that `Painting` gives it
        allow_abbrev=False,
    )
    paint.set_defaults(run=_paint)
    paint.add_argument("content", metavar="CONTENT", help="the photograph")
    paint.add_argument("styles", metavar="STYLE", nargs="+", help="the painting, or several to blend")

    add = paint.add_argument_group("the picture").add_argument
    add("-o", "--output", metavar="OUT", default=None, help="file to write (default: CONTENT_STYLE.png, here)")
    add("--size", metavar="PIXELS", type=int, help=f"its long side (default: {SIZE})")
    add("--shares", metavar="SHARE", nargs="+", type=_share, help="how much of each of several paintings")
    add("--mask", metavar=("FILE", "STYLE"), nargs=2, action="append", dest="masks",
        help="paint what is white (or opaque) in FILE in this STYLE, or leave it as it is: `none`; repeatable")  # fmt: skip
    add("--content-weight", metavar="W", type=float, help="how much the photograph counts (default: 1)")
    add("--style-weight", metavar="W", type=float, help="how much the painting counts (default: 1)")
    add("--tv-weight", metavar="W", type=float, help="how much smoothness counts (default: 0.5)")
    add("--content-layers", metavar="LAYER", nargs="+", help="see `nst layers` (default: block4_conv2)")
    add("--style-layers", metavar="LAYER", nargs="+", help="(default: the first of each block)")
    add("--style-layer-weights", metavar="LAYER=W", nargs="+", type=_layer_weight,
        help="how much some of them count (default: 1 each)")  # fmt: skip
    add("--style-loss", choices=("gram", "wasserstein"), help="what of the painting is matched (default: gram)")
    add("--style-scale", metavar="S", type=float, help="the painting's size over the picture's (default: 1)")
    add("--color", choices=COLORS,
        help="style: the painting's colours; luminance: the photograph's, with the picture's lightness; content, match: the "
        "painting is given the photograph's palette first (default: style)")  # fmt: skip
    add("--init", metavar="WHAT", help="start from content, noise, or a picture FILE (default: content)")
    add("--seed", metavar="N", type=int, help="of the noise (default: 0)")

    add = paint.add_argument_group("the network").add_argument
    add("--backbone", choices=tuple(ARCHITECTURES), help="(default: $NST_BACKBONE, or pocket)")
    add("--weights", metavar="FILE", help="its weights, if not in the usual place")
    add("--pooling", choices=("max", "avg"), help="(default: max)")

    group = paint.add_argument_group("the optimisation")
    add, budget = group.add_argument, group.add_mutually_exclusive_group().add_argument
    budget("--steps", metavar="N", type=int, help="budget: evaluations of the loss (default: 100)")
    budget("--seconds", metavar="S", type=float, help="budget: seconds, without start-up")
    add("--optimizer", choices=("lbfgs", "adam"), help="(default: lbfgs)")
    add("--learning-rate", metavar="R", type=float, help="of Adam (default: 0.03)")
    add("--pyramid", metavar="N", type=int, help="sizes to go through, coarse to fine (default: from about 256 up)")
    add("--no-sketch", dest="sketch", action="store_false", default=argparse.SUPPRESS,
        help="no first sketch by the pocket VGG for another network")  # fmt: skip
    add("--precision", choices=("auto", "float32", "bfloat16"), help="(default: auto, what is faster here)")
    add(
        "--memory",
        metavar="GB",
        type=float,
        help="what it may take; more is painted in tiles (default: half of what is free)",
    )

    add = paint.add_argument_group("files").add_argument
    add("--resume", metavar="FILE", default=None, help="go on from a checkpoint of the same pictures")
    add("--json", metavar="FILE", default=None, help="write losses, seconds and settings there")
    add("--max-pixels", metavar="N", type=int, default=MAX_PIXELS,
        help=f"refuse larger pictures (default: {MAX_PIXELS})")  # fmt: skip


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # --shares takes all that follows it
        hint = "Put the pictures before the options, or after ` -- `"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number. {hint}") from None


def _layer_weight(text: str) -> tuple[str, float]:
    try:
        layer, weight = text.split("=")
        return layer, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a layer and a number, like block1_conv1=0.5") from None


def _paint(options: argparse.Namespace) -> int:
    own = ("run", "arguments", "content", "styles", "output", "resume", "json", "max_pixels")
    settings = {name: value for name, value in vars(options).items() if name not in own}
    if "style_layer_weights" in settings:
        settings["style_layer_weights"] = dict(settings["style_layer_weights"])
    if "learning_rate" in settings and settings.get("optimizer") != "adam" and not options.resume:
        raise SettingsError("--learning-rate is Adam's. Add --optimizer adam, or leave it out.")
    output = Path(options.output or f"{Path(options.content).stem}_{Path(options.styles[0]).stem}.png")
    checkpoint = output.parent / f"{output.stem}.checkpoint.npz"
    if os.path.exists(checkpoint) and os.path.realpath(checkpoint) != os.path.realpath(options.resume or ""):
        print(
            f"nst: {checkpoint} is kept: a painting that was not finished. --resume goes on with it.", file=sys.stderr
        )
        checkpoint = free_path(checkpoint)
    _check_outputs(options, output, checkpoint)

    times = {"start": time.perf_counter()}  # when each phase ended
    size = None if options.resume else settings.setdefault("size", SIZE)
    masked = settings.pop("masks", [])
    content = load_image(options.content, size, max_pixels=options.max_pixels)
    names = [*options.styles, *(style for _, style in masked if style != "none")]
    styles = [load_image(style, max_pixels=options.max_pixels) for style in names]
    if masked and len(options.styles) > 1:
        raise SettingsError("with --mask, give one painting before it, for the rest of the picture.")
    files, mask_styles = [mask for mask, _ in masked], [style for _, style in masked]
    masks = [load_mask(mask, max_pixels=options.max_pixels) for mask in files]
    if masked and not options.resume:
        settings["masks"] = regions(content, masks, mask_styles, files)
    if settings.get("init", "content") not in ("content", "noise"):
        settings["init"] = load_image(settings["init"], max_pixels=options.max_pixels)
    times["pictures"] = time.perf_counter()
    with progress_bar("starting the engine"):
        start_engine()
        from nst_lib.painting import Painting
    times["engine"] = time.perf_counter()
    with progress_bar("loading the network"):
        if options.resume:
            painting = Painting.load(options.resume, settings.pop("weights", None))
            _check_settings(settings, painting, options.resume)
            fitted = regions(painting.subject.content, masks, mask_styles, files) if masked else None
            painting.subject.check_same(content, styles, fitted, options.resume)
        else:
            painting = Painting(content, styles, **settings)
    times["network"] = time.perf_counter()
    if max(painting.subject.content.shape) >= LARGE:
        _print_estimate(painting)

    planned = [level.tile for level in painting.levels]
    stopped_by, state = paint_to_file(painting, output, checkpoint)
    if [level.tile for level in painting.levels] != planned:
        print("nst: the memory did not suffice for the whole picture: painted in tiles, more slowly.", file=sys.stderr)
    times["painting"] = time.perf_counter()
    if stopped_by:
        again = ["nst", "paint", *map(as_word, (options.content, *options.styles))]
        again += ["-o", as_word(output), "--resume", as_word(checkpoint)]
        again += [word for pair in masked for word in ("--mask", *map(as_word, pair))]
        again += ["--json", as_word(options.json)] if options.json else []
        again += ["--max-pixels", str(options.max_pixels)] if options.max_pixels != MAX_PIXELS else []
        print(f"nst: stopped at step {painting.step_count}. The picture so far is {output}. Go on with\n"
              f"  {shlex.join(again)}", file=sys.stderr)  # fmt: skip
        return 128 + stopped_by
    if options.json:
        _write_report(options, painting, state, times)
    height, width = painting.subject.content.shape[:2]
    print(f"{output}: {width} x {height}, {painting.step_count} steps, "
          f"{painting.timing.optimize:.1f} s of optimisation, {times['painting'] - times['start']:.1f} s in all")  # fmt: skip
    return 0


def _print_estimate(painting: Any) -> None:
    from nst_lib.estimate import estimate

    with progress_bar("estimating"):
        cost = estimate(painting)
    height, width = painting.subject.content.shape[:2]
    tiles = f" in {cost.tiles} tiles" if cost.tiles > 1 else ""
    minutes, seconds = divmod(round(cost.seconds), 60)
    print(f"{width} x {height}{tiles}: about {minutes}:{seconds:02} min and {cost.gigabytes:.1f} GB", flush=True)


def _check_outputs(options: argparse.Namespace, output: Path, checkpoint: Path) -> None:
    """Say before the work what would be wrong after it."""
    check_format(output)
    masks = [name for pair in vars(options).get("masks", []) for name in pair if name != "none"]
    others = [vars(options).get(name) for name in ("init", "weights", "resume")]
    check_outputs(
        filter(None, [output, options.json]), filter(None, [options.content, *options.styles, *masks, *others])
    )
    check_writable(checkpoint, SettingsError)  # which may be the one that is resumed


def _check_settings(given: dict[str, Any], painting: Any, path: str) -> None:
    """A checkpoint has its settings in it: accept the same again, but do not seem to accept others."""
    known = painting.settings | painting.loss_weights
    for name, value in given.items():
        if isinstance(value, dict) and name in known:  # weights of some layers
            value = known[name] | value
        if name not in known or known[name] != value:
            option = "no-sketch" if name == "sketch" else name.replace("_", "-")
            setting = f", which is {known[name]} there" if name in known else ""
            raise CheckpointError(f"{path} has its own --{option}{setting}. Leave the option out, or --resume.")


def _write_report(options: argparse.Namespace, painting: Any, state: Any, times: dict[str, float]) -> None:
    phases = {name: times[name] - times[before] for before, name in pairwise(times)}
    within = {name: getattr(painting.timing, name) for name in ("targets", "compile", "optimize")}
    phases["saving"] = max(0.0, phases.pop("painting") - sum(within.values()))
    report = {
        "content": options.content,
        "styles": options.styles,
        "masks": vars(options).get("masks", []),
        "losses": asdict(state) if state is not None else None,
        "seconds": {key: round(value, 3) for key, value in (within | phases).items()},
        "init": "checkpoint" if options.resume else vars(options).get("init", "content"),
        "settings": painting.settings | painting.loss_weights,
        "engine": start_engine(),
        "version": importlib.metadata.version("nst_lib"),
    }
    with atomic_write(options.json, SettingsError) as file:
        file.write((json.dumps(report, indent=2) + "\n").encode())


def _doctor(_: argparse.Namespace) -> int:
    """Check this machine, a line each: OK, FAIL, or -- (absent, but only needed for some things)."""
    from nst_lib.doctor import check_machine

    return 0 if check_machine() else 1


def _fetch(options: argparse.Namespace) -> int:
    print(f"{options.network}: {fetch_weights(options.network)}")
    return 0


def _score(options: argparse.Namespace) -> int:
    """Judge a stylised picture: how much is left of the photograph, and how much of the painting has come in."""
    content, style, pastiche = (load_image(path) for path in (options.content, options.style, options.pastiche))
    with progress_bar("starting the engine"):
        start_engine()
    from nst_lib.backbones import load_backbone
    from nst_lib.metrics import score

    judge = load_backbone(options.backbone, options.weights)
    result = score(pastiche, content, style, judge)
    print(f"judged by {judge.name}, at {pastiche.shape[1]} x {pastiche.shape[0]}")
    print(f"content     {result.content:6.3f}   0: the photograph itself; above about 1 it is hard to recognise")
    print(
        f"style       {result.style:6.3f}   0: the painting itself; below about 0.15 the brush strokes are the painter's"
    )
    print(f"total       {result.total:6.2f}   content + 30 x style, what `nst paint` minimises at weights 1 and 1")
    print(f"similarity  {result.similarity:6.3f}   1: the photograph's light and dark, pixel by pixel")
    print(f"color       {result.color:6.3f}   0: the painting's palette; 0.1 is easily seen")
    return 0


def _layers(options: argparse.Namespace) -> int:
    """List a network's layers: channels, pixels between two activations, and the pixels that each depends on."""
    check_choice("backbone", options.network, ARCHITECTURES)
    print(f"{'layer':<14}{'channels':>9}{'stride':>8}{'sees':>7}   default use")
    shapes = layer_shapes(options.network)
    for layer, (stride, sees) in receptive_fields(options.network).items():
        use = "content" if layer == "block4_conv2" else "style" if layer.endswith("_conv1") else ""
        print(f"{layer:<14}{shapes[layer][1]:>9}{stride:>8}{sees:>7}   {use}".rstrip())
    print("\nsees: the side in pixels of the square that one activation depends on")
    return 0
