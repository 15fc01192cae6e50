"""`nst fast`, `nst train`, `nst styles` and `nst export`, as a stranger uses them, and as one who wants to break them."""

import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from nst_lib import terminal
from nst_lib.engine import start_engine
from nst_lib.fast import fast_command, train_command
from nst_lib.fast.exporting import export_onnx
from nst_lib.fast.styles import StyleFile, load_style, shipped_styles, style_names
from nst_lib.fast.video import paint_video
from nst_lib.images import crop_to_fit, load_image, save_image

STYLE, OTHER = style_names()[:2]
posix = pytest.mark.skipif(os.name != "posix", reason="Unix signals")


@pytest.fixture
def refused(nst) -> Callable[..., str]:
    """Run a command that is a mistake of the user's, and return what it says; no file is made or changed by it."""

    def run(*arguments: object) -> str:
        before = files()
        code, out, err = nst(*arguments)
        assert code == 2 and out == "", (code, out, err)
        assert len(err.splitlines()) <= 4
        assert files() == before
        return err

    return run


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder to work in with a photograph, "my photo.jpg" of 64 x 43 pixels."""
    monkeypatch.chdir(tmp_path)
    thumbnail("moose.jpg", "my photo.jpg")
    return tmp_path


@pytest.fixture
def photos(here) -> Path:
    """A folder with three photographs."""
    Path("photos").mkdir()
    for name in ("astronaut.jpg", "coffee_cup.jpg", "lemurs.jpg"):
        thumbnail(name, f"photos/{name}")
    return Path("photos")


def thumbnail(name, target):
    with Image.open(ROOT / "data/content" / name) as image:
        image.thumbnail((64, 64))
        image.save(target, quality=95)


def files():
    return {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}


def read(path):
    return load_image(path, max_pixels=None)


def painted(photo="my photo.jpg", *style):
    """What the library makes of it, as far as a file can hold it."""
    return np.rint(load_style(*style or (STYLE,))(read(photo)) * 255) / 255


# Help


@pytest.mark.parametrize("command", ["fast", "train", "styles", "export"])
def test_every_help_says_what_the_command_does_in_80_columns(nst, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = nst(command, "--help")
    assert code == 0 and err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^(Repaint|Train|List|Write) ", out, re.MULTILINE)
    assert re.search(rf"^  +{command} ", nst("--help")[1], re.MULTILINE)


# A picture


def test_a_first_picture_with_the_default_name(nst, here):
    code, out, err = nst("fast", "my photo.jpg", "--style", STYLE)
    assert code == 0 and err == ""
    assert sorted(path.name for path in here.iterdir()) == ["my photo.jpg", f"my_photo_{STYLE}.png"]
    height, width = read("my photo.jpg").shape[:2]
    seconds = r"\d+\.\d\d s"
    assert re.fullmatch(
        rf"my_photo_{STYLE}\.png: {width} x {height}, painted in {seconds}; "
        rf"{seconds} to load the style, {seconds} in all\n",
        out,
    )
    np.testing.assert_allclose(read(f"my_photo_{STYLE}.png"), painted(), atol=1 / 255)
    assert np.abs(painted() - read("my photo.jpg")).mean() > 0.05


def test_size_is_the_long_side_and_the_old_file_is_replaced(nst, here):
    Path("o.JPG").write_bytes(b"old")
    assert nst("fast", "my photo.jpg", "--style", STYLE, "--size", 96, "-o", "o.JPG")[0] == 0
    with Image.open("o.JPG") as image:
        assert image.format == "JPEG" and max(image.size) == 96


def test_strength_0_is_the_photograph_and_half_is_half_way(nst, here):
    for strength in (0, 0.5):
        assert nst("fast", "my photo.jpg", "--style", STYLE, "--strength", strength, "-o", f"{strength}.png")[0] == 0
    photo = read("my photo.jpg")
    np.testing.assert_array_equal(read("0.png"), photo)
    np.testing.assert_allclose(read("0.5.png"), (photo + painted()) / 2, atol=2 / 255)


def test_shares_of_several_styles(nst, here):
    blend = ("fast", "my photo.jpg", "--style", STYLE, OTHER)
    assert nst(*blend, "--shares", 3, 1, "-o", "o.png")[0] == 0
    np.testing.assert_allclose(read("o.png"), painted("my photo.jpg", [STYLE, OTHER], [0.75, 0.25]), atol=1 / 255)
    assert nst(*blend, "--shares", 0, 1, "-o", "o.png")[0] == 0
    np.testing.assert_allclose(read("o.png"), painted("my photo.jpg", OTHER), atol=1 / 255)
    assert nst(*blend)[0] == 0 and Path(f"my_photo_{STYLE}_{OTHER}.png").is_file()


def test_the_engine_keras_paints_the_same(nst, here):
    assert nst("fast", "my photo.jpg", "--style", STYLE, "--engine", "keras", "-o", "o.png")[0] == 0
    np.testing.assert_allclose(read("o.png"), painted(), atol=2 / 255)


# A folder


def test_a_folder_is_painted_and_what_cannot_be_read_left_out(nst, photos):
    Path(photos, "broken.png").write_bytes(b"no picture")
    Path(photos, "notes.txt").write_text("no picture either")
    Path(photos, "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    Path(photos, "within.png").mkdir()
    save_image(np.zeros((40, 40, 3), "float32"), photos / "lemurs.png")
    with Image.open(photos / "lemurs.png") as image:
        image.save(photos / "lemurs.gif")
    code, out, err = nst("fast", photos, "--style", STYLE)
    assert code == 1
    assert re.fullmatch(rf"photos_{STYLE}: 5 of 7 pictures in \d+\.\d s\n", out)
    heic, broken = err.splitlines()
    assert heic == "nst: left out: photos/IMG_1.HEIC: HEIC cannot be read here: export it as JPEG."
    assert broken.startswith("nst: left out: photos/broken.png ")
    names = {"astronaut.jpg", "coffee_cup.jpg", "lemurs.jpg", "lemurs.png", "lemurs.gif.png"}
    assert {path.name for path in Path(f"photos_{STYLE}").iterdir()} == names
    assert np.abs(read(f"photos_{STYLE}/lemurs.jpg") - painted("photos/lemurs.jpg")).mean() < 0.02


def test_a_folder_into_a_new_folder_in_a_new_folder(nst, photos):
    code, out, err = nst("fast", photos, "--style", STYLE, "--size", 50, "-o", "new/er")
    assert code == 0 and err == "" and out.startswith("new/er: 3 pictures in ")
    assert [max(read(path).shape) for path in Path("new/er").iterdir()] == [50, 50, 50]


def test_a_result_is_named_after_what_was_given(nst, photos, monkeypatch):
    for folder in ("v.1", "v.2"):
        shutil.copytree(photos, folder)
        assert nst("fast", folder, "--style", STYLE)[1].startswith(f"{folder}_{STYLE}: 3 pictures in ")
    Path("link.jpg").symlink_to("my photo.jpg")
    assert nst("fast", "link.jpg", "--style", STYLE)[1].startswith(f"link_{STYLE}.png: ")
    monkeypatch.chdir("v.1")
    assert nst("fast", ".", "--style", STYLE)[1].startswith(f"v.1_{STYLE}: 3 pictures in ")


def test_no_two_files_of_a_folder_have_one_result(nst, here):
    Path("in").mkdir()
    for name in ("a.gif", "a.gif.png", "a.gif-2.png"):
        with Image.open("my photo.jpg") as image:
            image.save(f"in/{name}")
    for shard in ("1/3", "2/3", "3/3"):  # as if each knew of the others
        assert nst("fast", "in", "--style", STYLE, "-o", "out", "--shard", shard)[0] == 0
    assert {path.name for path in Path("out").iterdir()} == {"a.gif.png", "a.gif-2.png", "a.gif-3.png"}


def test_folders_that_cannot_be_painted(nst, refused, photos):
    command = ("fast", photos, "--style", STYLE)
    assert "cannot write into photos: it is the input" in refused(*command, "-o", "photos")
    assert "cannot write my photo.jpg: it is a file, and the input is a folder" in refused(
        *command, "-o", "my photo.jpg"
    )
    assert "cannot make the folder my photo.jpg/o: Not a directory" in refused(*command, "-o", "my photo.jpg/o")
    Path("empty").mkdir()
    assert "empty has no pictures" in refused("fast", "empty", "--style", STYLE)
    for path in photos.iterdir():
        path.write_bytes(b"no picture")
    code, _, err = nst(*command)
    assert code == 2 and err.endswith("nst: none of the 3 pictures in photos could be painted.\n")
    assert not list(Path(f"photos_{STYLE}").iterdir())


def test_what_films_need_is_asked_for_before_the_first_picture(refused, photos, monkeypatch):
    Path(photos, "zoo.mp4").write_bytes(b"a film")
    monkeypatch.setitem(sys.modules, "av", None)
    assert "films need the package av: pip install av" in refused("fast", photos, "--style", STYLE, "-o", "o")
    assert not Path("o").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("texture", "my photo.jpg", "-o", "my photo.jpg"),
        ("styles", "--on", "my photo.jpg", "-o", "my photo.jpg"),
        ("train", "my photo.jpg", "--photos", "photos", "--from", "mine.npz", "-o", "mine.npz"),
        ("train", "my photo.jpg", "--photos", "photos", "--weights", "mine.npz", "-o", "mine.npz"),
    ],
)
def test_no_command_overwrites_what_it_reads(refused, photos, command):
    assert "it is another of this command's files" in refused(*command)


def test_ctrl_c_in_a_folder_ends_after_the_picture(nst, photos, monkeypatch):
    def impatient(*arguments):
        signal.raise_signal(signal.SIGINT)
        return save_image(*arguments)

    monkeypatch.setattr(fast_command, "save_image", impatient)
    code, out, err = nst("fast", photos, "--style", STYLE, "-o", "o")
    assert code == 130 and out.startswith("o: 1 of 3 pictures") and "stopping after this file" in err
    assert [path.name for path in Path("o").iterdir()] == ["astronaut.jpg"]


def test_the_shards_of_a_folder_are_all_of_it_once(nst, photos):
    painted = []
    for shard in ("1/2", "2/2"):
        code, out, err = nst("fast", photos, "--style", STYLE, "-o", shard[0], "--shard", shard)
        assert code == 0 and err == "" and out.endswith(f" (share {shard[0]} of 2)\n")
        painted.append(sorted(path.name for path in Path(shard[0]).iterdir()))
    assert painted == [["astronaut.jpg", "lemurs.jpg"], ["coffee_cup.jpg"]]


def test_a_job_array_may_be_longer_than_the_folder(nst, photos):
    code, out, err = nst("fast", photos, "--style", STYLE, "-o", "o", "--shard", "4/4")
    assert (code, err) == (0, "") and out == "o: nothing to do for share 4 of 4: photos has 3 pictures\n"
    assert not Path("o").exists()


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--style {STYLE} --shard 1/2", "--shard is for folders, and my photo.jpg is none"),
        *((f"--style {{STYLE}} --shard {bad}", f"'{bad}' is not I/N") for bad in ("0/2", "3/2", "1", "1/0", "a/b")),
        ("--style {wrong}", "unknown style '{wrong}': did you mean {STYLE}"),
        ("--style {STYLE} {OTHER} --shares 1", "2 styles and 1 shares: give a share for each style"),
        ("--style {STYLE} --shares .5 .5", "1 styles and 2 shares"),
        ("--style {STYLE} {OTHER} --shares 1 -1", "the share of {OTHER} is -1.0"),
        ("--style {STYLE} {OTHER} --shares 0 0", "sum to 0: give at least one above 0"),
        ("--style {STYLE} {OTHER} --shares nan 1", "the share of {STYLE} is nan"),
        ("--style {STYLE} --shares much", "argument --shares: invalid float value: 'much'"),
        ("--style {STYLE} --strength 1.5", "strength is 1.5"),
        ("--style {STYLE} --strength -1", "strength is -1.0"),
        ("--style {STYLE} --size 31", "a side of 31 pixels"),
        ("--style {STYLE} --engine pen", "argument --engine: invalid choice: 'pen'"),
        ("--style {STYLE} --max-pixels 1000", "my photo.jpg has more than 1,000 pixels"),
        ("--style {STYLE} -o o.gif", "cannot write o.gif: a picture's name ends in one of .png"),
        ("--style {STYLE} -o o.mp4", "cannot write o.mp4: a picture's name ends in one of .png"),
        ("--style {STYLE} -o nowhere/o.png", "nowhere does not exist. Make it first"),
        ("--style {STYLE} -o folder.png", "cannot write folder.png: it is a folder"),
        ("--style {STYLE} -o ./folder.png/../my&photo.jpg", "another of this command's files"),
        ("--style nowhere.npz", "there is no style file nowhere.npz"),
        ("--style my&photo.jpg", "`nst paint PHOTOGRAPH 'my photo.jpg'` paints in its manner without any"),
        ("--style damaged.npz", "damaged.npz is not a style file, or is damaged"),
        ("--style two.npz", "two.npz has 2 styles: give one of them, as two.npz:"),
        ("--style two.npz:three", "unknown style of two.npz 'three'"),
        ("", "the following arguments are required: --style"),
        ("--colour blue --style {STYLE}", "unrecognized arguments: --colour blue"),
    ],
)
def test_settings_that_make_no_picture(refused, here, options, message):
    words = {"STYLE": STYLE, "OTHER": OTHER, "wrong": STYLE[:-1] + "x"}
    Path("folder.png").mkdir()
    some_of_the_shipped(STYLE, OTHER).save("two.npz")
    content = Path("two.npz").read_bytes()
    Path("damaged.npz").write_bytes(content[: len(content) // 2])
    command = [word.replace("&", " ") for word in options.format(**words).split()]
    assert message.format(**words) in refused("fast", "my photo.jpg", *command)


def some_of_the_shipped(*names):
    shipped = shipped_styles()
    return StyleFile(
        shipped.weights, {n: shipped.styles[n] for n in names}, {n: shipped.thumbnails[n] for n in names}, {}
    )


def test_inputs_that_are_no_pictures(refused, here):
    Path("text.png").write_text("no picture")
    assert "nowhere.png does not exist" in refused("fast", "nowhere.png", "--style", STYLE)
    assert "text.png" in refused("fast", "text.png", "--style", STYLE)
    message = refused("fast", "--style", STYLE, "my photo.jpg")
    assert "the following arguments are required: INPUT. Put it before --style, which takes all that follows" in message


def test_films_need_pyav(refused, here, monkeypatch):
    Path("film.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    assert "films need the package av: pip install av" in refused("fast", "film.mp4", "--style", STYLE)


# Films; test_fast_video.py has the rest


@pytest.fixture
def film(here) -> Path:
    """40 frames of 64 x 48 in 4 seconds, "my film.mkv"."""
    av = pytest.importorskip("av", reason="films need PyAV: pip install av")
    random = np.random.default_rng(0)
    with av.open("my film.mkv", "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for i in range(40):
            frame = av.VideoFrame.from_ndarray(random.integers(0, 256, (48, 64, 3), dtype="uint8"), format="rgb24")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Path("my film.mkv")


def test_a_film_with_the_default_name(nst, film):
    pytest.importorskip("cv2", reason="steady films need OpenCV: pip install opencv-python-headless")
    code, out, err = nst("fast", film, "--style", STYLE)
    assert code == 0 and err == ""
    seconds = r"\d+\.\d s \(\d+\.\d frames a second\)"
    assert re.fullmatch(rf"my_film_{STYLE}\.mkv: 64 x 48, 40 frames, no sound, {seconds}\n", out)
    assert Path(f"my_film_{STYLE}.mkv").is_file()


def test_a_film_that_breaks_off_is_painted_so_far_and_said(nst, film):
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    code, out, err = nst("fast", film, "--style", STYLE, "--size", 43, "--steady", 0, "-o", "o.mp4")
    frames = re.match(r"o\.mp4: 44 x 32, (\d+) frames", out)[1]
    assert code == 0 and 10 < int(frames) < 30
    assert re.fullmatch(rf"nst: my film\.mkv: it breaks off after frame {frames}: \d\.\d of 4\.0 s are there\.\n", err)


def test_films_and_pictures_in_a_folder(nst, film, monkeypatch):
    Path("in").mkdir()
    film.rename("in/film.mkv")
    shutil.copy("in/film.mkv", "in/old.avi")
    Path("in/cut.mp4").write_bytes(b"no film")
    shutil.copy("my photo.jpg", "in")
    loaded, load = [], fast_command.load_style
    monkeypatch.setattr(
        fast_command, "load_style", lambda *given, frames: loaded.append(frames) or load(*given, frames=frames)
    )
    code, out, err = nst("fast", "in", "--style", STYLE, "--size", 48, "--steady", 0, "-o", "out")
    assert code == 1 and out.startswith("out: 3 of 4 pictures and films in ")
    assert err.startswith("nst: left out: in/cut.mp4 cannot be read") and len(err.splitlines()) == 1
    assert {path.name for path in Path("out").iterdir()} == {"film.mkv", "old.avi.mp4", "my photo.jpg"}
    assert loaded == [False, True]  # films by the engine that is quickest with many frames of one size


def test_ctrl_c_within_a_film_of_a_folder_leaves_none_of_it(nst, film, monkeypatch):
    Path("in").mkdir()
    film.rename("in/film.mkv")
    Path("out").mkdir()
    Path("out/film.mkv").write_text("of an earlier run")

    def impatient(*arguments, on_frame, **settings):
        def after_a_frame(frame, frames):
            signal.raise_signal(signal.SIGINT)
            on_frame(frame, frames)

        return paint_video(*arguments, on_frame=after_a_frame, **settings)

    monkeypatch.setattr(fast_command, "paint_video", impatient)
    code, out, err = nst("fast", "in", "--style", STYLE, "--steady", 0, "-o", "out")
    assert code == 130 and out.startswith("out: 0 of 1 film in ") and "stopping after this file" in err
    assert [path.read_text() for path in Path("out").iterdir()] == ["of an earlier run"]


def test_films_that_cannot_be_painted(refused, film):
    command = ("fast", film, "--style", STYLE)
    assert "cannot write o.png: a film's name ends in one of .mp4" in refused(*command, "-o", "o.png")
    assert "another of this command's files" in refused(*command, "-o", film)
    assert "nowhere does not exist" in refused(*command, "-o", "nowhere/o.mp4")
    assert "--max-pixels is for pictures, and my film.mkv is a film" in refused(*command, "--max-pixels", 100)
    assert "steady is 2.0" in refused(*command, "--steady", 2)
    assert "strength is 2.0" in refused(*command, "--strength", 2)
    assert "gone.mp4 does not exist" in refused("fast", "gone.mp4", "--style", STYLE)
    film.write_text("no film")
    assert "my film.mkv cannot be read" in refused(*command)


# Without an engine


def test_fast_runs_without_any_engine(here):
    pytest.importorskip("onnxruntime", reason="without an engine, ONNX Runtime is needed: pip install onnxruntime")
    script = (
        "import runpy, sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('keras', 'tensorflow', 'torch', 'jax'):\n"
        "            raise ImportError(f'{name} is forbidden')\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "runpy.run_module('nst_lib', run_name='__main__')"
    )
    command = [sys.executable, "-c", script, "fast", "my photo.jpg", "--style", STYLE, "-o", "o.png"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    np.testing.assert_allclose(read("o.png"), painted(), atol=1 / 255)
    result = subprocess.run([*command, "--engine", "keras"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "is forbidden" in result.stderr and "Traceback" not in result.stderr
    if importlib.util.find_spec("onnx"):  # an exported style, too
        export_onnx(load_style(STYLE), "exported.onnx")
        command[command.index(STYLE)] = "exported.onnx"
        Path("o.png").unlink()
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")
        np.testing.assert_allclose(read("o.png"), painted(), atol=1 / 255)


# Styles


def test_the_shipped_styles_are_listed(nst, here):
    code, out, err = nst("styles")
    assert code == 0 and err == ""
    assert len(out.splitlines()) >= 8 and sorted(out.splitlines()) == style_names()


def test_the_styles_of_a_file_are_listed_and_drawn_on_a_sheet(nst, here):
    some_of_the_shipped(STYLE, OTHER).save("two.npz")
    code, out, err = nst("styles", "two.npz", "-o", "sheet.png")
    assert (code, out, err) == (0, f"{STYLE}\n{OTHER}\n\nsheet.png: the paintings\n", "")
    sheet = read("sheet.png")
    assert sheet.shape == (148, 256, 3)
    for column, name in enumerate((STYLE, OTHER)):
        drawn = sheet[:, 128 * column : 128 * (column + 1)]
        thumbnail = shipped_styles().thumbnails[name] / 255
        assert drawn[20:].mean((0, 1)) == pytest.approx(thumbnail.mean((0, 1)), abs=0.02)
        assert drawn[:20].min() < 0.5  # a name


def test_a_sheet_shows_pictures_in_each_style(nst, here):
    some_of_the_shipped(STYLE, OTHER).save("two.npz")
    code, out, err = nst("styles", "two.npz", "--on", "my photo.jpg", "my photo.jpg", "-o", "sheet.png")
    assert code == 0 and err == "" and out.endswith("sheet.png: the paintings, and the pictures in each style\n")
    sheet, photo = read("sheet.png"), load_image("my photo.jpg", 256)
    assert sheet.shape == (20 + 3 * 128, 3 * 128, 3)
    for column, picture in enumerate((photo, load_style(STYLE)(photo), load_style(OTHER)(photo))):
        tile = sheet[20 + 128 : 20 + 256, 128 * column : 128 * (column + 1)]
        np.testing.assert_allclose(tile, crop_to_fit(picture, 128, 128), atol=1 / 255)
    np.testing.assert_array_equal(sheet[148:276], sheet[276:])


def test_a_terminal_with_colours_shows_a_piece_of_each_painting(nst, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = nst("styles")[1]
    assert out.count("\u2580") == 24 * 12 * len(style_names())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in nst("styles")[1]


def test_a_picture_in_text_has_two_rows_to_a_line():
    pixels = np.arange(24, dtype="uint8").reshape(4, 2, 3)
    assert terminal.picture_in_text(pixels) == (
        "\x1b[38;2;0;1;2m\x1b[48;2;6;7;8m\u2580\x1b[38;2;3;4;5m\x1b[48;2;9;10;11m\u2580\x1b[0m\n"
        "\x1b[38;2;12;13;14m\x1b[48;2;18;19;20m\u2580\x1b[38;2;15;16;17m\x1b[48;2;21;22;23m\u2580\x1b[0m"
    )


def test_styles_that_cannot_be_listed(refused, here):
    assert "there is no style file nowhere.npz" in refused("styles", "nowhere.npz")
    assert "my photo.jpg is not a style file" in refused("styles", "my photo.jpg")
    assert "cannot write o.txt: a picture's name ends in" in refused("styles", "-o", "o.txt")
    assert "nowhere does not exist" in refused("styles", "-o", "nowhere/o.png")
    assert "give its file with -o" in refused("styles", "--on", "my photo.jpg")
    assert "gone.jpg does not exist" in refused("styles", "--on", "gone.jpg", "-o", "o.png")
    Path("nothing").mkdir()
    assert "nothing has no style files" in refused("styles", "nothing")


# Export


@pytest.fixture
def onnx():
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"an exported style needs {package}: pip install {package}")


def test_an_exported_style_paints_the_same(nst, here, onnx):
    code, out, err = nst("export", STYLE)
    assert code == 0 and err == ""
    assert re.fullmatch(rf"{STYLE}\.onnx: [\d,]+ bytes. Try: nst fast PICTURE --style {STYLE}\.onnx\n", out)
    assert nst("fast", "my photo.jpg", "--style", f"{STYLE}.onnx", "-o", "o.png")[0] == 0
    np.testing.assert_allclose(read("o.png"), painted(), atol=1 / 255)


def test_an_exported_blend_paints_the_same(nst, here, onnx):
    assert nst("export", STYLE, OTHER, "--shares", 1, 3, "-o", "blend.onnx")[0] == 0
    assert nst("fast", "my photo.jpg", "--style", "blend.onnx")[0] == 0
    blend = painted("my photo.jpg", [STYLE, OTHER], [1, 3])
    np.testing.assert_allclose(read(f"my_photo_{STYLE}_and_{OTHER}.png"), blend, atol=1 / 255)


def test_a_folder_of_exported_styles_is_listed_and_painted_in(nst, here, onnx):
    Path("exported").mkdir()
    for name in (STYLE, OTHER):
        assert nst("export", name, "-o", f"exported/{name}.onnx")[0] == 0
    assert nst("styles", "exported")[:2] == (0, "".join(f"{name}\n" for name in sorted((STYLE, OTHER))))
    assert nst("styles", "exported", "--on", "my photo.jpg", "-o", "sheet.png")[0] == 0
    assert read("sheet.png").shape == (2 * 128 + 20, 3 * 128, 3)


def test_exports_that_cannot_be(nst, refused, here, onnx):
    assert "cannot write o.npz: an ONNX file's name ends in .onnx" in refused("export", STYLE, "-o", "o.npz")
    assert "nowhere does not exist" in refused("export", STYLE, "-o", "nowhere/o.onnx")
    assert "unknown style" in refused("export", "monet")
    assert nst("export", STYLE, "-o", "o.onnx")[0] == 0
    assert "is -3.0: give a number of at least 0" in refused(
        "fast", "my photo.jpg", "--style", "o.onnx", "--shares", -3
    )
    assert "copy that" in refused("export", "o.onnx", "-o", "p.onnx")
    Path("o.onnx").write_bytes(Path("o.onnx").read_bytes()[:1000])
    assert "o.onnx is not a style that `nst export` wrote" in refused("fast", "my photo.jpg", "--style", "o.onnx")
    assert "can only be run by ONNX Runtime" in refused(
        "fast", "my photo.jpg", "--style", "o.onnx", "--engine", "keras"
    )


def test_export_without_onnx(refused, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "exporting needs the package onnx: pip install onnx" in refused("export", STYLE)


# Training


@pytest.fixture
def wave(photos) -> Path:
    """A painting in 64 px, "a wave.jpg"."""
    with Image.open(ROOT / "data/style/hokusai_great_wave.jpg") as image:
        image.thumbnail((64, 64))
        image.save("a wave.jpg")
    return Path("a wave.jpg")


def short_epochs(monkeypatch):
    start_engine()
    from nst_lib.fast import training

    monkeypatch.setattr(training, "EPOCH", 2)
    monkeypatch.setattr(training, "EPOCH_ON_GPU", 2)


def test_help_knows_how_long_an_epoch_is(nst):
    start_engine()
    from nst_lib.fast.training import EPOCH, EPOCH_ON_GPU

    assert f"whole epochs: of {EPOCH}, or {EPOCH_ON_GPU} on a GPU" in " ".join(nst("train", "--help").out.split())


@pytest.mark.slow
def test_training_ends_in_a_style_that_paints(nst, wave, monkeypatch):
    short_epochs(monkeypatch)
    code, out, err = nst("train", wave, "--photos", "photos", "--steps", 2, "--batch", 2)
    assert code == 0 and err == ""
    assert re.fullmatch(
        r"1 style, on photos\na wave\.npz: a wave; 4 pictures in \d+ s\. "
        r"Samples are in a wave\.samples\.png\. Try: nst fast PICTURE --style 'a wave\.npz'\n",
        out,
    )
    assert {path.name for path in Path().iterdir()} == {
        "my photo.jpg", "photos", "a wave.jpg", "a wave.npz", "a wave.samples.png",
    }  # fmt: skip
    assert min(read("a wave.samples.png").shape[:2]) >= 64
    assert nst("styles", "a wave.npz")[1] == "a wave\n"
    assert nst("fast", "my photo.jpg", "--style", "a wave.npz")[0] == 0
    assert read("my_photo_a_wave.png").shape == read("my photo.jpg").shape


@pytest.mark.skipif(sys.platform != "linux", reason="where names are bytes")
def test_a_name_that_is_no_utf_8_does_not_cost_the_training(nst, wave, monkeypatch):
    short_epochs(monkeypatch)
    monkeypatch.setattr("nst_lib.fast.training._fit", lambda *given: setattr(given[-1][0].budget, "epochs", 1))
    os.rename(wave, b"caf\xe9.jpg")
    code, out, _ = nst("train", "caf\udce9.jpg", "--photos", "photos", "--vector-only", "--steps", 2, "--batch", 1)
    assert code == 0 and r"caf\udce9.npz: caf\udce9; 2 pictures in" in out
    assert list(StyleFile.load(os.fsdecode(b"caf\xe9.npz")).styles) == [r"caf\udce9"]


@pytest.mark.slow
@posix
def test_a_training_stopped_by_ctrl_c_is_resumed_to_its_end(nst, wave, formula):
    """The process is another, and trains in earnest; the rest of the training, here, is a formula."""
    script = (
        "import sys; from nst_lib import cli, engine; engine.start_engine()\n"
        "from nst_lib.fast import training\n"
        "training.EPOCH = training.EPOCH_ON_GPU = 2\n"
        "original = training.Run.on_epoch_begin\n"
        "def told(self, epoch, logs=None): print('epoch', epoch, flush=True); original(self, epoch, logs)\n"
        "training.Run.on_epoch_begin = told\n"
        "sys.exit(cli.main())"
    )
    settings = ("train", str(wave), "--photos", "photos", "--vector-only", "--steps", "6", "--batch", "1")
    process = subprocess.Popen(
        [sys.executable, "-c", script, *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert [process.stdout.readline() for _ in range(2)] == ["1 style, on photos\n", "epoch 0\n"]
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err
    assert "nst: stopping after this epoch" in err and "nst: stopped. Go on with\n" in err
    assert Path("a wave.training.npz").is_file() and not Path("a wave.npz").exists()

    command = shlex.split(err.splitlines()[-1])
    assert command == ["nst", "train", "--resume", *settings[1:]]
    code, out, err = nst(*command[1:])
    assert code == 0 and err == "" and "a wave.npz: a wave; 6 pictures in " in out
    assert not Path("a wave.training.npz").exists()
    assert list(StyleFile.load("a wave.npz").styles) == ["a wave"]


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_what_goes_on_is_the_command_that_was_stopped_also_from_python(nst, wave, monkeypatch, resume):
    start_engine()
    monkeypatch.setattr("nst_lib.fast.training.train", lambda *_, **__: None)
    code, _, err = nst("train", *resume, "--photos", "photos", "--", "a wave.jpg")
    assert code == 143 and err.endswith("\n  nst train --resume --photos photos -- 'a wave.jpg'\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--photos nowhere", "nowhere is not a folder. Give one with photographs in it"),
        ("--photos wave.jpg", "wave.jpg is not a folder"),
        ("--photos empty", "empty has no pictures"),
        ("--photos broken", "none of the 1 pictures in broken can be read"),
        ("--photos photos --steps 0", "steps is 0"),
        ("--photos photos --batch 0", "batch is 0"),
        ("--photos photos --minutes 0", "minutes is 0.0"),
        ("--photos photos --learning-rate nan", "learning rate is nan"),
        ("--photos photos --from nothing --vector-only", "set out from: give one with --from"),
        ("--photos photos --resume --steps 2", "wave.training.npz"),
    ],
)
def test_trainings_that_cannot_begin(nst, wave, options, message):
    wave.rename("wave.jpg")
    for name in ("empty", "broken"):
        Path(name).mkdir()
    Path("broken/photo.jpg").write_text("no picture")
    before = files()
    code, _, err = nst("train", "wave.jpg", *options.split())
    assert code == 2 and message in err and len(err.splitlines()) == 1
    assert files() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("wave.jpg", "the following arguments are required: --photos"),
        ("--photos photos", "the following arguments are required: STYLE"),
        ("wave.jpg other/wave.jpg --photos photos", "wave, wave are not all different"),
        ("wave.jpg --photos photos -o o.h5", "cannot write o.h5: a style file's name ends in .npz"),
        ("wave.jpg --photos photos -o nowhere/o.npz", "nowhere does not exist. Make it first"),
        ("nowhere.jpg --photos photos", "nowhere.jpg does not exist"),
        ("wave.jpg --photos photos --from nowhere.npz", "there is no style file nowhere.npz"),
        ("wave.jpg --photos photos --steps 2 --minutes 1", "not allowed with argument"),
        ("wave.jpg --photos photos --steps few", "argument --steps: invalid int value: 'few'"),
        ("wave.jpg --photos photos --backbone vgg18", "argument --backbone: invalid choice: 'vgg18'"),
    ],
)
def test_mistakes_that_are_told_before_the_engine_is_started(refused, wave, monkeypatch, arguments, message):
    monkeypatch.setattr(train_command, "start_engine", lambda: pytest.fail("the engine was started"))
    wave.rename("wave.jpg")
    Path("other").mkdir()
    shutil.copy("wave.jpg", "other")
    assert message in refused("train", *arguments.split())
