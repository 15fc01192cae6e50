"""Films: times, sizes and sound are kept, frames do not flicker, and what is broken is said and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from nst_lib.errors import PictureError, SettingsError, VideoError
from nst_lib.fast.styles import load_style, style_names
from nst_lib.fast.video import Steadier, paint_video
from nst_lib.images import crop_to_fit, load_image

av = pytest.importorskip("av", reason="films need PyAV: pip install av")
IRREGULAR = [0, 0.033, 0.2, 0.25, 0.7, 0.71, 1.3, 1.301, 1.5]  # seconds
RATE = 44100


class Copy:
    """A "style" that changes nothing, so that what is left of a frame can be told."""

    def paint_frame(self, frame, strength=1.0, statistics=None, fixed=0.0):
        return frame.copy(), np.zeros(4, "float32")


def picture(i, height, width):
    """The i-th frame: a slope, ever lighter."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, np.full((height, width), 40 + 3 * i)], -1).astype("uint8")


def write_film(
    path, times=10, size=(64, 96), *, sound=None, codec="libx264", pix_fmt="yuv420p", rotation=0, bf=None, pixel=None,
    **options,
):  # fmt: skip
    """A film with a frame at each of `times`, or so many at ten a second; `sound`: a codec."""
    times = [i / 10 for i in range(times)] if isinstance(times, int) else times
    with av.open(str(path), "w", options=options) as out:
        film = out.add_stream(codec, rate=10, options={"g": "5"} | ({"bf": bf} if bf else {}))
        film.height, film.width = size
        film.pix_fmt, film.codec_context.time_base = pix_fmt, Fraction(1, 1000)
        film.codec_context.thread_count = 1  # or its bytes, and where a broken one ends, would depend on who else runs
        if rotation:
            film.set_display_rotation(rotation)
        if pixel:
            film.codec_context.sample_aspect_ratio = pixel
        tone = out.add_stream(sound, rate=RATE) if sound else None
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(i, *size), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            out.mux(film.encode(frame))
        if tone:
            for start in range(0, int(times[-1] * RATE), 1024):
                wave = np.sin(np.arange(start, start + 1024) / 20)[None]
                wave = (30000 * wave).astype("int16") if "s16" in sound else wave.astype("float32")
                frame = av.AudioFrame.from_ndarray(wave, "s16" if "s16" in sound else "fltp", "mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
                out.mux(tone.encode(frame))
            out.mux(tone.encode(None))
        out.mux(film.encode(None))
    return Path(path)


def read_frames(path):
    """Times in seconds, and pictures (n, h, w, 3) in [0, 255]."""
    with av.open(str(path)) as film:
        frames = [(frame.time, frame.to_ndarray(format="rgb24").astype(float)) for frame in film.decode(video=0)]
    return np.array([time for time, _ in frames]), np.array([pixels for _, pixels in frames])


def read_sound(path):
    """Times and bytes of the packets."""
    with av.open(str(path)) as film:
        packets = [packet for packet in film.demux(audio=0) if packet.dts is not None]
    return np.array([float(packet.pts * packet.time_base) for packet in packets]), [bytes(packet) for packet in packets]


def read_loudness(path):
    """The times of the pieces of sound, and the root of their mean square: of a sine of 1, 0.7."""
    with av.open(str(path)) as film:
        pieces = [(frame.time, frame.to_ndarray()) for frame in film.decode(audio=0)]
    wave = np.concatenate([piece.ravel() for _, piece in pieces[4:-4]])
    full = np.iinfo(wave.dtype).max if wave.dtype.kind == "i" else 1
    return np.array([time for time, _ in pieces]), np.sqrt(np.mean((wave / full) ** 2))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(source, output="o.mp4", style=None, **settings):
    return paint_video(source, output, style or Copy(), **{"steady": 0} | settings)


def refuses(error, *words, source="film.mp4", output="o.mp4", **settings):
    """The film is refused in these words, and nothing is left of the try, nor is what was there changed."""
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    with pytest.raises(error) as caught:
        paint(source, output, **settings)
    for word in words:
        assert word in str(caught.value)
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


# What is kept


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".MP4"])
@pytest.mark.parametrize("source", ["film.mp4", "film.mkv", "film.ts"])
def test_every_frame_keeps_its_time_however_irregular(here, source, suffix):
    write_film(source, IRREGULAR)
    report = paint(source, f"o{suffix}")
    (before, pictures), (after, painted) = read_frames(source), read_frames(f"o{suffix}")
    assert np.diff(before) == pytest.approx(np.diff(IRREGULAR), abs=1e-3)
    assert after == pytest.approx(before, abs=1e-3)
    assert painted.shape == pictures.shape and np.abs(painted - pictures).mean() < 3
    assert (report.frames, report.size, report.sound, report.damage) == (len(IRREGULAR), (64, 96), False, "")
    assert len(list(here.iterdir())) == 2


def test_of_avi_which_keeps_no_times_every_frame_is_painted(here):
    write_film("film.avi", 12, bf="3")
    report = paint("film.avi")
    times, pixels = read_frames("o.mp4")
    assert report.frames == len(times) == 12 and report.damage == ""
    assert times - times[0] == pytest.approx(np.arange(12) / 10, abs=0.002)
    assert np.all(np.diff(pixels[..., 2].mean(axis=(1, 2))) > 1)  # in the order in which they were filmed


@pytest.mark.parametrize("size", [(64, 96), (720, 1280)])
def test_colours_are_kept_and_named(here, size):
    colours = np.array([[219, 39, 29], [39, 199, 58], [30, 60, 220]], "uint8")
    wanted = np.repeat(np.repeat(colours[None], size[0], 0), size[1] // 3 + 1, 1)[:, : size[1]]
    with av.open("film.mkv", "w") as out:
        film = out.add_stream("ffv1", rate=10)
        film.height, film.width, film.pix_fmt = *size, "bgr0"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wanted), format="rgb24").reformat(format="bgr0")
        out.mux([*film.encode(frame), *film.encode(None)])
    paint("film.mkv")
    with av.open("o.mp4") as film:
        codec = film.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (1, 1, 1, 1)
    _, pixels = read_frames("o.mp4")
    for third in range(3):
        middle = pixels[0, :, size[1] * third // 3 + 8 : size[1] * (third + 1) // 3 - 8].mean(axis=(0, 1))
        assert middle == pytest.approx(colours[third], abs=4)


def test_odd_sizes_gain_a_row_and_a_column(here):
    write_film("odd.mkv", 3, (49, 65), codec="ffv1", pix_fmt="yuv444p")
    assert paint("odd.mkv").size == (50, 66)
    painted = read_frames("o.mp4")[1]
    assert painted.shape == (3, 50, 66, 3)
    assert np.abs(painted[:, :49, :65] - np.stack([picture(i, 49, 65) for i in range(3)])).mean() < 5


@pytest.mark.parametrize(("size", "shape"), [(48, (32, 48)), (75, (50, 76)), (192, (128, 192))])
def test_size_is_the_long_side(here, size, shape):
    write_film("film.mp4", 2)
    assert paint("film.mp4", size=size).size == shape
    assert read_frames("o.mp4")[1].shape[1:3] == shape


def test_a_film_taken_on_its_side_is_set_upright(here):
    if not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write a rotation")
    write_film("film.mp4", 3, rotation=90)
    assert paint("film.mp4").size == (96, 64)
    painted = read_frames("o.mp4")[1]
    assert painted.shape == (3, 96, 64, 3)
    assert np.abs(painted - np.stack([np.rot90(picture(i, 64, 96)) for i in range(3)])).mean() < 5
    with av.open("o.mp4") as film:
        assert next(film.decode(video=0)).rotation == 0


@pytest.mark.parametrize(("source", "output"), [("film.mp4", "o.mp4"), ("film.mkv", "o.mov"), ("film.ts", "o.mkv")])
def test_sound_is_copied_as_it_is_and_in_time(here, source, output):
    write_film(source, 12, sound="aac")
    assert paint(source, output).sound
    (before, packets), (after, copied) = read_sound(source), read_sound(output)
    header = 7 if source == "film.ts" else 0  # bytes, that each packet has in a .ts and nowhere else
    assert len(packets) > 40 and copied == [packet[header:] for packet in packets]
    assert after - read_frames(output)[0][0] == pytest.approx(before - read_frames(source)[0][0], abs=2e-3)


@pytest.mark.parametrize(
    ("source", "codec", "sound", "kept"),
    [
        ("old.avi", "mpeg4", "pcm_s16le", (".mov", ".mkv")),
        ("old.avi", "mpeg4", "adpcm_ms", ()),
        ("old.flv", "flv", "adpcm_swf", ()),
        ("film.mkv", "libx264", "flac", (".mp4", ".mkv")),
    ],
)
def test_sound_that_the_format_cannot_hold_becomes_aac(here, source, codec, sound, kept):
    write_film(source, 15, codec=codec, sound=sound)
    times, loudness = read_loudness(source)
    for suffix in (".mp4", ".mov", ".mkv"):
        assert paint(source, f"o{suffix}").sound
        with av.open(f"o{suffix}") as film:
            assert (film.streams.audio[0].codec_context.name == sound) == (suffix in kept)
        after, loud = read_loudness(f"o{suffix}")
        assert after[-1] == pytest.approx(times[-1], abs=0.1) and loud == pytest.approx(loudness, rel=0.05)


def test_damaged_sound_that_becomes_aac_does_not_cost_the_film(here, monkeypatch):
    write_film("old.avi", 15, codec="mpeg4", sound="adpcm_ms")
    content = bytearray(Path("old.avi").read_bytes())
    sounds = [found.start() for found in re.finditer(b"01wb", content)]
    content[sounds[8] + 8] = 99  # the number of a predictor: there are seven
    Path("old.avi").write_bytes(content)
    report = paint("old.avi")
    assert (report.frames, report.sound) == (15, True) and read_loudness("o.mp4")[0][-1] > 1.2


def test_frames_are_counted_as_they_are_painted(here):
    write_film("film.mp4", 4)
    told = []
    paint("film.mp4", on_frame=lambda *numbers: told.append(numbers))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_old_film_is_replaced(here):
    write_film("film.mp4", 4)
    Path("o.mp4").write_bytes(b"old")
    paint("film.mp4")
    assert len(read_frames("o.mp4")[0]) == 4


# Stopping


@pytest.mark.parametrize("sound", [None, "aac"])
def test_stopped_after_5_frames_it_is_a_film_of_5_frames(here, sound):
    write_film("film.mp4", 12, sound=sound)
    seen = []
    report = paint("film.mp4", on_frame=lambda frame, _: seen.append(frame), should_stop=lambda: len(seen) == 5)
    assert report.frames == 5 and report.damage == ""
    assert read_frames("o.mp4")[0] == pytest.approx(np.arange(5) / 10, abs=1e-3)


def test_stopped_at_once_it_has_a_frame(here):
    write_film("film.mp4", 12, sound="aac")
    assert paint("film.mp4", should_stop=lambda: True).frames == 1
    assert len(read_frames("o.mp4")[0]) == 1


def test_an_interrupt_between_two_frames_leaves_nothing(here):
    def interrupt(frame, _):
        if frame == 3:
            raise KeyboardInterrupt

    write_film("film.mp4", 12)
    refuses(KeyboardInterrupt, on_frame=interrupt)


@pytest.mark.skipif(os.name != "posix", reason="Unix signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_ctrl_c_leaves_a_film_that_can_be_played(here, sent, code):
    write_film("film.mp4", 70, sound="aac")
    script = (
        "import sys, time; from nst_lib import cli; from nst_lib.fast import video\n"
        "original = video.Steadier.__call__\n"
        "def slow(self, frame):\n"
        "    print('frame', file=sys.stderr, flush=True); time.sleep(0.05); return original(self, frame)\n"
        "video.Steadier.__call__ = slow\n"
        "sys.exit(cli.main(['fast', 'film.mp4', '--style', sys.argv[1], '--steady', '0', '-o', 'o.mp4']))"
    )
    command = [sys.executable, "-c", script, style_names()[0]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(3):
            assert process.stderr.readline() == "frame\n"
        process.send_signal(sent)
        out, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code and "Traceback" not in rest
    assert "nst: stopping after this frame" in rest
    times = read_frames("o.mp4")[0]
    assert 3 <= len(times) < 70 and out == ""
    assert rest.endswith(f"nst: stopped after {len(times)} of 70 frames; o.mp4 holds those.\n")
    assert len(list(here.iterdir())) == 2


# Broken films


@pytest.mark.parametrize(
    ("name", "says", "options"),
    [
        ("film.mkv", True, {}),
        ("film.mp4", True, {"movflags": "faststart"}),
        ("film.ts", False, {}),  # nothing at its head says how long it should be
        ("film.mp4", False, {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_of_a_film_that_breaks_off_what_came_before_is_painted(here, name, says, options):
    times = read_frames(write_film(name, 60, **options))[0]
    whole = paint(name)
    assert (whole.frames, whole.damage) == (60, "")
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: len(content) // 2])
    report = paint(name)
    assert 10 < report.frames < 50
    assert report.damage.startswith(f"it breaks off after frame {report.frames}: " if says else "")
    assert bool(report.damage) == says
    assert read_frames("o.mp4")[0] == pytest.approx(times[: report.frames], abs=1e-3)


def test_a_damaged_middle_is_left_out_and_the_rest_painted(here):
    content = bytearray(write_film("film.mp4", 60, movflags="faststart").read_bytes())
    half = len(content) // 2
    content[half : half + 200] = np.random.default_rng(0).bytes(200)
    Path("film.mp4").write_bytes(content)
    report = paint("film.mp4")
    assert 50 < report.frames < 60 and "damaged piece" in report.damage
    times = read_frames("o.mp4")[0]
    assert len(times) == report.frames and (np.diff(times) > 0.05).all() and times[-1] > 5.5


def test_films_that_were_joined_are_named(here):
    first = write_film("film.ts", 24).read_bytes()
    Path("film.ts").write_bytes(first + first)
    report = paint("film.ts")
    assert report.frames >= 24
    assert re.fullmatch(r"\d+ frames were left out, as the time starts again .*: are these several films, joined\?.*",
                        report.damage)  # fmt: skip


@pytest.mark.parametrize(("rotation", "shape"), [(0, Fraction(4, 3)), (90, Fraction(3, 4))])
def test_pixels_that_are_not_square_stay_so(here, rotation, shape):
    write_film("film.mp4", 3, rotation=rotation, pixel=Fraction(4, 3))
    paint("film.mp4")
    with av.open("o.mp4") as film:
        assert film.streams.video[0].sample_aspect_ratio == shape


@pytest.mark.skipif(os.name != "posix", reason="links of Unix")
def test_a_link_stays_and_what_it_points_to_is_replaced(here):
    write_film("film.mp4", 3)
    Path("elsewhere").mkdir()
    Path("elsewhere/real.mp4").write_bytes(b"old")
    Path("o.mp4").symlink_to("elsewhere/real.mp4")
    paint("film.mp4")
    assert Path("o.mp4").is_symlink() and len(read_frames("elsewhere/real.mp4")[0]) == 3


def test_what_is_no_film_is_named(here):
    refuses(VideoError, "film.mp4 does not exist")
    Path("folder.mp4").mkdir()
    refuses(VideoError, "folder.mp4 does not exist", source="folder.mp4")
    Path("film.mp4").write_bytes(b"")
    refuses(VideoError, "film.mp4 cannot be read")
    Path("film.mp4").write_text("Dear diary, today I filmed a cat.\n" * 50)
    refuses(VideoError, "film.mp4 cannot be read: Invalid data")


def test_a_film_that_is_only_heard_is_named(here):
    with av.open("film.mp4", "w") as out:
        tone = out.add_stream("aac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "float32"), "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        out.mux([*tone.encode(frame), *tone.encode(None)])
    refuses(VideoError, "film.mp4 has no pictures in it, only audio")


def test_a_film_without_a_frame_is_named(here):
    content = write_film("film.mp4", 5, movflags="frag_keyframe+empty_moov").read_bytes()
    Path("film.mp4").write_bytes(content[: content.index(b"moof") - 4])  # the head says that there are pictures
    refuses(VideoError, "film.mp4 has no frame that can be read")


def test_frames_too_small_to_paint_are_refused(here):
    write_film("film.mp4", 3, (16, 96))
    refuses(PictureError, "film.mp4: the picture is 96 x 16", "needs at least 32", style=load_style(style_names()[0]))


# Settings and the place to write


@pytest.mark.parametrize(
    ("error", "settings", "message"),
    [
        (SettingsError, {"steady": -0.1}, "steady is -0.1"),
        (SettingsError, {"steady": 1.1}, "steady is 1.1: give a number from 0 to 1"),
        (SettingsError, {"steady": float("nan")}, "steady is nan"),
        (SettingsError, {"strength": 1.5}, "strength is 1.5: give a number from 0 to 1"),
        (SettingsError, {"strength": -1}, "strength is -1"),
        (SettingsError, {"size": 31}, "31"),
        (SettingsError, {"output": "o.gif"}, "cannot write o.gif: a film's name ends in one of .mp4, .mov, .mkv"),
        (SettingsError, {"output": "o"}, "cannot write o: a film's name"),
        (SettingsError, {"output": "film.mp4"}, "cannot write film.mp4: it is the input"),
        (SettingsError, {"output": "folder/../film.mp4"}, "it is the input"),
        (VideoError, {"output": "nowhere/o.mp4"}, "cannot write nowhere/o.mp4: the folder"),
        (VideoError, {"output": "folder.mp4"}, "cannot write folder.mp4: it is a folder"),
    ],
)
def test_settings_that_make_no_film(here, error, settings, message):
    write_film("film.mp4", 3)
    for name in ("folder", "folder.mp4"):
        Path(name).mkdir()
    refuses(error, message, **settings)


@pytest.mark.skipif(os.name != "posix", reason="Unix limits")
@pytest.mark.parametrize("output", ["o.mp4", "o.mkv"])
def test_a_full_disk_keeps_the_old_film_and_leaves_no_half_one(here, output):
    write_film("film.mp4", 40)
    Path(output).write_bytes(b"old")
    script = (
        "import resource, sys; import numpy as np; from nst_lib.fast.video import *; from nst_lib.errors import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        "class Noise:\n"
        "    def paint_frame(self, frame, *_): return np.random.random(frame.shape), None\n"
        "try: paint_video('film.mp4', sys.argv[1], Noise(), steady=0)\n"
        "except VideoError as problem: print(problem)"
    )
    result = subprocess.run([sys.executable, "-c", script, output], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"{output} cannot be written: File too large.")
    assert sorted(path.name for path in here.iterdir()) == ["film.mp4", output]
    assert Path(output).read_bytes() == b"old"


def test_a_film_that_cannot_be_put_in_its_place_leaves_nothing(here, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    write_film("film.mp4", 3)
    monkeypatch.setattr(os, "replace", fails)
    refuses(VideoError, "cannot write o.mp4: No space left on device")


# Flicker

STEP = (1.7, 0.6)  # pixels from frame to frame
MARGIN = 24


@pytest.fixture(scope="module")
def style():
    return load_style(style_names()[0])


@pytest.fixture(scope="module")
def cv2():
    return pytest.importorskip("cv2", reason="following what moves needs OpenCV: pip install opencv-python-headless")


@pytest.fixture(scope="module")
def pan(cv2):
    """12 frames (224, 320, 3) of a camera that moves by STEP: with its noise, and without."""
    photograph = load_image(ROOT / "data/content/china_temple.jpg", 480)
    clean = [moved(cv2, photograph, (-10 - STEP[0] * i, -10 - STEP[1] * i))[:224, :320] for i in range(12)]
    random = np.random.default_rng(0)
    return [np.clip(f + random.normal(0, 0.02, f.shape), 0, 1).astype("float32") for f in clean], clean


def moved(cv2, picture, by):
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], "float32")
    size = picture.shape[1::-1]
    return np.clip(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), 0, 1)


def inner(picture):
    return picture[MARGIN:-MARGIN, MARGIN:-MARGIN]


def flicker(cv2, film):
    """How far each frame is from the one before, moved as the camera was."""
    steps = [moved(cv2, before, (-STEP[0], -STEP[1])) - after for before, after in pairwise(film)]
    return np.mean([np.abs(inner(step)).mean() for step in steps])


def sharpness(cv2, film):
    return np.mean([np.abs(inner(cv2.Laplacian(frame, cv2.CV_32F))).mean() for frame in film])


def test_a_steady_film_flickers_less_and_is_as_sharp(cv2, style, pan):
    noisy, clean = pan
    restless, steadier = Steadier(style, 0), Steadier(style, 0.5)
    before, after = ([painter(frame) for frame in noisy][4:] for painter in (restless, steadier))
    assert flicker(cv2, after) <= 0.8 * flicker(cv2, before)
    assert sharpness(cv2, after) >= 0.8 * sharpness(cv2, [style(frame) for frame in clean[4:]])
    assert all(frame.min() >= 0 and frame.max() <= 1 for frame in after)


def test_not_steady_every_frame_is_painted_by_itself(style, pan):
    painter = Steadier(style, 0, 0.7)
    for frame in pan[0][:3]:
        np.testing.assert_array_equal(painter(frame), style(frame, 0.7))


def test_the_first_frame_is_the_picture(style, pan):
    np.testing.assert_array_equal(Steadier(style, 0.5)(pan[0][0]), style(pan[0][0]))


def test_the_normalisation_goes_on_from_frame_to_frame(cv2, pan):
    """By a running mean, of which most comes from the frames before."""
    given = []

    class Noted(Copy):
        def paint_frame(self, frame, strength=1.0, statistics=None, fixed=0.0):
            given.append((statistics, fixed))
            return frame.copy(), np.full(4, float(len(given)), "float32")

    steadier = Steadier(Noted(), 0.5)
    for frame in pan[1][:3]:
        steadier(frame)
    assert given[0] == (None, 0.0) and [fixed for _, fixed in given[1:]] == [0.8, 0.8]
    np.testing.assert_allclose(given[1][0], 1.0)
    np.testing.assert_allclose(given[2][0], 0.8 * 1 + 0.2 * 2)


def test_after_a_cut_nothing_of_the_old_scene_remains(cv2, style, pan):
    scene, other = pan[1][0], crop_to_fit(load_image(ROOT / "data/content/moose.jpg", 480), 224, 320)
    painter = Steadier(style, 1.0)
    for _ in range(3):
        painter(scene)
    old, new = style(scene), style(other)
    assert np.array_equal(painter(other), new) and not np.allclose(old, new, atol=0.2)


def test_opencv_is_needed_for_steady_films_only(here, style, monkeypatch):
    write_film("film.mp4", 3)
    monkeypatch.setitem(sys.modules, "cv2", None)
    refuses(SettingsError, "opencv-python-headless: pip install", steady=0.5)
    assert paint("film.mp4", style=style).frames == 3


def test_without_strength_the_film_is_as_it_was(here, style):
    write_film("film.mp4", 3)
    paint("film.mp4", style=style, strength=0)
    assert np.abs(read_frames("o.mp4")[1] - read_frames("film.mp4")[1]).mean() < 3
