"""Many small paintings on one sheet, and the commands that paint them large."""

import inspect
import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from nst_lib import autodiff, cli, exploration
from nst_lib.errors import NSTError, PictureError, SettingsError
from nst_lib.exploration import MAX_TILES, Tile, Variant, draw_sheet, explore, paint_command, plan_tiles
from nst_lib.images import load_image, resize, save_image

REFERENCE = Path(__file__).parent / "data" / "exploration.png"
GRID = {"style_weights": (0.2, 3), "layers": ("fine", "coarse")}


@pytest.fixture(scope="module")
def tiles(pair):
    return explore(*pair, **GRID, size=64, steps=10, progress=False)


@pytest.fixture
def here(tmp_path, monkeypatch, pair) -> Path:
    """A folder to work in with two pictures, where large pictures have 128 pixels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exploration, "LARGE", 128)
    for name, picture in zip(("my photo.png", "wave.png"), pair, strict=True):
        save_image(resize(picture, 200), name)
    return tmp_path


def side_by_side(tiles):
    """At half the size: strokes and colours, without each pixel's noise."""
    return resize(np.concatenate([tile.picture for tile in tiles], axis=1), 32 * len(tiles))


def distance(a, b):
    return float(np.abs(a - b).mean())


# In Python


def test_every_combination_is_painted(tiles):
    variants = [(tile.variant.style_weight, tile.variant.layers) for tile in tiles]
    assert variants == [(0.2, "fine"), (0.2, "coarse"), (3, "fine"), (3, "coarse")]
    assert [tile.number for tile in tiles] == [1, 2, 3, 4]
    for tile in tiles:
        assert tile.picture.shape == (64, 64, 3) and tile.picture.min() >= 0 and tile.picture.max() <= 1


def test_tiles_look_as_they_did(tiles):
    """Against the stored ones; made again by `python tests/test_exploration.py`, with a look at what changed."""
    assert distance(side_by_side(tiles), load_image(REFERENCE)) < 0.02
    for a, b in ((0, 1), (0, 2), (1, 3)):
        assert distance(tiles[a].picture, tiles[b].picture) > 0.025


def test_seeds_make_different_pictures(pair):
    first, second = explore(*pair, seeds=[1, 2], size=64, steps=8, progress=False)
    (again,) = explore(*pair, seeds=[1], size=64, steps=8, progress=False)
    assert distance(first.picture, second.picture) > 0.1
    assert distance(first.picture, again.picture) < 0.01


def test_steps_are_told_and_a_stop_leaves_what_is_finished(pair):
    told = []
    tiles = explore(
        *pair,
        style_weights=(1, 2, 3),
        size=64,
        steps=3,
        progress=False,
        on_step=lambda *numbers: told.append(numbers),
        should_stop=lambda: len(told) >= 7,
    )
    assert told == [(n, 9) for n in range(1, 8)]
    assert [tile.picture is None for tile in tiles] == [False, False, True]


def test_the_default_is_four_by_four_and_several_paintings_an_axis():
    assert len(plan_tiles(1)) == 16
    tiles = plan_tiles(3)
    assert len(tiles) == 12 and {tile.variant.painting for tile in tiles} == {0, 1, 2}
    assert [tile.variant for tile in plan_tiles(1, [2.0, 2.0])] == [Variant(style_weight=2)]  # twice the same is once
    assert exploration._arrange(plan_tiles(1)) == (["style_weight"], ["layers", "style_scale"], 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style_weights": [1, -1]}, "style weight is -1"),
        ({"style_weights": [0, 0.0]}, "all 0"),
        ({"style_weights": []}, "no style weight in the list"),
        ({"style_weights": [float("nan")]}, "style weight is nan"),
        ({"style_scales": [0]}, "style scale is 0"),
        ({"style_scales": [9]}, "from 0.1 to 8"),
        ({"layers": ["corase"]}, "did you mean coarse"),
        ({"seeds": [-1]}, "seed is -1"),
        ({"seeds": range(MAX_TILES + 1)}, "65 tiles are too many"),
        ({"seeds": range(9), "style_weights": range(1, 9)}, "8 x 9 = 72 tiles"),
        ({"size": 31}, "size is 31"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_what_cannot_be_explored_is_refused(pair, settings, message):
    with pytest.raises(SettingsError, match=message):
        explore(*pair, **settings)


def test_bad_pictures_are_refused(pair):
    with pytest.raises(SettingsError, match="no painting"):
        explore(pair[0], [])
    with pytest.raises(PictureError, match="the painting"):
        explore(pair[0], pair[1] * 255, size=64)
    with pytest.raises(PictureError, match="Crop it"):
        explore(np.zeros((40, 400, 3), "float32"), pair[1], size=64)


def test_a_loss_that_is_no_number_is_said_and_costs_its_tile_alone(pair):
    with pytest.raises(NSTError, match=r"style weight 1e\+38.*smaller weights"):
        explore(*pair, style_weights=[1e38], size=64, steps=3, progress=False)
    told = []
    lost, painted = explore(
        *pair,
        style_weights=[1e38, 1],
        size=64,
        steps=3,
        progress=False,
        on_step=lambda *numbers: told.append(numbers),
    )
    assert "style weight 1e+38" in lost.problem and lost.picture is None
    assert painted.picture is not None and not painted.problem
    assert told == [(3, 6), (4, 6), (5, 6), (6, 6)]


# The sheet


def test_the_sheet_has_every_tile_in_its_place(tiles):
    sheet = draw_sheet(tiles, "A title", ["wave"])
    places = []
    for tile in tiles:
        corners = np.lib.stride_tricks.sliding_window_view(sheet, (8, 8, 3)).squeeze()
        found = np.argwhere((np.abs(corners - tile.picture[28:36, 28:36]) < 1 / 255).all((2, 3, 4)))
        assert len(found) == 1
        places.append(tuple(found[0]))
    (y, x), (y1, x1), (y2, x2), (y3, x3) = places
    assert y == y1 < y2 == y3 and x == x2 < x1 == x3
    assert draw_sheet(tiles).shape[0] < sheet.shape[0]


def test_places_of_tiles_not_painted_stay_empty(tiles):
    kept = [tile if tile.number < 3 else Tile(tile.number, tile.variant) for tile in tiles]
    assert draw_sheet(kept).shape == draw_sheet(tiles).shape
    with pytest.raises(SettingsError, match="none of the tiles"):
        draw_sheet(kept[2:])


def test_a_single_axis_runs_on_and_long_names_fit(pair):
    variants = [Variant(painting=i) for i in range(5)]
    names = ["a very long name of a painting indeed " * 3, "Café, größer", "日本", "x", ""]
    sheet = draw_sheet([Tile(i + 1, variant, pair[0]) for i, variant in enumerate(variants)], names[0], names)
    margin = sheet[:, -exploration.MARGIN + 1 :]
    assert sheet.shape[1] < 4 * 64 + 2 * exploration.MARGIN and margin.min() > 0.99


# The command


def test_a_tile_is_the_first_level_of_what_its_command_paints(nst, here, monkeypatch, pair):
    settings = {"style_weights": [2.5], "layers": ["coarse"], "style_scales": [1.5]}
    # bfloat16 rounds several tiles together otherwise than one.
    monkeypatch.setattr(autodiff, "fastest_dtype", lambda: "float32")
    for seed in (None, 4):
        variant = Variant(style_weight=2.5, layers="coarse", style_scale=1.5, seed=seed)
        pictures = [load_image(name) for name in ("my photo.png", "wave.png")]
        (tile,) = explore(
            *pictures, **settings, seeds=None if seed is None else [seed], size=64, steps=6, progress=False
        )
        assert tile.variant == variant
        painted, to_file = [], cli.paint_to_file

        def first_level(painting, *files, painted=painted, to_file=to_file):
            for _ in range(painting.levels[0].steps):
                painting.step()
            painted.append((painting, painting.picture))
            return to_file(painting, *files)

        monkeypatch.setattr(cli, "paint_to_file", first_level)
        words = paint_command(variant, "my photo.png", ["wave.png"], "large.png", size=64, steps=6)
        assert nst(*words[1:]).code == 0
        monkeypatch.setattr(cli, "paint_to_file", to_file)
        ((painting, picture),) = painted
        assert painting.levels[0].steps == 6 and picture.shape == tile.picture.shape
        assert painting.style_weight == 2.5 and painting.subject.style_scale == 1.5 and painting.backbone == "pocket"
        assert distance(picture, tile.picture) < 0.005
        assert load_image("large.png").shape == (128, 128, 3)


def test_the_command_line_paints_a_sheet_and_prints_commands_that_parse(nst, here):
    result = nst("explore", "my photo.png", "wave.png", "--style-weight", 0.3, 3, "--seed", 1, 2, "--size", 64,
                 "--steps", 2, "-o", "sheet.png")  # fmt: skip
    assert result.code == 0, result
    load_image("sheet.png")
    lines = Path("sheet.txt").read_text().splitlines()
    assert result.out.splitlines()[:-1] == lines
    assert lines[0].startswith("# 1: style weight 0.3, all layers, style scale 1, seed 1") and len(lines) == 8
    for number, line in enumerate(lines[1::2], start=1):
        options = cli._parser().parse_args(shlex.split(line)[1:])
        assert (options.content, options.styles, options.output) == (
            "my photo.png",
            ["wave.png"],
            f"sheet_{number}.png",
        )
        assert (options.size, options.pyramid, options.steps, options.init) == (128, 2, 4, "noise")
        assert (options.style_weight, options.seed) == [(0.3, 1), (0.3, 2), (3, 1), (3, 2)][number - 1]


@pytest.mark.skipif(sys.platform != "linux", reason="where names are bytes")
def test_names_that_are_no_utf_8_are_in_the_commands_as_they_are(nst, here):
    os.rename(b"wave.png", b"caf\xe9.png")
    result = nst("explore", "my photo.png", "caf\udce9.png", "--style-weight", 1, "--style-scale", 1, "--size", 64,
                 "--steps", 1)  # fmt: skip
    assert result.code == 0 and r"nst paint 'my photo.png' 'caf\udce9.png'" in result.out
    assert b"'caf\xe9.png'" in Path("my photo_explored.txt").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="Unix signals")
def test_ctrl_c_leaves_the_sheet_so_far(nst, here, monkeypatch):
    original = exploration.explore

    def interrupted(*pictures, on_step, **settings):
        def show(step, steps):
            on_step(step, steps)
            if step == 3:
                signal.raise_signal(signal.SIGINT)

        return original(*pictures, on_step=show, **settings)

    monkeypatch.setattr(exploration, "explore", interrupted)
    result = nst(
        "explore", "my photo.png", "wave.png", "--style-weight", 1, 2, "--size", 64, "--steps", 2, "-o", "s.png"
    )
    assert result.code == 130 and "1 of 2 tiles" in result.err
    assert load_image("s.png").shape[1] > 128 and len(Path("s.txt").read_text().splitlines()) == 2


def test_a_name_that_begins_as_an_option_does_is_not_taken_for_one():
    words = paint_command(Variant(0, 1.0, "all", 1.0, None), "-me.jpg", ["-wave.png"], "-me_1.png")
    assert words[2:4] == ["./-me.jpg", "./-wave.png"] and words[-1] == "./-me_1.png"


def test_a_tile_that_cannot_be_painted_does_not_cost_the_others(nst, here):
    Path("s.txt").write_text("my notes")
    result = nst("explore", "my photo.png", "wave.png", "--style-weight", 1e38, 1, "--size", 64, "--steps", 2,
                 "-o", "s.png")  # fmt: skip
    assert result.code == 1 and "nst: tile 1 is empty: the loss is not a number any more" in result.err
    assert load_image("s.png").shape[1] > 128 and Path("s-2.txt").read_text().startswith("# 2: style weight 1,")
    assert Path("s.txt").read_text() == "my notes" and "the commands above are in s-2.txt" in result.out
    assert "1 of 2 tiles in" in result.out


def test_mistakes_on_the_command_line(nst, here):
    def refused(*arguments):
        result = nst("explore", *arguments)
        assert result.code == 2 and result.out == "" and len(result.err.splitlines()) <= 4, result
        return result.err

    good = ("my photo.png", "wave.png")
    Path("bad.png").write_bytes(b"no picture")
    assert "not a picture" in refused("my photo.png", "bad.png")
    assert "does not exist" in refused("my photo.png", "nothing.png")
    assert "folder" in refused(*good, "-o", "nowhere/sheet.png")
    assert "another of this command's files" in refused(*good, "-o", "wave.png")
    assert ".png" in refused(*good, "-o", "sheet.pdf")
    assert "style weight is -1" in refused(*good, "--style-weight", "-1")
    assert "too many" in refused(*good, "--seed", *range(65))
    assert "did you mean coarse" in refused(*good, "--layers", "coars")
    assert not list(Path().glob("*explored*"))


def test_defaults_of_the_command_are_those_of_the_function(here):
    options = cli._parser().parse_args(["explore", "a.png", "b.png"])
    defaults = {name: p.default for name, p in inspect.signature(explore).parameters.items()}
    for name in ("size", "steps", "style_weights", "style_scales", "layers", "seeds"):
        assert getattr(options, name) == defaults[name]


if __name__ == "__main__":
    from conftest import load_pair

    save_image(side_by_side(explore(*load_pair(), **GRID, size=64, steps=10)), REFERENCE)
