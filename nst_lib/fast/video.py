"""Films: every frame painted, at its own time, and the sound copied. PyAV reads and writes, OpenCV follows what moves."""

import functools
import io
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nst_lib.errors import PictureError, SettingsError, VideoError, check_number
from nst_lib.fast.styles import Style
from nst_lib.files import atomic_path
from nst_lib.images import MIN_SIDE, resize

FORMATS = (".mp4", ".mov", ".mkv")  # of what is written; whatever FFmpeg knows is read
SUFFIXES = (*FORMATS, ".avi", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv", ".flv", ".ts", ".ogv")
BT709 = 1  # the same number of H.264 for matrix, primaries and transfer; as the range, 1 is that of video, 16 to 235
QUALITY = "18"  # x264's: smaller is better and larger; at 18 the difference can hardly be seen
FLOW_SIDE = 320  # pixels: the long side at which movement is measured
TOLERANCE = 0.06  # a difference in brightness of this much, after following the movement, is something new
CUT = 0.4  # of a frame, followed from the one before; with less, a scene begins (found: 0.3 at most; in pans 0.7 at least)
DETAIL = 2.0  # pixels: what is finer than this is detail
MISSING = 1.0  # seconds: a film that ends this much before its end is broken off
CALM = 0.8  # of a steady film's normalisation, what comes from the frames before


@dataclass
class VideoReport:
    """What became of a film.

    Attributes:
        frames: those written.
        size: their height and width.
        sound: whether there is sound in it.
        damage: what was wrong with the source, in words, or "".
    """

    frames: int = 0
    size: tuple[int, int] = (0, 0)
    sound: bool = False
    damage: str = ""


def paint_video(
    source: str | os.PathLike,
    output: str | os.PathLike,
    style: Style,
    *,
    size: int | None = None,
    strength: float = 1.0,
    steady: float = 0.5,
    on_frame: Callable[[int, int], object] = lambda frame, frames: None,
    should_stop: Callable[[], object] = lambda: False,
) -> VideoReport:
    """Paint a film, frame by frame, into an H.264 film.

    Every frame keeps its own time, so that films with a variable frame rate stay as they are; sound is copied as it is, or
    becomes AAC where such a file cannot hold it, as Windows Media's. The file takes its place only when it is complete, or
    as far as it got when stopped or where the source is broken off.

    Args:
        source: a film in any format that FFmpeg reads.
        output: .mp4, .mov or .mkv.
        style: see `load_style`.
        size: of the long side in pixels; None keeps it. Odd heights and widths gain a row or column: H.264 wants even ones.
        strength: from 0, the photograph, to 1, the pastiche.
        steady: from 0, every frame for itself, to 1: see `Steadier`.
        on_frame: called after every frame with its number and the number of all (0 if unknown).
        should_stop: asked after every frame.

    Raises:
        SettingsError: for bad settings, an output that is the source, or if PyAV or OpenCV is not installed.
        VideoError: if the source is no film, or has no frame that can be read, or the output cannot be written.
        PictureError: if its frames are too small.
    """
    av = import_package("av", "av")
    source, output = Path(source), Path(output)
    if output.suffix.lower() not in FORMATS:
        raise SettingsError(f"cannot write {output}: a film's name ends in one of {', '.join(FORMATS)}.")
    for name, value in (("steady", steady), ("strength", strength)):
        check_number(name, value, 0, 1)
    if not source.is_file():
        raise VideoError(f"{source} does not exist. Check the spelling.")
    if os.path.realpath(output) == os.path.realpath(source):
        raise SettingsError(f"cannot write {output}: it is the input. Choose another name.")
    report = VideoReport()
    with atomic_path(output, VideoError) as unfinished:
        try:
            with av.open(str(source)) as film, av.open(str(unfinished), "w") as out:
                if not film.streams.video:
                    raise VideoError(f"{source} has no pictures in it, only {', '.join(s.type for s in film.streams)}.")
                _transcode(av, film, out, Steadier(style, steady, strength), size, report, on_frame, should_stop)
        except PictureError as problem:  # of a frame
            raise PictureError(f"{source}: {problem}") from problem
        except av.error.FFmpegError as problem:
            where = "be written" if report.frames else "be read"
            which = output if report.frames else source
            raise VideoError(
                f"{which} cannot {where}: {problem.strerror or problem}. Is it a film, and is there space?"
            ) from problem
        if not report.frames:
            why = f" ({report.damage})" if report.damage else ""
            raise VideoError(f"{source} has no frame that can be read{why}. Copy or download it again.")
    return report


def _transcode(
    av: Any,
    film: Any,
    out: Any,
    steadier: "Steadier",
    size: int | None,
    report: VideoReport,
    on_frame: Callable[[int, int], object],
    should_stop: Callable[[], object],
) -> None:
    pictures = film.streams.video[0]
    pictures.thread_type = "AUTO"
    painted = None
    sounds: dict[int, _Sound] = {}
    waiting: list[Any] = []  # packets of sound that come before the first frame, with which the file is begun
    for kind, item in _demux(av, film, pictures, report):
        if kind == "sound":
            waiting.append(item)
        else:
            frame = _upright(item)
            if size is not None:
                frame = resize(frame, size)
            if painted is None:
                painted = _begin(out, pictures, frame, turned=bool(_quarter_turns(item) % 2))
                sounds = {stream.index: _Sound(av, out, stream) for stream in film.streams.audio}
                report.size, report.sound = (painted.height, painted.width), bool(sounds)
            pixels = np.rint(_even(steadier(frame)) * 255).astype("uint8")
            encoded = encode_colors(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
            encoded.pts, encoded.time_base = item.pts, item.time_base
            out.mux(painted.encode(encoded))
            report.frames += 1
            on_frame(report.frames, pictures.frames)
        if painted is not None:
            for packet in waiting:
                out.mux(sounds[packet.stream.index].packets(packet))
            waiting.clear()
        if report.frames and should_stop():
            break
    if painted is not None:
        for sound in sounds.values():
            out.mux(sound.rest())
        out.mux(painted.encode(None))


class _Sound:
    """A stream of sound on its way into another file: copied, or as AAC if such a file cannot hold it as it is."""

    def __init__(self, av: Any, out: Any, source: Any):
        self._av, self._source, self._copied = av, source, _holds(av, out.format.name, source)
        if self._copied:
            self._stream = out.add_stream_from_template(source)
        else:
            rate = min(av.codec.Codec("aac", "w").audio_rates, key=lambda rate: abs(rate - source.rate))
            self._stream = out.add_stream("aac", rate=rate, layout="mono" if source.channels == 1 else "stereo")

    def packets(self, packet: Any) -> list[Any]:
        """What is to be written for a packet of the source."""
        if self._copied:
            packet.stream = self._stream
            return [packet]
        try:
            return [new for frame in packet.decode() for new in self._stream.encode(frame)]
        except self._av.error.InvalidDataError:  # a moment without sound is no reason to lose the film
            return []

    def rest(self) -> list[Any]:
        """What is still to be written after the last packet."""
        if self._copied:
            return []
        late = [new for frame in self._source.decode(None) for new in self._stream.encode(frame)]
        return [*late, *self._stream.encode(None)]


def _holds(av: Any, kind: str, source: Any) -> bool:
    """Whether a file of this kind can hold a stream of sound as it is: tried with one in memory."""
    if kind == "mp4" and source.codec_context.name.startswith("pcm"):
        return False  # not always, which shows at its end only, and few players know it
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            trial.add_stream_from_template(source)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):  # ValueError: PyAV's own
        return False
    return True


def _demux(av: Any, film: Any, pictures: Any, report: VideoReport) -> Iterator[tuple[str, Any]]:
    """("frame", frame) and ("sound", packet) in the order of the file, as far as it can be read."""
    bad, backwards, last, end = 0, 0, -math.inf, 0.0
    timed, starts = film.format.name != "avi", deque[int]()  # AVI says when a frame is decoded, not when it is shown
    try:
        for packet in film.demux(pictures, *film.streams.audio):
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.type == "audio":
                if packet.dts is not None:
                    yield "sound", packet
                continue
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                bad += 1
                continue
            if packet.dts is not None and not timed:
                starts.append(packet.dts)
            for frame in frames:
                if starts:
                    frame.pts = starts.popleft()
                if frame.pts is not None and frame.pts > last:
                    last = frame.pts
                    yield "frame", frame
                elif frame.pts is not None and (last - frame.pts) * frame.time_base > MISSING:
                    backwards += 1
                else:  # next to damage, a decoder can mistake the order
                    bad += 1
    except av.error.FFmpegError as problem:
        report.damage = f"it breaks off after frame {report.frames}: {problem.strerror}"
    else:  # most formats just end where the rest is missing; some say at their head how long they should be
        begin, length = ((number or 0) / av.time_base for number in (film.start_time, film.duration))
        if end - begin < length - MISSING:
            report.damage = f"it breaks off after frame {report.frames}: {end - begin:.1f} of {length:.1f} s are there"
    if backwards and not report.damage:
        report.damage = (
            f"{backwards} frames were left out, as the time starts again before them: are these several films, joined? Paint "
            "them one by one"
        )
    if bad:
        report.damage = report.damage or f"{bad} damaged {'piece was' if bad == 1 else 'pieces were'} left out"


def _begin(out: Any, source: Any, frame: np.ndarray, turned: bool) -> Any:
    height, width = (length + length % 2 for length in frame.shape[:2])
    stream = add_h264(out, height, width, source.average_rate or 25, source.time_base or Fraction(1, 90000))
    if shape := source.sample_aspect_ratio:  # of a pixel: those of HDV and DVD are not square
        stream.codec_context.sample_aspect_ratio = 1 / shape if turned else shape
    return stream


def add_h264(out: Any, height: int, width: int, rate: Fraction | int, time_base: Fraction) -> Any:
    """Add a stream of H.264 to a file that PyAV writes, which takes frames that went through `encode_colors`."""
    stream = out.add_stream("libx264", rate=rate, options={"crf": QUALITY, "preset": "veryfast"})
    stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
    codec = stream.codec_context
    codec.time_base = time_base
    codec.colorspace = codec.color_primaries = codec.color_trc = codec.color_range = BT709
    return stream


def encode_colors(frame: Any) -> Any:
    """A PyAV frame in RGB as H.264 wants it: in the luma and chroma of BT.709 (video range), which players expect of HD."""
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def _upright(frame: Any) -> np.ndarray:
    pixels = frame.to_ndarray(format="rgb24").astype("float32") / 255
    return np.ascontiguousarray(np.rot90(pixels, k=_quarter_turns(frame)))


def _quarter_turns(frame: Any) -> int:
    return round(getattr(frame, "rotation", 0) / 90)


def _even(frame: np.ndarray) -> np.ndarray:
    h, w = frame.shape[:2]
    return np.pad(frame, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")


class Steadier:
    """Paints the frames of a film so that they do not flicker.

    A network sees every frame afresh: the noise of the camera is enough to move its strokes. Two things calm it, until
    the scene changes. The normalisation uses a running mean of the frames' statistics. And where a frame shows what the
    one before showed, moved or not (by DIS optical flow: Kroeger et al. 2016), the new strokes are mixed with the old
    ones, which are carried along; where something new appears, they are not. What carrying and mixing take from the fine
    detail is given back. (Carried by Lanczos' kernel, frames lose 12 % of their sharpness at most, for 14 % by the cubic
    one, which takes a quarter of the time.)

    Args:
        style: see `load_style`.
        steady: how much of the old strokes remains, where nothing is new: from 0, every frame for itself, to 1.
        strength: from 0, the photograph, to 1, the pastiche.
    """

    def __init__(self, style: Style, steady: float = 0.5, strength: float = 1.0):
        self.style, self.steady, self.strength = style, steady, strength
        self._statistics: np.ndarray | None = None
        self._before: tuple[np.ndarray, np.ndarray] | None = None  # brightness of the last frame, and its pastiche
        if steady:
            self._cv2 = import_package("cv2", "opencv-python-headless")
            self._flow = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The pastiche of the next frame; both (h, w, 3) in [0, 1]."""
        if not self.steady:
            return self.style.paint_frame(frame, self.strength)[0]
        grey = self._brightness(frame)
        carried = None
        if self._before is not None and self._before[1].shape == frame.shape:
            old, sure = self._carried(grey, *self._before)
            carried = (old, sure) if sure.mean() > CUT else None
        known = self._statistics if carried else None  # those of another scene would give this one its contrast
        fixed = 0.0 if known is None else CALM
        pastiche, own = self.style.paint_frame(frame, self.strength, known, fixed)
        self._statistics = own if known is None else own + fixed * (known - own)
        if carried:
            old, sure = carried
            mixed = pastiche + self.steady * sure[..., None] * (old - pastiche)
            pastiche = np.clip(self._as_crisp_as(pastiche, mixed), 0, 1)
        self._before = grey, pastiche.copy()
        return pastiche

    def _as_crisp_as(self, fresh: np.ndarray, mixed: np.ndarray) -> np.ndarray:
        """`mixed` with as much fine detail as `fresh`: strokes that do not agree grow faint when they are mixed."""
        soft, fresh_soft = (self._cv2.GaussianBlur(picture, (0, 0), DETAIL) for picture in (mixed, fresh))
        energy, left = (self._cv2.norm(*pair, self._cv2.NORM_L2SQR) for pair in ((fresh, fresh_soft), (mixed, soft)))
        gain = float(np.sqrt(np.clip(energy / (left + 1e-9), 1, 4)))
        return self._cv2.addWeighted(mixed, gain, soft, 1 - gain, 0)

    def _brightness(self, frame: np.ndarray) -> np.ndarray:
        scale = min(1.0, FLOW_SIDE / max(frame.shape[:2]))
        size = (max(MIN_SIDE, round(frame.shape[1] * scale)), max(MIN_SIDE, round(frame.shape[0] * scale)))
        return self._cv2.resize(self._cv2.cvtColor(frame, self._cv2.COLOR_RGB2GRAY), size, interpolation=3)

    def _carried(
        self, grey: np.ndarray, grey_before: np.ndarray, pastiche: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The last pastiche moved to where things are now, and how sure that is, from 0 to 1, at every pixel."""
        cv2, (h, w) = self._cv2, pastiche.shape[:2]
        now, before = (np.rint(picture * 255).astype("uint8") for picture in (grey, grey_before))
        flow = self._flow.calc(now, before, None)  # where each pixel was
        seen = _moved(cv2, grey_before, flow, cv2.INTER_LINEAR)
        difference = cv2.GaussianBlur(np.abs(seen - grey), (0, 0), 1.5)
        sure = np.exp(-np.square(difference / TOLERANCE))
        scale = np.array([w / grey.shape[1], h / grey.shape[0]], "float32")
        flow = cv2.resize(flow, (w, h), interpolation=cv2.INTER_LINEAR) * scale
        return _moved(cv2, pastiche, flow, cv2.INTER_CUBIC), cv2.resize(sure, (w, h), interpolation=cv2.INTER_LINEAR)


def _moved(cv2: Any, picture: np.ndarray, flow: np.ndarray, interpolation: int) -> np.ndarray:
    places = flow + _places(*flow.shape[:2])
    return cv2.remap(picture, places, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


@functools.lru_cache(maxsize=4)
def _places(height: int, width: int) -> np.ndarray:
    """Where each pixel is: (height, width, 2), across and down."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype("float32")


def import_package(module: str, package: str) -> Any:
    """A module. Raises SettingsError, with what to install, if its package is not there."""
    try:
        return __import__(module)
    except ImportError as problem:
        raise SettingsError(f"films need the package {package}: pip install {package}.") from problem
