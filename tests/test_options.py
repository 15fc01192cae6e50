"""Every option of a command reaches the library, as the parser lists them: a new one must be added here."""

import importlib
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_lib import cli
from nst_lib.engine import start_engine
from nst_lib.errors import SettingsError
from nst_lib.images import load_image


def is_brick(value):
    return np.array_equal(value, load_image("brick.png"))


# By command: what the library is called with, where; and for each option what is given, and what must come of it.
COMMANDS = {
    "paint photo.jpg wave.png": (
        "nst_lib.painting.Painting",
        {
            "--size": ("40", {"size": 40}),
            "--shares": ("2", {"shares": [2.0]}),
            "--mask": ("mask.png none", {"masks": lambda masks: masks[0][0, 0] == 0 and masks[0][0, -1] == 1}),
            "--content-weight": ("2", {"content_weight": 2.0}),
            "--style-weight": ("3", {"style_weight": 3.0}),
            "--tv-weight": ("4", {"tv_weight": 4.0}),
            "--content-layers": ("block3_conv1 block3_conv2", {"content_layers": ["block3_conv1", "block3_conv2"]}),
            "--style-layers": ("block2_conv1", {"style_layers": ["block2_conv1"]}),
            "--style-layer-weights": ("block2_conv1=0.5", {"style_layer_weights": {"block2_conv1": 0.5}}),
            "--style-loss": ("wasserstein", {"style_loss": "wasserstein"}),
            "--style-scale": ("1.5", {"style_scale": 1.5}),
            "--color": ("match", {"color": "match"}),
            "--init": ("brick.png", {"init": is_brick}),
            "--seed": ("7", {"seed": 7}),
            "--backbone": ("vgg16", {"backbone": "vgg16"}),
            "--weights": ("some.npz", {"weights": "some.npz"}),
            "--pooling": ("avg", {"pooling": "avg"}),
            "--steps": ("5", {"steps": 5}),
            "--seconds": ("2.5", {"seconds": 2.5}),
            "--optimizer": ("adam", {"optimizer": "adam"}),
            "--learning-rate": ("0.5 --optimizer adam", {"learning_rate": 0.5}),
            "--pyramid": ("2", {"pyramid": 2}),
            "--no-sketch": ("", {"sketch": False}),
            "--precision": ("float32", {"precision": "float32"}),
            "--memory": ("3", {"memory": 3.0}),
        },
        {"--output", "--resume", "--json", "--max-pixels"},  # are not for the library, and have tests of their own
    ),
    "texture wave.png": (
        "nst_lib.textures.texture",
        {
            "--size": ("200", {1: 200}),
            "--guide": ("brick.png --size 48", {"guide": is_brick}),
            "--no-tile": ("", {"tileable": False}),
            "--steps": ("5", {"steps": 5}),
            "--seed": ("7", {"seed": 7}),
        },
        {"--output"},
    ),
    "explore photo.jpg wave.png": (
        "nst_lib.exploration.explore",
        {
            "--style-weight": ("1 2", {"style_weights": [1.0, 2.0]}),
            "--style-scale": ("1 2", {"style_scales": [1.0, 2.0]}),
            "--layers": ("fine coarse", {"layers": ["fine", "coarse"]}),
            "--seed": ("1 2", {"seeds": [1, 2]}),
            "--size": ("128", {"size": 128}),
            "--steps": ("5", {"steps": 5}),
        },
        {"--output"},
    ),
    "moodboard photo.jpg wave.png": (
        "nst_lib.moodboards.moodboard",
        {
            "--output": ("other.pdf", {1: "other.pdf"}),
            "--title": ("Autumn", {"title": "Autumn"}),
            "--columns": ("2", {"columns": 2}),
            "--font": ("Serif", {"font": "Serif"}),
        },
        set(),
    ),
    "train wave.png --photos photos": (
        "nst_lib.fast.training.train",
        {
            "--photos": ("others", {1: "others"}),
            "--minutes": ("2", {"minutes": 2.0}),
            "--steps": ("5", {"steps": 5}),
            "--from": ("nothing", {"start": None}),
            "--vector-only": ("", {"vector_only": True}),
            "--style-weight": ("2", {"style_weight": 2.0}),
            "--tv-weight": ("3", {"tv_weight": 3.0}),
            "--backbone": ("vgg16", {"backbone": "vgg16"}),
            "--weights": ("some.npz", {"weights": "some.npz"}),
            "--learning-rate": ("0.5", {"learning_rate": 0.5}),
            "--batch": ("8", {"batch": 8}),
            "--crop": ("64", {"crop": 64}),
            "--seed": ("7", {"seed": 7}),
            "--resume": ("", {"resume": True}),
            "--tensorboard": ("logs", {"tensorboard": "logs"}),
            "--devices": ("all", {"devices": "all"}),
        },
        {"--output", "--coordinator", "--processes", "--process-id"},
    ),
    "fast film.mp4 --style great_wave": (
        "nst_lib.fast.fast_command.paint_video",
        {
            "--size": ("200", {"size": 200}),
            "--strength": ("0.5", {"strength": 0.5}),
            "--steady": ("0.25", {"steady": 0.25}),
            "--output": ("o.mkv", {1: Path("o.mkv")}),
        },
        {"--style", "--shares", "--engine", "--shard", "--max-pixels"},
    ),
}
CASES = [
    pytest.param(command, option, id=f"{command.split()[0]} {option}")
    for command, (_, options, _) in COMMANDS.items()
    for option in options
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(["photo.jpg", "wave.png", "brick.png"]):
        noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((48, 48), Image.Resampling.BICUBIC).save(name, quality=95)
    mask = np.zeros((48, 48), "uint8")
    mask[:, :24] = 255
    Image.fromarray(mask).save("mask.png")
    Path("film.mp4").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_every_option_is_in_the_table(command):
    parser = cli._parser()._subparsers._group_actions[0].choices[command.split()[0]]
    options = {action.option_strings[-1] for action in parser._actions if action.option_strings}
    options = {"--output" if option == "--out" else option for option in options} - {"--help"}
    _, table, others = COMMANDS[command]
    assert options == set(table) | others


@pytest.mark.parametrize(("command", "option"), CASES)
def test_an_option_reaches_the_library(nst, here, monkeypatch, command, option):
    start_engine()
    target, table, _ = COMMANDS[command]
    called = []

    def note(*arguments, **settings):
        called.append(dict(enumerate(arguments)) | settings)
        raise SettingsError("as far as this")

    module, name = target.rsplit(".", 1)
    monkeypatch.setattr(importlib.import_module(module), name, note)
    given, expected = table[option]
    result = nst(*shlex.split(command), option, *shlex.split(given))
    assert result.err == "nst: as far as this\n", result
    for key, value in expected.items():
        found = called[0][key]
        assert value(found) if callable(value) else found == value, (key, found)
