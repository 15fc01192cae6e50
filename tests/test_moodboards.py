"""Mood boards: pictures of any shape in rows that fill a page, and the colours one would name."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nst_lib import moodboards
from nst_lib.color import to_oklab
from nst_lib.errors import PictureError, SettingsError
from nst_lib.images import load_image, resize, save_image
from nst_lib.moodboards import board_paths, hex_code, load_for_board, moodboard, palette

REFERENCE = Path(__file__).parent / "data" / "moodboard.png"


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib", reason="mood boards come with the extra course")


def flat(*color, height=60, width=80):
    return np.full((height, width, 3), color, "float32")


def gradients(count):
    """Pictures of many shapes and colours."""
    random = np.random.default_rng(0)
    shapes = [(40, 60), (60, 40), (40, 40), (36, 320), (320, 36)]
    pictures = []
    for i in range(count):
        height, width = shapes[i % len(shapes)]
        slope = np.linspace(0, 1, height * width).reshape(height, width, 1)
        pictures.append((slope * random.random(3) + (1 - slope) * random.random(3)).astype("float32"))
    return pictures


# Palettes


def test_a_palette_has_the_colours_of_the_picture():
    colors = np.array([[0.1, 0.1, 0.12], [0.8, 0.1, 0.1], [0.1, 0.5, 0.2], [0.9, 0.85, 0.3]], "float32")
    stripes = np.repeat(colors, [60, 20, 15, 5], axis=0)[None].repeat(50, axis=0)
    noisy = np.clip(stripes + np.random.default_rng(0).normal(0, 0.01, stripes.shape), 0, 1).astype("float32")
    found = palette(noisy, 4)
    assert np.abs(found - colors[np.argsort(to_oklab(colors[None])[0, :, 0])]).max() < 0.03


def test_palettes_are_dark_to_light_and_the_same_every_time(pair):
    first, again = palette(pair[1], 6), palette(pair[1].copy(), 6)
    np.testing.assert_array_equal(first, again)
    assert (np.diff(to_oklab(first[None])[0, :, 0]) > 0).all()
    assert first.shape == (6, 3) and first.min() >= 0 and first.max() <= 1


def test_the_common_palette_has_the_colours_of_every_picture(matplotlib, tmp_path, monkeypatch):
    hues = [(0, 0, 0), (0.8, 0, 0), (0, 0.6, 0), (0, 0, 0.8), (0.95, 0.9, 0.8)]
    picture = np.concatenate([flat(*hue, height=40, width=12) for hue in hues], axis=1)
    drawn, draw = [], moodboards._draw_palette
    monkeypatch.setattr(
        moodboards, "_draw_palette", lambda axes, colors, *rest: drawn.append(colors) or draw(axes, colors, *rest)
    )
    moodboard([picture] * 80, tmp_path / "board.png")
    for hue in hues:
        assert np.abs(drawn[0] - hue).max(axis=1).min() < 0.05, hue


def test_a_small_bright_spot_is_in_the_palette():
    grey = flat(0.5, 0.5, 0.5, height=100, width=100) + np.linspace(-0.4, 0.4, 100, dtype="float32")[:, None]
    grey[40:50, 40:60] = (0.9, 0.3, 0.05)
    assert np.abs(palette(grey) - (0.9, 0.3, 0.05)).max(axis=1).min() < 0.05


def test_a_picture_of_one_colour_has_a_palette_of_one():
    assert [hex_code(color) for color in palette(flat(1, 0, 0))] == ["#FF0000"]
    assert hex_code(np.array([0.0588, 0.298, 0.506])) == "#0F4C81"


# The layout


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40, 100])
def test_pictures_keep_their_shape_and_none_overlap(count):
    aspects = [picture.shape[1] / picture.shape[0] for picture in gradients(count)]
    boxes = moodboards._layout(aspects, 269, 140, 5, 3, None)
    for aspect, (x, y, card, w, h) in zip(aspects, boxes, strict=True):
        assert w / h == pytest.approx(aspect) and w <= card * 1.001
        assert x > -0.01 and x + card < 269.01 and y >= 0 and y + h + 5 < 140.01
    for (x, y, card, _, h), (x2, y2, _, _, h2) in pairwise(boxes):
        assert (y2 == y and h2 == h and x2 >= x + card + 2.99) or y2 >= y + h + 5


def test_rows_of_photographs_fill_the_width():
    boxes = moodboards._layout([1.5, 1.33, 0.75, 1.5, 1.5, 0.66, 1, 1.78, 1.5, 1.25, 0.8, 1.5], 269, 140, 8, 5, None)
    assert min(x for x, *_ in boxes) < 1 and max(x + card for x, _, card, _, _ in boxes) > 268
    assert max(y + h for _, y, _, _, h in boxes) > 0.55 * 132


@pytest.mark.parametrize("aspect", [1 / 40, 1 / 8, 1, 8, 40])
def test_one_picture_is_as_large_as_the_page_lets_it(aspect):
    ((_, _, _, w, h),) = moodboards._layout([aspect], 269, 140, 0, 5, None)
    assert w == pytest.approx(269, rel=1e-3) or h == pytest.approx(140, rel=1e-3)


def test_columns_are_as_asked_for():
    boxes = moodboards._layout([1.5] * 7, 269, 140, 8, 5, 3)
    tops = [y for _, y, _, _, _ in boxes]
    assert [tops.count(top) for top in sorted(set(tops))] == [3, 3, 1]
    with pytest.raises(SettingsError, match="more columns"):
        moodboards._layout([1.5] * 40, 269, 140, 8, 5, 1)


# The board


def test_a_board_is_a_png_and_a_pdf_with_text(matplotlib, tmp_path):
    png, pdf = moodboard(gradients(3), tmp_path / "board.pdf", title="Ein $chönes Brett")
    assert (png, pdf) == board_paths(tmp_path / "board.png")
    assert load_image(png).shape == (1653, 2338, 3)
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF") and b"/FontFile2" in content and b"CreationDate" not in content


def test_the_same_pictures_give_the_same_bytes(matplotlib, tmp_path):
    first = [path.read_bytes() for path in moodboard(gradients(2), tmp_path / "a.png", title="T")]
    assert first == [path.read_bytes() for path in moodboard(gradients(2), tmp_path / "b.png", title="T")]


def test_the_name_that_was_given_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert board_paths("MB.PNG") == (Path("MB.PNG"), Path("MB.pdf"))
    assert board_paths("MB.Pdf") == (Path("MB.png"), Path("MB.Pdf"))
    Path("MB.pdf").write_text("a stranger's")
    assert board_paths("MB.png") == (Path("MB.png"), Path("MB-2.pdf"))


def board_of(pair, folder):
    """A small copy of a board of five pictures."""
    pictures = [*pair, *gradients(5)[2:]]
    return resize(load_image(moodboard(pictures, Path(folder) / "board.png", title="A board")[0]), 160)


def test_a_board_looks_as_it_did(matplotlib, tmp_path, pair):
    """Against the stored one; made again by `python tests/test_moodboards.py`, with a look at what changed."""
    board = board_of(pair, tmp_path)
    reference = load_image(REFERENCE)
    assert board.shape == reference.shape
    assert np.abs(board - reference).mean() < 0.01
    assert np.abs(np.roll(board, 3, axis=1) - reference).mean() > 0.02  # what the distance would notice


@pytest.mark.parametrize("title", ["", "x" * 300, "two\nlines", "$\\frac{1}$ & 日本", "Caf\udce9"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_any_title_stays_on_the_page(matplotlib, tmp_path, title):
    png, _ = moodboard(gradients(2), tmp_path / "board.png", title=title)
    assert load_image(png)[:, -100:].min() > 0.99


def test_a_font_by_name(matplotlib, tmp_path):
    moodboard(gradients(1), tmp_path / "board.png", title="T", font="dejavu serif")
    assert b"DejaVuSerif" in (tmp_path / "board.pdf").read_bytes()


def test_mistakes_are_named(matplotlib, tmp_path, monkeypatch):
    board = tmp_path / "board.png"
    with pytest.raises(SettingsError, match="0 pictures"):
        moodboard([], board)
    with pytest.raises(SettingsError, match="101 pictures"):
        moodboard([flat(1, 0, 0)] * 101, board)
    with pytest.raises(PictureError, match="expected floats"):
        moodboard([np.zeros((60, 60), "uint8")], board)
    with pytest.raises(SettingsError, match="columns is 0"):
        moodboard([flat(1, 0, 0)], board, columns=0)
    with pytest.raises(SettingsError, match=r"unknown font 'DejaVu Snas'.*Did you mean DejaVu Sans"):
        moodboard([flat(1, 0, 0)], board, font="DejaVu Snas")
    with pytest.raises(SettingsError, match=r"ends in \.png or \.pdf"):
        moodboard([flat(1, 0, 0)], tmp_path / "board.jpg")
    with pytest.raises(SettingsError, match="folder .* does not exist"):
        moodboard([flat(1, 0, 0)], tmp_path / "nowhere" / "board.png")
    monkeypatch.setattr("matplotlib.font_manager.get_font_names", list)
    with pytest.raises(SettingsError, match="fonts missing"):
        moodboard([flat(1, 0, 0)], board)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match=r'pip install "nst_lib\[course\]"'):
        moodboard([flat(1, 0, 0)], tmp_path / "board.png")


# The command line


def test_a_folder_and_a_picture_on_the_command_line(matplotlib, nst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for i, picture in enumerate(gradients(3)):
        save_image(picture, f"folder/{i}.png")
    Path("folder/notes.txt").write_text("no picture")
    Path("folder/board.pdf").write_bytes(b"%PDF-1.4")  # as this command itself makes
    save_image(flat(0.2, 0.4, 0.6), "one.png")
    result = nst("moodboard", "folder", "one.png", "--title", "T", "-o", "board.pdf")
    assert result.code == 0 and result.out == "board.png and board.pdf: 4 pictures, with their colours\n"
    assert Path("board.png").is_file() and Path("board.pdf").is_file()


def test_what_cannot_be_read_in_a_folder_is_left_out(matplotlib, nst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("folder/bad.png").write_bytes(b"no picture")
    result = nst("moodboard", "folder")
    assert result.code == 2 and result.err.endswith("nst: none of the 1 pictures can be read.\n")
    save_image(flat(0.2, 0.4, 0.6), "folder/one.png")
    result = nst("moodboard", "folder")
    assert result.code == 1 and result.out.startswith("moodboard.png and moodboard.pdf: 1 picture,")
    assert result.err.startswith("nst: left out: folder/bad.png is not a picture") and len(result.err.splitlines()) == 1


def test_letters_that_the_font_lacks_are_named(matplotlib, nst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image(flat(0.2, 0.4, 0.6), "one.png")
    assert nst("moodboard", "one.png", "--title", "Été, άνοιξη").err == ""
    result = nst("moodboard", "one.png", "--title", "猫 and 猫犬")
    assert result.code == 0
    assert result.err == "nst: no letters for 猫犬 in the font: give one that has them, with --font.\n"


def test_pictures_are_counted_before_they_are_read(nst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for i in range(101):
        Path(f"folder/{i}.jpg").touch()
    result = nst("moodboard", "folder")
    assert result.code == 2 and "101 pictures for a mood board: give 1 to 100" in result.err


@pytest.mark.parametrize("count", [1, 5, 100])
def test_pictures_are_read_as_large_as_they_are_shown(tmp_path, count):
    save_image(flat(0.2, 0.4, 0.6, height=1000, width=1500), tmp_path / "a.jpg")
    loaded = load_for_board(tmp_path / "a.jpg", count)
    for aspects in ([1.5] * count, [1.5, *[0.75] * (count - 1)], [1.5, *[3] * (count - 1)]):
        height = max(h for *_, h in moodboards._layout(aspects, 269, 140, 0, 0, None)) / 25.4 * moodboards.DPI
        assert loaded.shape[0] >= min(height, 1000)
    assert loaded.shape[0] <= 3600 / count**0.5


def test_mistakes_on_the_command_line(nst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image(flat(0.2, 0.4, 0.6), "one.png")
    Path("bad.png").write_bytes(b"no picture")
    Path("empty").mkdir()

    def refused(*arguments):
        result = nst("moodboard", *arguments)
        assert result.code == 2 and result.out == "" and len(result.err.splitlines()) <= 4, result
        return result.err

    assert "not a picture" in refused("one.png", "bad.png")
    assert "does not exist" in refused("nothing.png")
    assert "empty has no pictures" in refused("empty")
    assert "another of this command's files" in refused("one.png", "-o", "one.png")
    assert "ends in .png or .pdf" in refused("one.png", "-o", "board.svg")
    assert "folder" in refused("one.png", "-o", "nowhere/board.pdf")
    assert not Path("moodboard.png").exists()


if __name__ == "__main__":
    import tempfile

    from conftest import load_pair

    with tempfile.TemporaryDirectory() as folder:
        save_image(board_of(load_pair(), folder), REFERENCE)
