"""Use the studio's panels in Chromium, and film it: film_studio.py [NAME ...] [--stills FOLDER], by default every panel.

Writes the README's animations, docs/gallery/NAME.gif. With --stills, the frames are kept there as PNG files as well.
"""

import argparse
import base64
import io
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "docs/gallery"
sys.path.insert(0, str(ROOT / "tests/browser"))
from driver import Notebook, running_browser, running_lab  # noqa: E402

LARGEST = 700_000  # bytes
WIDTH = 960  # pixels of the page that is filmed


class Film:
    """Frames of a panel, each with the milliseconds for which it is seen."""

    def __init__(self, book: Notebook):
        self.book = book
        self.frames: list[tuple[Image.Image, int]] = []

    def take(self, milliseconds: int = 120) -> None:
        """Photograph the panel."""
        shown = Image.open(io.BytesIO(self.book.panel.screenshot(scale="css"))).convert("RGB")
        self.frames.append((shown, milliseconds))

    def save(self, path: Path, width: int = 640, height: int = 470, colors: int = 128) -> None:
        """Write an animation of the panel's upper part that stays on its last frame for three seconds."""
        frames = []
        for frame, _ in self.frames:
            fitted = frame.resize((width, round(frame.height * width / frame.width)), Image.Resampling.LANCZOS)
            frames.append(Image.new("RGB", (width, min(height, self._tallest(width))), "white"))
            frames[-1].paste(fitted, (0, 0))
        sheet = Image.new("RGB", (width, frames[0].height * len(frames)))
        for place, frame in enumerate(frames):  # every style that is seen must have its colours in the palette
            sheet.paste(frame, (0, place * frame.height))
        palette = sheet.quantize(colors)
        first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
        waits = [wait for _, wait in self.frames[:-1]] + [3000]
        first.save(path, save_all=True, append_images=rest, duration=waits, loop=0, optimize=True)
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {len(frames)} frames, {size / 1000:.0f} KB", flush=True)
        if size > LARGEST:
            raise SystemExit(f"{path} is larger than {LARGEST / 1000:.0f} KB: take fewer or smaller frames.")

    def _tallest(self, width: int) -> int:
        return max(round(frame.height * width / frame.width) for frame, _ in self.frames)


def press(book: Notebook, name: str) -> None:
    book.panel.get_by_role("button", name=name, exact=True).click()


def film_style_studio(open_notebook: Callable[..., Notebook]) -> Film:
    book = open_notebook(
        "from nst_lib.studio import style_studio\n\n"
        f"panel = style_studio('{ROOT}/data/content/kingfisher.jpg', '{ROOT}/data/style/hokusai_great_wave.jpg')\npanel"
    )
    book.run("panel.worker.wait(120)")
    film = Film(book)
    film.take(900)
    press(book, "Run")
    take_until(film, "Finished after")
    slider = book.panel.get_by_role("slider", name="style", exact=True)
    for _ in range(2):
        slider.press("PageUp")
        film.take(250)
    take_until(film, "Finished after")
    divider = book.panel.locator(".nst-compare input")
    for _ in range(4):
        divider.press("PageUp")
        film.take(150)
    for _ in range(4):
        divider.press("PageDown")
        film.take(150)
    press(book, "Save")
    book.panel.get_by_text("Saved").wait_for()
    film.take(1500)
    return film


def film_layer_explorer(open_notebook: Callable[..., Notebook]) -> Film:
    book = open_notebook(
        f"from nst_lib.studio import layer_explorer\n\npanel = layer_explorer('{ROOT}/data/content/chelsea_cat.jpg')\npanel"
    )
    film = Film(book)
    for layer, channels in (("block1_conv2", (18, 4)), ("block3_conv3", (54, 62)), ("block4_conv3", (98, 11)),
                            ("block5_conv1", (39,))):  # fmt: skip
        book.panel.get_by_label("layer").select_option(layer)
        book.panel.locator(f"svg[aria-label^='{layer},']").wait_for()
        for channel in channels:
            book.run(f"panel.channel.value = {channel}; panel.worker.wait(60)")
            book.panel.locator(f"svg[aria-label*='{layer}, channel {channel},']").wait_for()
            book.page.wait_for_timeout(300)
            film.take(1100)
    return film


def take_until(film: Film, text: str, every: int = 900) -> None:
    """Film until the panel says `text`."""
    film.book.page.wait_for_timeout(every)
    while not film.book.panel.get_by_text(text).count():
        film.take()
        film.book.page.wait_for_timeout(every)
    film.take(700)


def film_fast_studio(open_notebook: Callable[..., Notebook]) -> Film:
    book = open_notebook(
        "from nst_lib.studio import fast_studio\n\n"
        f"import os\n\nos.chdir({str(ROOT)!r})\n"
        "panel = fast_studio('data/content/chenonceau_castle.jpg')\npanel"
    )
    film = Film(book)
    settle(book)
    film.take(900)
    for name, values in {"composition_viii": range(20, 101, 20), "great_wave": range(80, -1, -20)}.items():
        box = book.panel.get_by_label(f"{name}, as a number")
        for value in values:
            box.fill(str(value / 100))
            box.press("Enter")
            settle(book)
            film.take(200)
    only = book.panel.get_by_role("button", name="only")
    for style in (6, 7, 4):
        only.nth(style).click()
        settle(book)
        film.take(900)
    divider = book.panel.locator(".nst-compare input")
    for _ in range(5):
        divider.press("PageUp")
        film.take(120)
    press(book, "Save")
    book.panel.get_by_text("Saved").wait_for()
    film.take(1500)
    return film


def settle(book: Notebook) -> None:
    """Wait until what the knobs ask for is painted and shown."""
    book.run("panel.worker.wait(60)")
    book.page.wait_for_timeout(250)


def film_webcam_studio(open_notebook: Callable[..., Notebook]) -> Film:
    """With a photograph, which moves a little, in the place of the camera."""
    book = open_notebook("from nst_lib.studio import webcam_studio\n\npanel = webcam_studio()\npanel")
    portrait = base64.b64encode((ROOT / "data/content/astronaut.jpg").read_bytes()).decode()
    book.page.evaluate(MOVING_PHOTOGRAPH, f"data:image/jpeg;base64,{portrait}")
    book.panel.get_by_role("button", name="Start camera").wait_for()
    film = Film(book)
    film.take(800)
    press(book, "Start camera")
    book.panel.get_by_text("frames a second").wait_for()
    only = book.panel.get_by_role("button", name="only")
    for style in (0, 6, 4):
        only.nth(style).click()
        book.page.wait_for_timeout(1500)
        for _ in range(3):
            film.take(300)
    press(book, "Snapshot")
    book.panel.get_by_text("Saved").wait_for()
    film.take(1500)
    press(book, "Stop")
    return film


MOVING_PHOTOGRAPH = """async (address) => {
  const photograph = new Image();
  photograph.src = address;
  await photograph.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
  const pen = canvas.getContext('2d');
  const draw = (time) => {
    const [scale, sway] = [1.32 + 0.05 * Math.sin(time / 1700), 25 * Math.sin(time / 1300)];
    const side = 512 * scale;
    pen.drawImage(photograph, 320 - side / 2 + sway, -30, side, side);
    requestAnimationFrame(draw);
  };
  draw(0);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(30);
}"""
FILMS: dict[str, Callable[..., Film]] = {
    "style_studio": film_style_studio,
    "layer_explorer": film_layer_explorer,
    "fast_studio": film_fast_studio,
    "webcam_studio": film_webcam_studio,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"{', '.join(FILMS)} (default: all)")
    parser.add_argument("--stills", metavar="FOLDER", type=Path, help="keep the frames there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, running_browser(Path(home)) as browser, running_lab(Path(home)) as lab:
        for name in options.names or FILMS:
            page = browser.new_page()
            page.set_viewport_size({"width": WIDTH, "height": 1400})

            def open_notebook(*cells: str, page: Any = page, name: str = name) -> Notebook:
                book = Notebook(page, lab, cells, re.sub(r"\W", "_", name))
                book.run_all()
                return book

            film = FILMS[name](open_notebook)
            if options.stills:
                options.stills.mkdir(parents=True, exist_ok=True)
                for number, (frame, _) in enumerate(film.frames):
                    frame.save(options.stills / f"{name}_{number:03}.png")
            film.save(GALLERY / f"{name}.gif")
            for session in lab.ask("sessions"):
                lab.ask(f"sessions/{session['id']}", "DELETE")
            page.close()


if __name__ == "__main__":
    main()
