"""Trained styles: the files, blending, painting with either engine, large pictures in tiles, and the export to ONNX."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from conftest import ROOT

from nst_lib.errors import PictureError, SettingsError, StyleError
from nst_lib.fast import running
from nst_lib.fast.exporting import export_onnx
from nst_lib.fast.running import KerasRunner, OpenVINORunner, make_runner, paint_picture
from nst_lib.fast.styles import SHIPPED_FILE, THUMBNAIL, Style, StyleFile, load_style, shipped_styles, style_names
from nst_lib.images import crop_to_fit, load_image

CONTENT = sorted((ROOT / "data/content").iterdir())
NO_RUNTIME = "onnxruntime is an optional package: pip install onnxruntime"
NO_ONNX = "onnx is an optional package: pip install onnx"


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def check_is_picture(picture, shape):
    assert picture.shape == shape and picture.dtype == np.float32
    assert picture.min() >= 0 and picture.max() <= 1


@pytest.fixture(scope="module")
def shipped():
    return shipped_styles()


@pytest.fixture(scope="module")
def names():
    return style_names()[:2]


@pytest.fixture(scope="module")
def keras_runner(shipped):
    return KerasRunner(shipped.weights)


@pytest.fixture(scope="module")
def style(shipped, names):
    """On ONNX Runtime where it is installed, elsewhere on Keras."""
    return Style(shipped, {names[0]: 1.0}, make_runner(shipped.weights))


@pytest.fixture
def two(shipped, names, tmp_path):
    """A file with two styles."""
    return keep(shipped, names).save(tmp_path / "two.npz")


def test_numbers_that_are_none_are_refused(tmp_path, shipped):
    path = replace(shipped, styles={"broken": np.full(8, np.nan)}).save(tmp_path / "broken.npz")
    with pytest.raises(StyleError, match=r"broken\.npz has numbers that are none"):
        StyleFile.load(path)


def keep(file, names, **changes):
    chosen = [{name: kept[name] for name in names} for kept in (file.styles, file.thumbnails)]
    return replace(file, styles=chosen[0], thumbnails=chosen[1], **changes)


def test_the_shipped_styles(shipped):
    assert len(shipped.styles) >= 8 and style_names() == sorted(shipped.styles)
    assert SHIPPED_FILE.stat().st_size <= 3_000_000
    assert set(shipped.thumbnails) == set(shipped.styles)
    assert all(
        piece.shape == (THUMBNAIL, THUMBNAIL, 3) and piece.dtype == np.uint8 for piece in shipped.thumbnails.values()
    )
    assert all(np.all(np.isfinite(array)) for array in [*shipped.weights.values(), *shipped.styles.values()])


def test_every_shipped_style_paints(style, shipped):
    photograph = noise(32, 32, 3)
    pastiches = [style.blend({name: 1})(photograph) for name in shipped.styles]
    for pastiche in pastiches:
        check_is_picture(pastiche, (32, 32, 3))
    assert all(np.any(one != other) for one, other in pairwise(pastiches))


def test_a_style_file_comes_back_in_half_precision(tmp_path):
    random = np.random.default_rng(0)
    weights = {"stem": random.normal(size=(3, 3, 12, 16)), "up": random.normal(size=(1, 1, 4, 4))}
    file = StyleFile(weights, {"Звёзды/ночь": random.normal(size=8)}, {"Звёзды/ночь": noise(64, 64, 3) > 0.5}, {"a": 1})
    again = StyleFile.load(file.save(tmp_path / "file.npz"))
    assert again.about == {"a": 1}
    for kind in ("weights", "styles"):
        before, after = getattr(file, kind), getattr(again, kind)
        assert list(after) == list(before)
        for name, array in before.items():
            assert after[name].dtype == np.float32
            np.testing.assert_array_equal(after[name], array.astype("float16"))
    np.testing.assert_array_equal(again.thumbnails["Звёзды/ночь"], file.thumbnails["Звёзды/ночь"])


def test_saving_twice_changes_nothing(two, tmp_path):
    again = StyleFile.load(StyleFile.load(two).save(tmp_path / "again.npz"))
    for name, kernel in StyleFile.load(two).weights.items():
        np.testing.assert_array_equal(again.weights[name], kernel)


def test_a_folder_that_does_not_exist(shipped, tmp_path):
    with pytest.raises(StyleError, match="cannot write .*the folder .*nowhere does not exist"):
        shipped.save(tmp_path / "nowhere" / "styles.npz")


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(StyleError, match="there is no style file") as caught:
            StyleFile.load(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file(two, share):
    data = two.read_bytes()
    two.write_bytes(data[: int(share * len(data))])
    with pytest.raises(StyleError, match=r"two\.npz is not a style file, or is damaged\. Copy it again"):
        load_style(two)


def test_flipped_bits_are_noticed_or_harmless(tmp_path):
    file = StyleFile({"up": noise(1, 1, 4, 4)}, {"waves": noise(8)}, {})
    path = file.save(tmp_path / "file.npz")
    data, noticed = path.read_bytes(), 0
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        try:
            again = StyleFile.load(path)
        except StyleError as problem:
            assert str(path) in str(problem)
            noticed += 1
        else:  # a date, a file's permissions: what nobody reads; or a name
            np.testing.assert_array_equal(next(iter(again.weights.values())), file.weights["up"].astype("float16"))
    assert noticed > len(data) / 2


def test_other_files(tmp_path):
    (tmp_path / "text.npz").write_bytes(b"not a style")
    headers = {"none": None, "words": b"{words", "list": b"[1, 2]", "empty": b'{"version": 1, "about": {}}'}
    for name, header in headers.items():
        arrays = {"header": np.frombuffer(header, dtype="uint8")} if header else {}
        np.savez(tmp_path / f"{name}.npz", picture=np.zeros(3), **arrays)
    for name in ("text", *headers):
        with pytest.raises(StyleError, match=rf"{name}\.npz is not a style file, or is damaged"):
            StyleFile.load(tmp_path / f"{name}.npz")


def test_another_version(tmp_path):
    header = np.frombuffer(json.dumps({"version": 99, "about": {}}).encode(), dtype="uint8")
    np.savez(tmp_path / "new.npz", header=header)
    with pytest.raises(StyleError, match=r"new\.npz is a style file of version 99; this program reads version 1"):
        StyleFile.load(tmp_path / "new.npz")


def test_an_unknown_name(names):
    with pytest.raises(SettingsError, match=f"unknown style '{names[0]}x': did you mean {names[0]}") as caught:
        load_style(names[0] + "x")
    assert all(name in str(caught.value) for name in style_names())


def test_one_of_several_styles_of_a_file(two, names):
    with pytest.raises(SettingsError, match=rf"has 2 styles: give one of them, as .*two\.npz:{names[0]}"):
        load_style(two)
    with pytest.raises(SettingsError, match=r"unknown style of .*two\.npz 'nothing'"):
        load_style(f"{two}:nothing")
    style = load_style(f"{two}:{names[1]}")
    assert style.shares == {names[1]: 1} and list(style.file.styles) == names
    np.testing.assert_array_equal(style.numbers, style.file.styles[names[1]])


def test_the_only_style_of_a_file_needs_no_name(shipped, names, tmp_path):
    assert load_style(keep(shipped, names[:1]).save(tmp_path / "one.npz")).shares == {names[0]: 1}


def test_shares_mix_the_numbers(shipped, names):
    style = load_style(names, [1, 3])
    assert style.shares == {names[0]: 0.25, names[1]: 0.75}
    expected = 0.25 * shipped.styles[names[0]] + 0.75 * shipped.styles[names[1]]
    np.testing.assert_allclose(style.numbers, expected, rtol=1e-6)
    assert load_style(names).shares == dict.fromkeys(names, 0.5)
    assert style.blend({names[0]: 2}).shares == {names[0]: 1}


def test_a_blend_lies_between(style, names):
    photograph = noise(32, 32, 3)
    first, second = (style.blend({name: 1})(photograph) for name in names)
    blend = style.blend(dict.fromkeys(names, 1))(photograph)
    apart = np.abs(first - second).mean()
    assert 0 < np.abs(blend - first).mean() < apart and 0 < np.abs(blend - second).mean() < apart


def test_the_same_style_name_of_two_files(shipped, names, tmp_path):
    other = keep(shipped, names[:1])
    other.styles[names[0]] = shipped.styles[names[0]] + 1
    style = load_style([names[0], other.save(tmp_path / "other.npz")])
    assert style.shares == {names[0]: 0.5, f"{names[0]} (2)": 0.5}
    np.testing.assert_allclose(style.numbers, shipped.styles[names[0]] + 0.5, atol=1e-2)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([1, -1], "the share of .* is -1: give a number of at least 0"),
        ([1, float("nan")], "the share of .* is nan"),
        ([0, 0], r"the shares \[0, 0\] sum to 0: give at least one above 0"),
        ([1], "2 styles and 1 shares: give a share for each style"),
        ([1, 2, 3], "2 styles and 3 shares"),
    ],
)
def test_shares_that_do_not_fit(names, shares, message):
    with pytest.raises(SettingsError, match=message):
        load_style(names, shares)


def test_no_styles():
    with pytest.raises(SettingsError, match="0 styles and 0 shares"):
        load_style([])


def test_a_blend_of_unknown_names_or_none(style, names):
    with pytest.raises(SettingsError, match="unknown style 'nothing'"):
        style.blend({names[0]: 1, "nothing": 1})
    with pytest.raises(SettingsError, match="sum to 0"):
        style.blend({})


def test_styles_of_different_networks_do_not_blend(shipped, names, tmp_path):
    changed = shipped.weights | {"head": shipped.weights["head"] + 0.01}
    other = keep(shipped, names[:1], weights=changed).save(tmp_path / "other.npz")
    with pytest.raises(StyleError, match=rf"{names[0]} and .*other\.npz belong to different networks"):
        load_style([names[0], other])


def test_strength(style):
    photograph = noise(32, 36, 3)
    pastiche = style(photograph)
    np.testing.assert_array_equal(style(photograph, strength=0), photograph)
    np.testing.assert_allclose(style(photograph, strength=0.25), 0.75 * photograph + 0.25 * pastiche, atol=1e-6)
    for strength in (-0.1, 1.1, float("nan"), "much"):
        with pytest.raises(SettingsError, match="strength is"):
            style(photograph, strength)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (50, 35)])
def test_any_size(style, size):
    check_is_picture(style(noise(*size, 3)), (*size, 3))


def test_a_side_that_is_no_multiple_of_four_changes_only_the_edge(style):
    photograph = noise(35, 34, 3)
    padded = np.pad(photograph, ((0, 1), (0, 2), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(style(photograph), style(padded)[:35, :34])


def test_pictures_that_cannot_be_painted(style):
    with pytest.raises(PictureError, match="the picture is 40 x 31 pixels: each side needs at least 32"):
        style(noise(31, 40, 3))
    for other in (noise(32, 32), noise(32, 32, 4), 2 * np.ones((32, 32, 3)), "picture.jpg"):
        with pytest.raises(PictureError):
            style(other)


def test_several_pictures_at_once(style):
    photographs = noise(3, 33, 40, 3)
    pastiches = style(photographs, 0.5)
    check_is_picture(pastiches, (3, 33, 40, 3))
    for photograph, pastiche in zip(photographs, pastiches, strict=True):
        np.testing.assert_array_equal(pastiche, style(photograph, 0.5))
    with pytest.raises(PictureError, match="there is no picture in the batch"):
        style(np.zeros((0, 64, 64, 3), "float32"))


def test_the_photograph_stays_as_it_is(style):
    photograph = noise(32, 32, 3)
    before = photograph.copy()
    style(photograph, 0.5)
    np.testing.assert_array_equal(photograph, before)


def test_a_frame_takes_the_statistics_of_another(style):
    dark, bright = 0.3 * noise(32, 32, 3), 0.7 + 0.3 * noise(32, 32, 3)
    free, own = style.paint_frame(bright)
    same, _ = style.paint_frame(bright, statistics=own, fixed=1.0)
    np.testing.assert_allclose(same, free, atol=1e-4)
    _, others = style.paint_frame(dark)
    fixed, measured = style.paint_frame(bright, statistics=others, fixed=1.0)
    assert np.abs(fixed - free).mean() > 0.01
    assert own.shape == style.numbers.shape and np.all(np.isfinite(measured))


def test_onnx_runtime_paints_what_keras_paints(shipped, names, keras_runner):
    pytest.importorskip("onnxruntime", reason=NO_RUNTIME)
    runtime = make_runner(shipped.weights, "onnx")
    sizes = [(96, 96), (64, 100), (33, 47)]
    for i, path in enumerate(CONTENT[:10]):
        photograph = crop_to_fit(load_image(path), *sizes[i % 3])
        numbers = shipped.styles[names[i % 2]]
        (one, own), (other, own_other) = (paint_picture(run, photograph, numbers) for run in (runtime, keras_runner))
        np.testing.assert_allclose(one, other, atol=1e-3)
        np.testing.assert_allclose(own, own_other, atol=1e-3, rtol=1e-3)
        fixed = [paint_picture(run, photograph, numbers, 0.9 * own, 0.5)[0] for run in (runtime, keras_runner)]
        np.testing.assert_allclose(*fixed, atol=1e-3)


@pytest.mark.parametrize(("precision", "worst", "mean"), [("f32", 1e-3, 1e-4), ("bf16", 0.1, 0.005)])
def test_openvino_paints_what_keras_paints(shipped, names, keras_runner, monkeypatch, precision, worst, mean):
    pytest.importorskip("openvino", reason="openvino is an optional package: pip install openvino")
    monkeypatch.setattr(running, "_openvino_precision", lambda: precision)
    runtime = make_runner(shipped.weights, "openvino")
    assert isinstance(runtime, OpenVINORunner)
    for i, path in enumerate(CONTENT[:3]):
        photograph = crop_to_fit(load_image(path), 96, 64 + 32 * i)
        numbers = shipped.styles[names[i % 2]]
        (one, own), (other, own_other) = (paint_picture(run, photograph, numbers) for run in (runtime, keras_runner))
        fixed = [paint_picture(run, photograph, numbers, 0.9 * own_other, 0.5)[0] for run in (runtime, keras_runner)]
        for difference in (np.abs(one - other), np.abs(np.subtract(*fixed))):
            assert difference.max() < worst and difference.mean() < mean
        np.testing.assert_allclose(own, own_other, atol=worst, rtol=0.02)
    pair = np.stack([photograph, photograph[::-1]])
    together, _ = runtime(pair, numbers)
    np.testing.assert_allclose(together[:1], runtime(pair[:1], numbers)[0], atol=worst)


def test_signals_still_arrive_when_openvino_is_gone():
    """Left in the main thread, the stack for signals that it sets up there, and frees, is where Ctrl-C would crash."""
    pytest.importorskip("openvino", reason="openvino is an optional package: pip install openvino")
    script = f"""if True:
        import gc, signal, numpy
        from nst_lib.fast.styles import load_style
        style = load_style({style_names()[0]!r}, engine="openvino")
        for height in range(64, 256, 32):
            style(numpy.zeros((height, 64, 3), "float32"))
        del style
        gc.collect()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (0, "interrupted\n"), result.stderr


def test_openvino_runs_frames_where_it_is_installed(monkeypatch):
    for found, engine in ((("onnxruntime", "openvino"), "openvino"), (("onnxruntime",), "onnx"), ((), "keras")):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_, found=found: name in found or None)
        assert running.check_engine("auto", frames=True) == engine
        assert running.check_engine("auto") == ("onnx" if found else "keras")


@pytest.mark.parametrize("fast, precision", [(True, "bf16"), (None, "bf16"), (False, "f32")])
def test_openvinos_precision_is_the_faster_one(monkeypatch, fast, precision):
    openvino = pytest.importorskip("openvino", reason="openvino is an optional package: pip install openvino")
    monkeypatch.setattr(running, "has_fast_bfloat16", lambda: fast)
    for able, expected in ((["FP32", "BF16"], precision), (["FP32"], "f32")):
        monkeypatch.setattr(openvino.Core, "get_property", lambda *_, able=able: able)
        assert running._openvino_precision.__wrapped__() == expected


def test_without_openvino_it_is_said(names, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    with pytest.raises(SettingsError, match="OpenVINO is not installed: pip install openvino"):
        load_style(names[0], engine="openvino")


def test_keras_paints_where_it_is_asked_to(names):
    assert isinstance(load_style(names[0], engine="keras").run, KerasRunner)


def test_unknown_engines(names):
    with pytest.raises(SettingsError, match="unknown engine 'onxx': did you mean onnx"):
        load_style(names[0], engine="onxx")


def test_without_onnx_runtime_keras_paints(names, monkeypatch):
    find = importlib.util.find_spec

    def find_others(name, *rest):
        return None if name == "onnxruntime" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)
    with pytest.raises(SettingsError, match="ONNX Runtime is not installed: pip install onnxruntime"):
        load_style(names[0], engine="onnx")
    assert running.check_engine("auto") == "keras"


def test_with_onnx_runtime_no_engine_is_started(names):
    pytest.importorskip("onnxruntime", reason=NO_RUNTIME)
    code = (
        "import sys, numpy; from nst_lib.fast.styles import load_style; "
        f"load_style({names[0]!r})(numpy.zeros((32, 32, 3), 'float32')); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


@pytest.fixture
def small_tiles(monkeypatch):
    for constant, value in {"WHOLE": 192 * 192, "TILE": 64, "SAMPLE_SIDE": 64}.items():
        monkeypatch.setattr(running, constant, value)


@pytest.fixture(scope="module")
def large():
    return crop_to_fit(load_image(ROOT / "data/content/china_temple.jpg"), 202, 256)


def test_tiles_are_what_the_whole_would_be(style, large, small_tiles, monkeypatch):
    """But for rounding, given the same statistics: the margin is wider than what a pixel depends on."""
    tiled, own = paint_picture(style.run, large, style.numbers)
    monkeypatch.setattr(running, "WHOLE", large.size)
    whole, _ = paint_picture(style.run, large, style.numbers, own, 1.0)
    check_is_picture(tiled, large.shape)
    np.testing.assert_allclose(tiled, whole, atol=1e-4)


def test_tiles_leave_no_seams(style, large, small_tiles, monkeypatch):
    """Where they meet, the picture is no rougher than if it is painted as a whole by its own statistics."""
    tiled = style(large)
    monkeypatch.setattr(running, "WHOLE", large.size)
    whole = style(large)
    for axis in (0, 1):
        steps, of_whole = (np.abs(np.diff(picture, axis=axis)).mean(axis=(1 - axis, 2)) for picture in (tiled, whole))
        seams = np.arange(63, len(steps), 64)
        elsewhere = np.setdiff1d(np.arange(3, len(steps), 4), seams)  # the steps between cells
        assert steps[seams].max() <= steps[elsewhere].max()
        rougher = steps / of_whole
        assert rougher[seams].mean() < 1.1 * rougher[elsewhere].mean()


def test_tiles_take_given_statistics(style, large, small_tiles):
    _, others = style.paint_frame(large[::-1, ::-1] * np.float32(0.5))
    free, half, fixed = (style.paint_frame(large, statistics=others, fixed=fixed)[0] for fixed in (0, 0.5, 1))
    np.testing.assert_array_equal(free, style(large))
    assert np.abs(fixed - free).mean() > np.abs(half - free).mean() > 0


def test_a_mosaic_of_samples_is_made_of_a_pictures_own_pieces(small_tiles):
    picture = np.arange(70 * 300 * 3, dtype="float32").reshape(70, 300, 3)
    mosaic = running._samples(picture)
    assert mosaic.shape == (512, 512, 3)
    np.testing.assert_array_equal(mosaic[:64, :64], picture[:64, :64])
    np.testing.assert_array_equal(mosaic[-64:, -64:], picture[-64:, -64:])


def test_a_bird_in_an_even_sky_is_no_blot(style, small_tiles, monkeypatch):
    """Samples that are flat throughout would make the network take it for a thing unheard of."""
    monkeypatch.setattr(running, "SAMPLES", 4)  # a sixth of the picture
    sky = np.clip(np.random.default_rng(0).normal((0.5, 0.6, 0.8), 0.004, (640, 640, 3)), 0, 1).astype("float32")
    sky[330:350, 290:312] = 0.1  # between the samples of a regular grid
    tiled = style(sky)
    monkeypatch.setattr(running, "WHOLE", sky.size)
    assert np.abs(tiled - style(sky)).mean() < 0.06


@pytest.fixture
def exported(style, names, tmp_path):
    pytest.importorskip("onnx", reason=NO_ONNX)
    pytest.importorskip("onnxruntime", reason=NO_RUNTIME)
    return export_onnx(style.blend(dict.fromkeys(names, 1)), tmp_path / "style.onnx")


def test_an_exported_style_paints_the_same(exported, style, names):
    photograph = noise(33, 40, 3)
    again = load_style(exported)
    assert list(again.shares) == [f"{names[0]} and {names[1]}"]
    np.testing.assert_allclose(again(photograph), style.blend(dict.fromkeys(names, 1))(photograph), atol=1e-5)


def test_an_exported_style_paints_as_keras_does(style, names, tmp_path):
    """On ten photographs: what other programs run is what was trained."""
    for package, reason in (("onnx", NO_ONNX), ("onnxruntime", NO_RUNTIME)):
        pytest.importorskip(package, reason=reason)
    shipped = load_style("great_wave", engine="keras")
    exported = load_style(export_onnx(load_style("great_wave"), tmp_path / "great_wave.onnx"))
    photographs = sorted((ROOT / "data/content").glob("*.jpg"))[:10]
    assert len(photographs) == 10
    for path in photographs:
        picture = crop_to_fit(load_image(path), 96, 128)
        np.testing.assert_allclose(exported(picture), shipped(picture), atol=1e-3, err_msg=path.name)


def test_other_programs_need_to_give_the_picture_only(exported, style, names):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    pastiche = session.run(None, {"picture": noise(1, 32, 48, 3)})[0]
    expected = style.blend(dict.fromkeys(names, 1))(noise(1, 32, 48, 3))
    np.testing.assert_allclose(np.clip(pastiche, 0, 1), expected, atol=1e-5)


def test_what_an_exported_style_cannot_do(exported, names, tmp_path):
    with pytest.raises(SettingsError, match=r"style\.onnx can only be run by ONNX Runtime"):
        load_style(exported, engine="keras")
    with pytest.raises(SettingsError, match="this style came from an ONNX file: copy that"):
        export_onnx(load_style(exported), tmp_path / "again.onnx")
    for several in ([exported, names[0]], [names[0], exported]):
        with pytest.raises(StyleError, match="was exported, and cannot be blended"):
            load_style(several)


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_damaged_exported_style(exported, share):
    data = exported.read_bytes()
    exported.write_bytes(data[: int(share * len(data))])
    with pytest.raises(StyleError, match=r"style\.onnx is not a style that `nst export` wrote, or is damaged"):
        load_style(exported)


def test_an_onnx_file_of_another_program_and_none(exported, tmp_path):
    import onnx

    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(StyleError, match=r"other\.onnx is not a style that `nst export` wrote"):
        load_style(tmp_path / "other.onnx")
    with pytest.raises(StyleError, match=r"there is no style file .*missing\.onnx"):
        load_style(tmp_path / "missing.onnx")


def test_exporting_without_the_package_or_the_folder(style, tmp_path, monkeypatch):
    if importlib.util.find_spec("onnx"):
        with pytest.raises(StyleError, match="the folder .*nowhere does not exist"):
            export_onnx(style, tmp_path / "nowhere" / "style.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SettingsError, match="exporting needs the package onnx: pip install onnx"):
        export_onnx(style, tmp_path / "style.onnx")
    assert not list(tmp_path.iterdir())
