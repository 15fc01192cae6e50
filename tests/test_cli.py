"""`nst` as a stranger uses it, and as one who wants to break it."""

import errno
import inspect
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nst_lib import __main__, cli, doctor, files, terminal
from nst_lib.engine import start_engine
from nst_lib.errors import SettingsError
from nst_lib.fast.styles import SHIPPED_FILE
from nst_lib.images import save_image
from nst_lib.weights import POCKET_FILE, layer_shapes

QUICK = ("--size", "32", "--steps", "3")
posix = pytest.mark.skipif(os.name != "posix", reason="Unix signals and terminals")


@pytest.fixture
def refused(nst) -> Callable[..., str]:
    """Run a command that is a mistake of the user's, and return what it says on one screen."""

    def run(*arguments: object) -> str:
        result = nst(*arguments)
        assert result.code == 2, result
        assert result.out == ""
        assert len(result.err.splitlines()) <= 4
        return result.err

    return run


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder to work in with three pictures: "my photo.jpg", wave.png, brick.png."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NST_BACKBONE", raising=False)
    for seed, name in enumerate(["my photo.jpg", "wave.png", "brick.png"]):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(name, quality=95)
    return tmp_path


def stop_after(monkeypatch, states: int, *signals: int) -> None:
    """Make the next paintings receive signals when they have shown `states` states."""
    start_engine()
    from nst_lib import painting

    original = painting.paint

    def paint(run, **_):  # a state after every step, on a GPU as well
        for number, state in enumerate(original(run), start=1):
            if number == states:
                for sent in signals:
                    signal.raise_signal(sent)
            yield state

    monkeypatch.setattr(painting, "paint", paint)


def full_disk(*suffixes: str, folder: Path | None = None) -> Callable:
    """An os.replace for a disk on which files with these suffixes (in `folder`) find no room."""
    replace = os.replace

    def fails(source, target):
        if Path(target).suffix in suffixes and folder in (None, Path(target).absolute().parent):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    return fails


def size_of(path: Path | str) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


# Help


def test_help_names_every_command(nst):
    result = nst("--help")
    assert result.code == 0
    for command in ("paint", "fast", "train", "styles", "export", "texture", "score", "fetch", "doctor", "layers"):
        assert command in result.out


@pytest.mark.parametrize("command", ["paint", "texture", "score", "fetch", "doctor", "layers"])
def test_every_help_says_what_the_command_does_in_80_columns(nst, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    result = nst(command, "--help")
    assert result.code == 0 and result.err == ""
    assert max(map(len, result.out.splitlines())) <= 80
    assert re.search(r"(?i)^(repaint|grow|judge|download|check|list)", result.out, re.MULTILINE)


def test_defaults_in_the_help_are_those_of_painting():
    start_engine()
    from nst_lib.painting import STEPS, Painting

    paint = cli._parser()._subparsers._group_actions[0].choices["paint"]
    told = {action.dest: re.search(r"\(default: ([\w.]+)", action.help or "") for action in paint._actions}
    defaults = {name: p.default for name, p in inspect.signature(Painting.__init__).parameters.items()}
    defaults |= {"steps": STEPS, "content_layers": "block4_conv2", "max_pixels": cli.MAX_PIXELS}
    for name in ("size", "steps", "content_weight", "style_weight", "tv_weight", "content_layers", "style_loss", "init",
                 "seed", "pooling", "optimizer", "learning_rate", "precision", "max_pixels"):  # fmt: skip
        assert type(defaults[name])(told[name][1]) == defaults[name], name
    assert defaults["size"] == cli.SIZE


def test_every_option_of_paint_is_an_argument_of_painting():
    start_engine()
    from nst_lib.painting import Painting

    everything = cli._parser().parse_args(
        shlex.split(
            "paint c s --shares 1 --size 64 --steps 1 --backbone pocket --weights w --content-weight 1 --style-weight 1 "
            "--tv-weight 1 --content-layers block4_conv2 --style-layers block1_conv1 --style-loss gram "
            "--style-layer-weights block1_conv1=2 --pooling max "
            "--optimizer adam --learning-rate 1 --init noise --seed 1 --pyramid 1 --no-sketch --precision float32"
        )
    )
    own = {"run", "content", "styles", "output", "resume", "json", "max_pixels"}
    assert set(vars(everything)) - own <= set(inspect.signature(Painting.__init__).parameters)


def test_version(nst):
    assert re.fullmatch(r"nst \d+\.\d+\.\d+\S*\n", nst("--version").out)


# Painting


@posix
def test_a_name_of_no_encoding(here):
    os.symlink("wave.png", b"\xff.png")
    command = [sys.executable, "-m", "nst_lib", "paint", "my photo.jpg", b"\xff.png", *QUICK]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, env=strict, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"my photo_\\udcff.png: 32 x 32")


def test_a_first_picture_with_the_default_name(nst, here):
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK)
    assert result.code == 0
    assert re.fullmatch(
        r"my photo_wave\.png: 32 x 32, 3 steps, \d+\.\d s of optimisation, \d+\.\d s in all\n", result.out
    )
    assert result.err == ""  # no terminal: no progress bar
    assert size_of("my photo_wave.png") == (32, 32)
    assert sorted(path.name for path in here.iterdir()) == [
        "brick.png",
        "my photo.jpg",
        "my photo_wave.png",
        "wave.png",
    ]


def test_two_styles_with_shares_before_the_pictures_over_an_old_file_with_a_report(nst, here):
    (here / "sub folder").mkdir()
    output, report = Path("sub folder", "out.JPG"), here / "report.json"
    save_image(np.zeros((32, 32, 3), "float32"), output)
    report.write_text("old")
    result = nst("paint", "--shares", ".7", ".3", "-o", output, "--json", report, *QUICK, "--style-weight", "2.5",
                 "--", here / "my photo.jpg", "wave.png", "brick.png")  # fmt: skip
    assert result.code == 0, result.err
    with Image.open(output) as image:
        assert image.format == "JPEG" and np.asarray(image).max() > 0
    told = json.loads(report.read_text())
    assert told["styles"] == ["wave.png", "brick.png"] and told["content"] == str(here / "my photo.jpg")
    assert told["settings"]["shares"] == [0.7, 0.3] and told["settings"]["size"] == 32
    assert told["settings"]["style_weight"] == 2.5 and told["settings"]["steps"] == 3 and told["init"] == "content"
    assert told["losses"]["step"] == 3
    assert list(told["losses"]["style"]) == [f"block{block}_conv1" for block in range(1, 6)]
    layers = told["losses"]["style"].values()
    weighted = told["losses"]["content"] + 0.5 * told["losses"]["total_variation"] + 30 * 2.5 * sum(layers) / 5
    assert told["losses"]["loss"] == pytest.approx(weighted, rel=1e-4)
    phases = {"pictures", "engine", "network", "targets", "compile", "optimize", "saving"}
    assert set(told["seconds"]) == phases and all(0 <= seconds < 60 for seconds in told["seconds"].values())
    assert told["engine"] in ("tensorflow", "torch", "jax")
    assert len(list(here.rglob("*"))) == 6  # no litter


def test_options_between_the_pictures_and_every_setting_at_once(nst, here):
    result = nst("paint", "my photo.jpg", "--size", "33", "wave.png", "--steps", "2", "--optimizer", "adam",
                 "--learning-rate", "0.05", "--style-loss", "wasserstein", "--content-layers", "block2_conv1",
                 "--style-layers", "block1_conv1", "block2_conv1", "--tv-weight", "0", "--content-weight", "0.5",
                 "--pyramid", "1", "--no-sketch", "--precision", "float32", "--init", "brick.png", "-o", "o.webp",
                 "--pooling", "avg", "--weights", POCKET_FILE, "--backbone", "pocket")  # fmt: skip
    assert result.code == 0, result.err
    with Image.open("o.webp") as image:
        assert image.format == "WEBP" and image.size == (33, 33)


def test_noise_is_the_seeds(nst, here):
    for name, seed in (("a", 1), ("b", 2)):
        command = ("my photo.jpg", "wave.png", "--init", "noise", "--seed", seed, "--size", "32", "--steps", "1")
        assert nst("paint", *command, "-o", f"{name}.bmp").code == 0
    assert Path("a.bmp").read_bytes() != Path("b.bmp").read_bytes()


def test_seconds_are_of_optimisation(nst, here):
    command = ("paint", "my photo.jpg", "wave.png", "--size", "32", "--seconds", "0.3", "--json", "r.json")
    assert nst(*command).code == 0
    told = json.loads(Path("r.json").read_text())
    assert 0.3 <= told["seconds"]["optimize"] < 1.5
    assert told["settings"]["seconds"] == 0.3 and told["settings"]["steps"] is None and told["losses"]["eta"] == 0


def test_the_bar_in_a_terminal(nst, here, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK)
    frames = [frame.strip() for frame in result.err.split("\r") if frame.strip()]
    assert max(map(len, frames)) <= 80
    assert frames[0].startswith("0%|") and frames[0].endswith("starting the engine")
    assert re.search(r"step [123]/3, 32x32 pocket, loss \d+\.\d{3}, 00:0\d left$", frames[-1])
    assert result.err.endswith("\r")  # and the bar is gone


def test_the_longest_line_of_the_bar_fits_into_80_columns():
    start_engine()
    from nst_lib.painting import PaintState

    text = terminal._describe(PaintState(1000, 1000, (1024, 1024), 1234.567, 1, {}, 1, {}, 10.0, 9999.0, "vgg19"))
    assert len("100%||  ") + len(text) <= 75 and text.endswith("2:46:39 left")


# Stopping and going on


def test_ctrl_c_keeps_picture_and_checkpoint_and_resume_ends_as_an_unbroken_run(nst, here, monkeypatch):
    settings = ("--size", "64", "--pyramid", "2", "--steps", "12")
    assert nst("paint", "my photo.jpg", "wave.png", *settings, "-o", "unbroken.png").code == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 4, signal.SIGINT)  # at the coarse size
        result = nst("paint", "my photo.jpg", "wave.png", *settings, "-o", "out of it.png", "--json", "r.json",
                     "--max-pixels", "5000")  # fmt: skip
    assert result.code == 130 and result.out == ""
    assert "stopped at step 4. The picture so far is out of it.png. Go on with\n" in result.err
    assert size_of("out of it.png") == (64, 64)
    assert Path("out of it.checkpoint.npz").is_file() and not Path("r.json").exists()

    command = shlex.split(result.err.splitlines()[-1])
    assert command[0] == "nst" and command[-4:] == ["--json", "r.json", "--max-pixels", "5000"]
    with monkeypatch.context() as patch:
        stop_after(patch, 3, signal.SIGINT, signal.SIGINT)  # once more, and twice
        assert nst(*command[1:]).code == 130
    result = nst(*command[1:], *settings)  # the same settings may be given again
    assert result.code == 0, result.err
    assert Path("out of it.png").read_bytes() == Path("unbroken.png").read_bytes()
    assert json.loads(Path("r.json").read_text())["losses"]["step"] == 12
    assert not Path("out of it.checkpoint.npz").exists()


def test_a_name_that_begins_as_an_option_does_is_not_taken_for_one(nst, here, monkeypatch):
    shutil.copy("my photo.jpg", "-me.jpg")
    with monkeypatch.context() as patch:
        stop_after(patch, 1, signal.SIGINT)
        result = nst("paint", *QUICK, "--", "-me.jpg", "wave.png")
    assert result.code == 130
    command = result.err.splitlines()[-1].strip()
    assert command == "nst paint ./-me.jpg wave.png -o ./-me_wave.png --resume ./-me_wave.checkpoint.npz"
    assert nst(*command.split()[1:]).code == 0


def test_an_error_in_the_middle_keeps_the_picture(nst, here, monkeypatch):
    start_engine()
    from nst_lib import painting

    original = painting.paint

    def paint(run, **_):
        yield from itertools.islice(original(run), 2)
        raise SettingsError("the memory does not suffice.")

    monkeypatch.setattr(painting, "paint", paint)
    code, out, err = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert (code, out) == (2, "")
    assert err == "nst: the picture as it was at step 2 is o.png.\nnst: the memory does not suffice.\n"
    assert size_of("o.png") == (32, 32)


def test_paintings_may_be_long_and_thin_and_small(nst, refused, here):
    save_image(np.random.default_rng(0).random((60, 900, 3), "float32"), "scroll.png")
    assert nst("paint", "my photo.jpg", "scroll.png", *QUICK, "-o", "o.png").code == 0
    assert nst("paint", "my photo.jpg", "wave.png", *QUICK, "--style-scale", "0.1", "-o", "o.png").code == 0
    for scale in ("-1", "nan", "0"):
        assert "style scale is" in refused("paint", "my photo.jpg", "wave.png", f"--style-scale={scale}", *QUICK)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_are_no_worse(nst, here, monkeypatch, sent):
    before = signal.signal(sent, signal.SIG_DFL)  # whatever nohup has done to these tests
    try:
        stop_after(monkeypatch, 1, sent)
        result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
        assert signal.getsignal(sent) is signal.SIG_DFL
    finally:
        signal.signal(sent, before)
    assert result.code == 128 + sent and "stopped at step 1" in result.err
    assert size_of("o.png") == (32, 32) and Path("o.checkpoint.npz").is_file()


def test_under_nohup_a_closed_terminal_stops_nothing(nst, here, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop_after(monkeypatch, 1, signal.SIGHUP)
        assert nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png").code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_while_saving_does_no_harm(nst, here, monkeypatch):
    def impatient(name):
        original = getattr(files.os, name)

        def call(*arguments):
            signal.raise_signal(signal.SIGINT)
            return original(*arguments)

        monkeypatch.setattr(files.os, name, call)

    stop_after(monkeypatch, 2, signal.SIGINT)
    impatient("fsync")
    impatient("replace")
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert result.code == 130
    assert size_of("o.png") == (32, 32) and Path("o.checkpoint.npz").is_file()
    assert len(list(here.iterdir())) == 5  # no litter


def test_ctrl_c_in_the_last_step_is_too_late(nst, here, monkeypatch):
    stop_after(monkeypatch, 3, signal.SIGINT)
    assert nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png").code == 0
    assert not Path("o.checkpoint.npz").exists()


@pytest.mark.parametrize("moment", ["start_engine", "load_image"])
def test_ctrl_c_before_the_painting(nst, here, monkeypatch, moment):
    monkeypatch.setattr(cli, moment, lambda *_, **__: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = nst("paint", "my photo.jpg", "wave.png")
    finally:
        signal.signal(signal.SIGINT, before)
    assert result == (130, "", "nst: stopped.\n")


def test_ctrl_c_while_python_is_importing(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    assert __main__.main() == 130
    assert capsys.readouterr().err == "nst: stopped.\n"


@posix
def test_a_real_ctrl_c_of_a_real_process(here):
    script = (
        "import sys; from nst_lib import cli, terminal; terminal.CHECKPOINT_SECONDS = 0; "
        "sys.exit(cli.main(['paint', 'my photo.jpg', 'wave.png', '--size', '32', '--steps', '100000']))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    try:
        assert re.match(r"step \d+/100000, 32x32 pocket, loss \d", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in rest
    assert "--resume 'my photo_wave.checkpoint.npz'" in rest.splitlines()[-1]
    assert size_of("my photo_wave.png") == (32, 32)


def test_checkpoints_on_the_way_and_lines_for_a_log(nst, here, monkeypatch):
    saved = []
    stop_after(monkeypatch, 0)
    from nst_lib.painting import Painting

    monkeypatch.setattr(Painting, "save", lambda self, path: saved.append((self.step_count, str(path))))
    monkeypatch.setattr(terminal, "CHECKPOINT_SECONDS", 0)
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert result.code == 0
    assert saved == [(step, "o.checkpoint.npz") for step in (1, 2, 3)]
    assert re.match(r"step 1/3, 32x32 pocket, loss \d+\.\d{3}, 00:0\d left\n", result.err)
    assert len(result.err.splitlines()) == 3


def test_a_slow_checkpoint_takes_a_twentieth_of_the_time(nst, here, monkeypatch):
    """Of a large print, say, with which one a minute would be a tenth."""
    now, saved = [0.0], []
    stop_after(monkeypatch, 0)
    from nst_lib import painting

    original = painting.paint

    def paint(run, **_):  # a minute and a half to a step
        for state in original(run):
            now[0] += 90
            yield state

    def save(self, path):
        saved.append(self.step_count)
        now[0] += 15

    monkeypatch.setattr(painting, "paint", paint)
    monkeypatch.setattr(painting.Painting, "save", save)
    monkeypatch.setattr(terminal, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert nst("paint", "my photo.jpg", "wave.png", "--size", 32, "--steps", 10, "-o", "o.png").code == 0
    assert saved == [1, 5, 9]  # at 90 s; then 300 s after it was done, and again


def test_a_resumed_painting_may_be_given_its_own_weights_of_layers_again(nst, here, monkeypatch):
    same = "paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png", "--style-layer-weights", "block2_conv1=0.5"
    with monkeypatch.context() as patch:
        stop_after(patch, 2, signal.SIGINT)
        assert nst(*same).code == 130
    assert nst(*same, "--resume", "o.checkpoint.npz", "--json", "o.json").code == 0
    weights = json.loads(Path("o.json").read_text())["settings"]["style_layer_weights"]
    assert weights["block2_conv1"] == 0.5 and weights["block1_conv1"] == 1


@pytest.fixture
def checkpoint(here, nst, monkeypatch) -> str:
    """A checkpoint of a painting in 32 px that was stopped at step 2 of 3."""
    with monkeypatch.context() as patch:
        stop_after(patch, 2, signal.SIGINT)
        assert nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png").code == 130
    return "o.checkpoint.npz"


def test_what_a_checkpoint_does_not_go_with(refused, checkpoint):
    before = Path("o.png").read_bytes()
    resume = ("-o", "o.png", "--resume", checkpoint)
    another = "is a checkpoint of another photograph or painting"
    assert another in refused("paint", "brick.png", "wave.png", *resume)
    assert another in refused("paint", "my photo.jpg", "wave.png", "brick.png", *resume)
    for option, value, there in [("--size", 64, ", which is 32 there"), ("--seed", 3, ", which is 0 there"),
                                 ("--style-weight", 2, ", which is 1.0 there"), ("--init", "noise", "")]:  # fmt: skip
        message = refused("paint", "my photo.jpg", "wave.png", *resume, option, value)
        assert f"{checkpoint} has its own {option}{there}. Leave the option out, or --resume." in message
    layers = refused("paint", "my photo.jpg", "wave.png", *resume, "--style-layer-weights", "block1_conv1=0.5")
    assert f"{checkpoint} has its own --style-layer-weights, which is {{'block1_conv1': 1.0," in layers
    assert "has its own --no-sketch" in refused("paint", "my photo.jpg", "wave.png", *resume, "--no-sketch")
    assert Path("o.png").read_bytes() == before and Path(checkpoint).is_file()


def test_a_painting_that_was_not_finished_is_kept(nst, checkpoint):
    """Though another one of the same name is painted."""
    before = Path(checkpoint).read_bytes()
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png", "--style-weight", 2)
    assert result.code == 0
    assert result.err == f"nst: {checkpoint} is kept: a painting that was not finished. --resume goes on with it.\n"
    assert Path(checkpoint).read_bytes() == before
    assert nst("paint", "my photo.jpg", "wave.png", "-o", "o.png", "--resume", f"./{checkpoint}").err == ""
    assert not Path(checkpoint).exists()


def test_checkpoints_that_are_none(refused, nst, checkpoint):
    pictures = ("paint", "my photo.jpg", "wave.png", "--resume")
    assert "there is no checkpoint nowhere.npz" in refused(*pictures, "nowhere.npz")
    assert "is not a checkpoint" in refused(*pictures, "brick.png")
    assert "is not a checkpoint" in refused(*pictures, POCKET_FILE)
    assert "is a style file, not a checkpoint: `nst fast` paints with it" in refused(*pictures, SHIPPED_FILE)
    Path("half.npz").write_bytes(Path(checkpoint).read_bytes()[:20000])
    assert "is not a checkpoint, or is damaged" in refused(*pictures, "half.npz")
    with np.load(checkpoint) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes()) | {"version": 999}
    np.savez("new.npz", **arrays | {"header": np.frombuffer(json.dumps(header).encode(), "uint8")})
    assert "is a checkpoint of version 999" in refused(*pictures, "new.npz")


# Mistakes: what is wrong is said before any work, and nothing is lost


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--size abc", "argument --size: invalid int value: 'abc'"),
        ("--size 1e9", "argument --size: invalid int value: '1e9'"),
        ("--size 31", "a side of 31 pixels: expected a whole number, 32 or more"),
        ("--size -5", "a side of -5 pixels"),
        ("--size 1000000000", "are more than 100,000,000, too many for most memories"),
        ("--steps 0", "steps is 0: give a whole number of at least 1"),
        ("--steps 2.5", "argument --steps: invalid int value: '2.5'"),
        ("--seconds 0", "seconds is 0.0: give a number of at least 0.001"),
        ("--seconds nan", "seconds is nan"),
        ("--steps 5 --seconds 5", "argument --seconds: not allowed with argument --steps"),
        ("--content-weight -1", "content weight is -1.0: give a number of at least 0"),
        ("--style-weight -1", "style weight is -1.0"),
        ("--style-weight nan", "style weight is nan"),
        ("--tv-weight inf", "tv weight is inf"),
        ("--content-weight 0 --style-weight 0", "both 0: there is nothing to paint"),
        ("--learning-rate 0 --optimizer adam", "learning rate is 0.0"),
        ("--learning-rate 5", "--learning-rate is Adam's. Add --optimizer adam, or leave it out"),
        ("--seed -1", "seed is -1"),
        ("--pyramid 0", "pyramid is 0"),
        ("--pyramid 9", "a pyramid of 9 sizes is too deep for 256 x 256"),
        ("--shares .5", "1 shares for 2 paintings: give one for each"),
        ("--shares .5 -.5", "a share is -0.5"),
        ("--shares 0 0", "the shares sum to 0"),
        ("--shares .7 .3 brick.png", "'brick.png' is not a number. Put the pictures before the options"),
        ("--content-layers block4_conv9", "unknown layer of pocket 'block4_conv9': did you mean block4_conv"),
        ("--style-layers conv1_1", "unknown layer of pocket 'conv1_1'"),
        ("--style-layer-weights block1_conv1", "'block1_conv1' is not a layer and a number, like block1_conv1=0.5"),
        ("--style-layer-weights block1_conv1=much", "'block1_conv1=much' is not a layer and a number"),
        ("--style-layer-weights block1_conv2=1", "unknown style layer 'block1_conv2': did you mean block1_conv1"),
        ("--style-layer-weights block1_conv1=-1", "the weight of block1_conv1 is -1.0: give a number of at least 0"),
        ("--backbone vgg18", "argument --backbone: invalid choice: 'vgg18' (choose from"),
        ("--optimizer sgd", "argument --optimizer: invalid choice: 'sgd' (choose from"),
        ("--pooling min", "argument --pooling: invalid choice: 'min' (choose from"),
        ("--style-loss mse", "argument --style-loss: invalid choice: 'mse' (choose from"),
        ("--precision half", "argument --precision: invalid choice: 'half' (choose from"),
        ("--init nois", "nois does not exist"),
        ("--colour blue", "unrecognized arguments: --colour blue"),
        ("--max-pixels 1000", "my photo.jpg has more than 1,000 pixels"),
        ("--backbone vgg19", "the weights of vgg19 are not on this machine"),
        ("--weights nowhere.npz", "there is no weights file nowhere.npz. Check the path.\n"),
        ("--weights brick.png", "brick.png could not be read as weights of pocket"),
        ("-o nowhere/o.png", "the folder {here}/nowhere does not exist. Make it first"),
        ("-o .", "a picture's name ends in one of .png, .jpg"),
        ("-o o.gif", "cannot write o.gif: a picture's name ends in one of .png, .jpg"),
        ("-o folder.png", "cannot write folder.png: it is a folder"),
        ("-o wave.png", "cannot write wave.png: it is another of this command's files"),
        ("-o ./brick.png --init brick.png", "cannot write brick.png: it is another"),
        ("-o o.png --json o.png", "cannot write o.png: it is another of this command's files"),
        ("--json nowhere/r.json", "cannot write nowhere/r.json: the folder {here}/nowhere does not exist"),
        ("--json folder.png", "cannot write folder.png: it is a folder"),
        (f"-o {'n' * 250}.png", "the name is too long"),
    ],
)
def test_settings_that_make_no_picture(refused, here, monkeypatch, options, message):
    monkeypatch.setenv("KERAS_HOME", str(here / "keras"))
    (here / "folder.png").mkdir()
    before = {path: path.read_bytes() for path in here.iterdir() if path.is_file()}
    assert message.format(here=here) in refused("paint", "my photo.jpg", "wave.png", "brick.png", *options.split())
    assert {path: path.read_bytes() for path in here.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "command",
    [("fast", "", "--style", "great_wave"), ("moodboard", ""), ("styles", "-o", "o.png", "--on", ""),
     ("train", "wave.png", "--photos", ""), ("paint", "my photo.jpg", "wave.png", "-o", "")],
)  # fmt: skip
def test_an_empty_name_is_not_the_current_folder(refused, here, command):
    before = command[command.index("") - 1]
    assert f"the word after {before} is empty. Is a variable of the shell not set?" in refused(*command)
    assert len(list(here.iterdir())) == 3


def test_nothing_behind_an_equals_sign_is_not_the_current_folder(refused, here):
    assert "--photos= is followed by nothing" in refused("train", "wave.png", "--photos=", "--style-weight=1")
    assert len(list(here.iterdir())) == 3


def test_a_missing_command_or_picture(refused):
    assert "the following arguments are required: COMMAND" in refused()
    assert "the following arguments are required: CONTENT, STYLE" in refused("paint")
    assert "the following arguments are required: STYLE" in refused("paint", "my photo.jpg")
    assert "invalid choice: 'pant' (choose from" in refused("pant")


@pytest.fixture
def bad_pictures(here) -> None:
    Path("empty.jpg").touch()
    Path("text.jpg").write_text("This is not a picture, whatever it is called.\n" * 10)
    Path("folder.jpg").mkdir()
    Image.effect_noise((200, 200), 90).save("whole.jpg")
    Path("half.jpg").write_bytes(Path("whole.jpg").read_bytes()[:3000])
    Image.new("RGB", (1, 1)).save("dot.png")
    Image.new("RGB", (20000, 10)).save("strip.png")
    Image.new("RGB", (2000, 100)).save("flat.png")
    Image.new("1", (20000, 20000)).save("bomb.png")


BAD_PICTURES = {
    "wav.png": "wav.png does not exist. Did you mean wave.png",
    "nowhere/a.png": "nowhere/a.png does not exist, nor does its folder",
    "empty.jpg": "empty.jpg is empty (0 bytes)",
    "text.jpg": "text.jpg is not a picture of a known kind",
    "folder.jpg": "folder.jpg is a folder",
    "half.jpg": "half.jpg ends too early",
    "dot.png": "dot.png is 1 x 1 pixels: each side needs at least 32",
    "strip.png": "strip.png is 20000 x 10 pixels: each side needs at least 32",
    "flat.png": "flat.png is 2000 x 100 pixels: with a long side of 256 its short side would have 13",
    "bomb.png": "bomb.png has more than 100,000,000 pixels",
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_pictures_that_are_none(refused, bad_pictures, monkeypatch, name):
    monkeypatch.setattr(cli, "start_engine", lambda: pytest.fail("the pictures come first"))
    roles = [(name, "wave.png"), ("my photo.jpg", name), ("my photo.jpg", "wave.png", name)]
    for pictures in roles[:1] if name == "flat.png" else roles:  # a painting may be as long and thin as a scroll
        assert f"nst: {BAD_PICTURES[name]}" in refused("paint", *pictures, "-o", "o.png")
    assert not Path("o.png").exists()


@pytest.mark.parametrize("name", ["text.jpg", "dot.png", "wav.png"])
def test_a_picture_to_start_from_that_is_none(refused, bad_pictures, name):
    assert BAD_PICTURES[name] in refused("paint", "my photo.jpg", "wave.png", "--init", name)


def test_weights_that_are_none(refused, here):
    with np.load(POCKET_FILE) as file:
        arrays = dict(file)
    Path("half.npz").write_bytes(POCKET_FILE.read_bytes()[:100000])
    arrays["block2_conv1/bias"] = arrays["block2_conv1/bias"] * np.nan
    np.savez("nan.npz", **arrays)
    np.savez("other.npz", **{"conv1/kernel": np.zeros((3, 3, 3, 64)), "conv1/bias": np.zeros(64)})
    paint = ("paint", "my photo.jpg", "wave.png", "--weights")
    assert "half.npz could not be read as weights of pocket" in refused(*paint, "half.npz")
    assert "nan.npz is damaged: block2_conv1/bias holds NaN" in refused(*paint, "nan.npz")
    assert "other.npz is not a file of pocket: its layers are conv1" in refused(*paint, "other.npz")
    assert f"{POCKET_FILE} is not a file of vgg16" in refused(*paint, POCKET_FILE, "--backbone", "vgg16")


def test_an_unknown_backbone_in_the_environment(refused, here, monkeypatch):
    monkeypatch.setenv("NST_BACKBONE", "vgg91")
    assert "unknown backbone 'vgg91': did you mean vgg19" in refused("paint", "my photo.jpg", "wave.png")


def test_a_read_only_folder(refused, here, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    message = refused("paint", "my photo.jpg", "wave.png", "-o", "o.png")
    assert message == f"nst: cannot write o.png: the folder {here} is read-only. Choose another.\n"


def test_a_full_disk_keeps_the_old_file_and_the_new_picture(refused, here, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("another disk")
    monkeypatch.setattr(files.tempfile, "tempdir", str(elsewhere))
    monkeypatch.setattr(terminal, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(files.os, "replace", full_disk(".png", folder=here))
    Path("o.png").write_bytes(Path("wave.png").read_bytes())
    message = refused("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert "cannot write o.png: No space left on device. Free some space" in message
    assert "and the checkpoint o.checkpoint.npz is kept" in message
    spare = Path(re.search(r"The picture is in (.*o\.png) instead", message)[1])
    assert spare.is_relative_to(elsewhere) and size_of(spare) == (32, 32)
    assert Path("o.png").read_bytes() == Path("wave.png").read_bytes()

    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert cli.main(["paint", "my photo.jpg", "wave.png", "-o", "o.png", "--resume", "o.checkpoint.npz"]) == 0
    assert Path("o.png").read_bytes() == spare.read_bytes()


def test_a_picture_for_which_there_is_room_nowhere(refused, here, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(here))
    monkeypatch.setenv("HOME", str(here / "nowhere"))
    monkeypatch.setattr(files.os, "replace", full_disk(".png"))
    message = refused("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert message.startswith("nst: cannot write o.png: No space left on device. Free some space")
    assert message.endswith(" The picture could not be kept.\n") and not list(here.glob("nst-*"))


def test_a_disk_that_is_full_on_the_way_does_not_end_the_painting(nst, here, monkeypatch):
    monkeypatch.setattr(terminal, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(files.os, "replace", full_disk(".npz"))
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert result.code == 0
    assert "nst: painting on, but cannot write o.checkpoint.npz: No space left on device" in result.err
    assert size_of("o.png") == (32, 32)


def test_a_stop_on_a_full_disk_still_saves_the_picture(nst, here, monkeypatch):
    monkeypatch.setattr(files.os, "replace", full_disk(".npz"))
    stop_after(monkeypatch, 1, signal.SIGINT)
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png")
    assert result.code == 2
    assert "cannot write o.checkpoint.npz: No space left on device" in result.err
    assert size_of("o.png") == (32, 32)


def test_a_report_that_finds_no_room(nst, here, monkeypatch):
    Path("r.json").write_text("old")
    monkeypatch.setattr(files.os, "replace", full_disk(".json"))
    result = nst("paint", "my photo.jpg", "wave.png", *QUICK, "-o", "o.png", "--json", "r.json")
    assert result.code == 2
    assert "cannot write r.json: No space left on device" in result.err
    assert size_of("o.png") == (32, 32) and Path("r.json").read_text() == "old"


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # of JAX, by the weight
def test_a_loss_that_is_no_number_leaves_the_old_picture(refused, here):
    before = shutil.copy("wave.png", "o.png")
    message = refused("paint", "my photo.jpg", "wave.png", *QUICK, "--style-weight", "1e38", "-o", "o.png")
    assert "the loss became" in message and "at step 1" in message
    assert Path(before).read_bytes() == Path("wave.png").read_bytes()


# The engine


@pytest.mark.parametrize("engine", ["numpy", "tensorfow"])
def test_an_engine_that_cannot_paint(here, engine):
    environment = os.environ | {"KERAS_BACKEND": engine}
    command = [sys.executable, "-m", "nst_lib", "paint", "my photo.jpg", "wave.png"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr == (
        f"nst: the engine '{engine}' (from KERAS_BACKEND or keras.json) cannot paint: choose another: "
        "KERAS_BACKEND=tensorflow or torch or jax.\n"
    )


def test_an_engine_that_is_not_installed(here):
    Path("hidden").mkdir()
    for package in ("tensorflow", "jax"):  # Keras looks for the first as torch is not there; PyTorch has no say here
        Path("hidden", f"{package}.py").write_text("raise ModuleNotFoundError('No module named here')")
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": "hidden"}
    command = [sys.executable, "-m", "nst_lib", "doctor"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    line = result.stdout.splitlines()[-1]
    assert line.startswith("FAIL engine          the engine jax cannot be imported (No module named")
    assert "Run `pip install jax`, or choose another: KERAS_BACKEND=" in line


def test_an_engine_from_kerass_own_settings(monkeypatch):
    start_engine()
    monkeypatch.setattr(sys.modules["keras"].backend, "backend", lambda: "openvino")
    with pytest.raises(
        SettingsError, match=r"the engine 'openvino' \(from KERAS_BACKEND or keras\.json\) cannot paint"
    ):
        start_engine()


# The other commands


def test_fetch_without_a_network_names_address_and_file(refused, tmp_path, monkeypatch):
    from nst_lib import weights

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "DOWNLOADS", {"vgg16": ("http://127.0.0.1:9/models/vgg16.h5", "0" * 32)})
    result = refused("fetch", "vgg16")
    assert "could not download vgg16" in result and "  http://127.0.0.1:9/models/vgg16.h5\n" in result
    assert str(tmp_path / "models" / "vgg16.h5") in result


def test_fetch_says_where_the_file_is(nst, monkeypatch):
    monkeypatch.setattr(cli, "fetch_weights", lambda network: Path("/somewhere", network))
    assert nst("fetch", "vgg19") == (0, f"vgg19: {Path('/somewhere/vgg19')}\n", "")


def test_fetch_of_what_there_is_not(refused):
    assert "nothing to fetch for 'pocket': choose from vgg16, vgg19 (pocket is built in)" in refused("fetch", "pocket")
    assert "nothing to fetch for 'vgg'" in refused("fetch", "vgg")


@pytest.mark.parametrize("network", ["pocket", "vgg16", "vgg19"])
def test_layers(nst, network):
    result = nst("layers", *[network] * (network != "pocket"))  # the default
    rows = [line.split() for line in result.out.splitlines() if line.startswith("block")]
    assert result.code == 0 and [row[0] for row in rows] == list(layer_shapes(network))
    assert max(map(len, result.out.splitlines())) <= 80
    told = {row[0]: row[1:] for row in rows}
    assert told["block1_conv1"][1:] == ["1", "3", "style"]
    assert told["block2_conv1"][1:3] == ["2", "10"]  # 5, one more by pooling, 4 more by the convolution
    assert told["block5_conv1"][1] == "16" and told["block4_conv2"][-1] == "content"


def test_layers_of_no_network(refused):
    assert "unknown backbone 'vgg20': did you mean vgg19 or vgg16" in refused("layers", "vgg20")


def test_doctor(nst, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    result = nst("doctor")
    lines = result.out.splitlines()
    assert result.code == 0, result.out
    assert all(re.match(r"(OK|--)  +\S", line) for line in lines)
    assert [line[5:21].strip() for line in lines] == [
        "Python", "free memory", "cores", "pocket VGG", "ONNX Runtime", "OpenVINO", "PyAV", "OpenCV", "styles", "VGG16",
        "VGG19", "engine", "GPU", "precision", "speed", "fast styles",
    ]  # fmt: skip
    assert lines[9] == "--   VGG16           not here; `nst fetch vgg16`"
    assert re.search(r"about \d+ s for a 256 px picture", lines[-2])
    assert re.search(r"\d+ ms for a frame", lines[-1])
    assert max(map(len, lines)) <= 80


def test_doctor_finds_faults(nst, monkeypatch, tmp_path):
    def no_engine():
        raise SettingsError("the engine is not there.")

    monkeypatch.setattr(doctor, "POCKET_FILE", tmp_path / "gone.npz")
    monkeypatch.setattr(doctor, "start_engine", no_engine)
    result = nst("doctor")
    assert result.code == 1
    assert re.search(r"^FAIL pocket VGG +there is no weights file .*gone\.npz", result.out, re.MULTILINE)
    assert result.out.endswith("FAIL engine          the engine is not there.\n")


def test_a_reader_that_goes_away(nst, monkeypatch):
    def broken(_):
        raise BrokenPipeError

    monkeypatch.setattr(cli, "layer_shapes", broken)
    monkeypatch.setattr(cli.os, "dup2", lambda *_: None)
    assert nst("layers").code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk, on Linux")
def test_output_to_a_full_disk():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "nst_lib", "layers"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "nst: the output cannot be written: No space left on device. Free some space.\n"


def test_a_texture_and_its_preview(nst, here):
    result = nst("texture", "wave.png", "--size", 128, "--steps", 2, "-o", "tile.png")
    assert result.code == 0 and re.search(r"painted at percentiles \d+ and \d+ of those within", result.out)
    assert Image.open("tile.png").size == (128, 128) and Image.open("tile_3x3.png").size == (384, 384)
    assert not Path("tile.checkpoint.npz").exists()


def test_a_seam_is_told_though_the_file_begins_elsewhere(nst, here, monkeypatch):
    start_engine()
    from nst_lib.painting import Painting

    slope = np.linspace(0, 1, 128, dtype="float32")[:, None, None] * np.ones((1, 128, 3), "float32")
    noisy = np.clip(slope + np.random.default_rng(0).normal(0, 0.01, slope.shape), 0, 1).astype("float32")
    monkeypatch.setattr(Painting, "picture", property(lambda _: noisy))
    out = nst("texture", "wave.png", "--size", 128, "--steps", 1, "-o", "tile.png").out
    assert re.search(r"painted at percentiles 100 and \d\d? of those within", out), out


def test_a_texture_with_edges_has_no_preview(nst, here):
    assert nst("texture", "wave.png", "--size", 128, "--steps", 1, "--no-tile", "-o", "cut.png").code == 0
    assert Path("cut.png").is_file() and not Path("cut_3x3.png").exists()


def test_a_texture_too_small_or_without_a_name(refused, here):
    assert "at least 128" in refused("texture", "wave.png", "--size", 64)
    assert ".png" in refused("texture", "wave.png", "-o", "tile.txt")


def test_score_says_what_its_numbers_mean(nst, here):
    result = nst("score", "my photo.jpg", "wave.png", "my photo.jpg")
    assert result.code == 0
    lines = {line.split()[0]: line for line in result.out.splitlines()}
    assert float(lines["content"].split()[1]) == 0 and float(lines["similarity"].split()[1]) == 1
    assert all(len(line) <= 120 and len(line.split()) > 4 for name, line in lines.items() if name != "judged")


def test_score_of_another_picture_is_refused(refused, here):
    Image.open("wave.png").resize((100, 40)).save("other.png")
    assert "not the same picture" in refused("score", "my photo.jpg", "wave.png", "other.png")
