"""`nst train`: a thin shell over this package."""

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from nst_lib.engine import start_engine
from nst_lib.errors import SettingsError, StyleError
from nst_lib.fast.devices import DEVICES, joined, plan_meeting
from nst_lib.fast.styles import StyleFile, shipped_styles
from nst_lib.files import as_text, as_word, beside, check_outputs, check_writable, save_elsewhere
from nst_lib.images import load_image
from nst_lib.terminal import noted_signals, progress_bar


def add_to(commands: Any) -> None:
    """Add the command to argparse's."""
    train = commands.add_parser(
        "train",
        help="train a style network on your photographs",
        description="Train a network to paint in the manner of a painting, or of each of several,\nin one pass.",
        usage="nst train STYLE [STYLE ...] --photos DIR [-o OUT]\n                 [--minutes M | --steps N] [options]",
        epilog="examples:\n"
        "  nst train wave.jpg --photos holidays/\n"
        "  nst train wave.jpg --photos holidays/ --vector-only --minutes 5\n"
        "  nst train wave.jpg cafe.jpg --photos holidays/ --minutes 60 -o mine.npz\n"
        "  KERAS_BACKEND=jax nst train wave.jpg --photos holidays/ --devices all\n"
        "Several GPUs, several machines: see docs/scaling.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    train.set_defaults(run=_train)
    train.add_argument("paintings", metavar="STYLE", nargs="+", help="pictures of the paintings")
    add = train.add_argument
    add(
        "--photos",
        metavar="DIR",
        required=True,
        help="a folder of photographs and subfolders, some hundred at best, 2000 at most",
    )
    add("-o", "--output", "--out", metavar="OUT", help="style file to write (default: STYLE.npz, here)")
    budget = train.add_mutually_exclusive_group().add_argument
    budget("--minutes", metavar="M", type=float, help="budget (default: 15)")
    budget("--steps", metavar="N", type=int,
        help="budget: batches of photographs, rounded up to whole epochs: of 10, or 200 on a GPU")  # fmt: skip
    add("--from", metavar="FILE", dest="start", default="shipped",
        help="set out from a style file's network (default: shipped), or from `nothing`")  # fmt: skip
    add(
        "--vector-only",
        action="store_true",
        help="leave that network as it is: quick, and the style blends with its own",
    )
    add(
        "--style-weight",
        metavar="W",
        type=float,
        help="how much the painting counts (default: 0.1; from `nothing` 0.12)",
    )
    add("--tv-weight", metavar="W", type=float, help="how much smoothness counts (default: 0.3)")
    add("--backbone", choices=("pocket", "vgg16", "vgg19"), help="the judge (default: $NST_BACKBONE, or pocket)")
    add("--weights", metavar="FILE", help="its weights, if not in the usual place")
    add("--learning-rate", metavar="R", type=float, help="of Adam, at its peak")
    add("--batch", metavar="N", type=int, help="photographs in a step (default: 4)")
    add("--crop", metavar="PIXELS", type=int,
        help="side of the cuts that it sees: larger ones, as 256, are slower and look better (default: 176)")  # fmt: skip
    add("--seed", metavar="N", type=int, help="of kernels and photographs (default: 0)")
    add("--resume", action="store_true", help="go on from the checkpoint that a stopped training left")
    add("--tensorboard", metavar="DIR", help="write logs there, for TensorBoard (pip install tensorboard)")
    add = train.add_argument_group("several devices, on JAX").add_argument
    add("--devices", choices=DEVICES, default="one", help="all: share each batch among all GPUs (default: one)")
    add("--coordinator", metavar="HOST:PORT",
        help="train with other machines: the first one's address (default: $KERAS_DISTRIBUTION_JOB_ADDRESSES)")  # fmt: skip
    add("--processes", metavar="N", type=int, help="how many machines, with the same command on each")
    add("--process-id", metavar="I", type=int, help="which of them this is: the first is 0, and writes the files")


def _train(options: argparse.Namespace) -> int:
    names = [as_text(Path(path).stem) for path in options.paintings]
    if len(set(names)) < len(names):
        raise SettingsError(
            f"the paintings' file names are the styles' names: {', '.join(names)} are not all different."
        )
    output = Path(options.output or f"{Path(options.paintings[0]).stem}.npz")
    if output.suffix != ".npz":
        raise SettingsError(f"cannot write {output}: a style file's name ends in .npz.")
    checkpoint, samples = (output.with_suffix(suffix) for suffix in (".training.npz", ".samples.png"))
    samples = beside(checkpoint if options.resume else output, samples)
    meeting = plan_meeting(options.coordinator, options.processes, options.process_id)
    first = meeting is None or meeting.process_id == 0
    if first:
        check_outputs((output, samples), filter(None, [*options.paintings, options.start, options.weights]))
        check_writable(checkpoint, SettingsError)
        if checkpoint.exists() and not options.resume:
            raise SettingsError(
                f"{checkpoint} is a training that was not finished. Go on with --resume, delete it, or give another -o."
            )
    paintings = {name: load_image(path) for name, path in zip(names, options.paintings, strict=True)}
    start = None
    if options.start != "nothing":
        start = shipped_styles() if options.start == "shipped" else StyleFile.load(options.start)
    given = ("minutes", "steps", "style_weight", "tv_weight", "backbone", "weights", "learning_rate", "batch", "crop",
             "seed")  # fmt: skip
    settings = {name: value for name in given if (value := getattr(options, name)) is not None}
    with joined(meeting):
        with progress_bar("starting the engine"):
            start_engine()
            from nst_lib.fast.training import train

        company = f", worker {meeting.process_id} of {meeting.processes}" if meeting else ""
        print(f"{len(names)} {'style' if len(names) == 1 else 'styles'}, on {options.photos}{company}", flush=True)
        with noted_signals("this epoch") as signals:
            trained = train(paintings, options.photos, start=start, vector_only=options.vector_only,
                            checkpoint=checkpoint, resume=options.resume, samples=samples,
                            tensorboard=options.tensorboard, should_stop=lambda: signals, devices=options.devices,
                            **settings)  # fmt: skip
    if trained is None:
        command, *rest = options.arguments
        resume = [] if options.resume else ["--resume"]  # not at the end: there may be a `--`
        print(f"nst: stopped. Go on with\n  {shlex.join(['nst', command, *resume, *rest])}", file=sys.stderr)
        return 128 + (signals or [signal.SIGTERM])[0]  # another worker's signal counts as one
    if not first:
        return 0
    try:
        trained.save(output)
    except StyleError as problem:  # a full disk, say
        spare = save_elsewhere(output, trained.save)
        where = f"is {spare} instead" if spare else "could not be kept"
        raise StyleError(f"{problem} The style file {where}; the checkpoint is kept.") from problem
    checkpoint.unlink(missing_ok=True)
    print(f"{output}: {', '.join(names)}; {trained.about['pictures']} pictures in {trained.about['seconds']} s. "
          f"Samples are in {samples}. Try: nst fast PICTURE --style {shlex.quote(as_word(output))}")  # fmt: skip
    return 0
