"""The rows of the benchmark about the studio's panels, in JupyterLab and Chromium, on one machine with the kernel.

    python tools/bench.py studio_fast studio_steering studio_webcam studio_webcam_memory

The camera is Chromium's made-up one, at 30 frames a second. NST_SOAK_MINUTES changes how long the webcam's memory is watched.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from bench_common import QUICK, ROOT, result, row

sys.path.insert(0, str(ROOT / "tests" / "browser"))

# Move a slider as the mouse would; the milliseconds until another picture has been loaded.
MOVE = """async ([label, value]) => {
  const sliders = [...document.querySelectorAll('.nst-knob input[type=range]')];
  const slider = sliders.find(slider => slider.closest('label').textContent.trim() === label);
  const picture = document.querySelector('.nst-compare .nst-after');
  const loaded = new Promise(done => picture.addEventListener('load', () => done(performance.now()), { once: true }));
  const begun = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  slider.dispatchEvent(new Event('change', { bubbles: true }));
  const milliseconds = await loaded - begun;
  await new Promise(requestAnimationFrame);
  return milliseconds;
}"""
# The loss of the panel's painting after every step, and the seconds since Run was pressed.
LOSSES = """
import json, threading, time
trace, ended = [], threading.Event()
def watch():
    while not ended.wait(0.01):
        steps = list(panel.history)
        if steps and (not trace or steps[-1][0] > trace[-1][1]):
            trace.append((time.perf_counter() - began, steps[-1][0], steps[-1][1].loss))
watcher = threading.Thread(target=watch)
watcher.start()
began = time.perf_counter()
panel.run()
panel.worker.wait(300)
time.sleep(0.05)
ended.set(); watcher.join()
print(json.dumps(trace))
"""
CANCEL = """
import time
panel.run()
time.sleep(1)
began = time.perf_counter()
panel.cancel()
panel.worker.wait(60)
print(time.perf_counter() - began)
"""


@contextmanager
def open_panel(code: str) -> Iterator[object]:
    """A notebook whose only cell makes `panel`."""
    from driver import Notebook, running_browser, running_lab

    with tempfile.TemporaryDirectory() as home, running_browser(Path(home)) as browser, running_lab(Path(home)) as lab:
        page = browser.new_page()
        page.set_default_timeout(600_000)
        book = Notebook(page, lab, (code,), "bench")
        book.run_all()
        yield book


@row
def studio_fast() -> list[dict]:
    """`fast_studio`: from moving a slider to the picture, of 512 x 384."""
    photograph = str(ROOT / "data/content/chenonceau_castle.jpg")
    code = f"from nst_lib.studio import fast_studio\npanel = fast_studio({photograph!r})\npanel"
    with open_panel(code) as book:
        book.page.wait_for_function("() => document.querySelector('.nst-compare .nst-after').src")
        moves = [book.page.evaluate(MOVE, ["poppies", 0.01 * (1 + i % 99)]) for i in range(15 if QUICK else 110)][10:]
    detail = f"median {np.median(moves):.0f} ms of {len(moves)} moves"
    return [result("fast_studio, slider to picture, 512 px, 95 of 100", np.percentile(moves, 95), 150, "ms", detail)]


@row
def studio_steering() -> list[dict]:
    """`style_studio`: slider to first changed picture, seconds to a good picture, and Cancel to idle, at 256 px."""
    pair = [str(ROOT / path) for path in ("data/content/chelsea_cat.jpg", "data/style/hokusai_great_wave.jpg")]
    code = f"from nst_lib.studio import style_studio\npanel = style_studio(*{pair!r}, steps=300)\npanel"
    with open_panel(code) as book:
        book.run("panel.worker.wait(300)")
        if QUICK:
            book.run("panel.knobs['steps'].value = 30")
        traces = [json.loads(book.run(LOSSES)) for _ in range(1 if QUICK else 5)]
        good = [next(seconds for seconds, _, loss in trace if loss <= 1.05 * trace[-1][2]) for trace in traces]
        idle = [float(book.run(CANCEL)) for _ in range(3 if QUICK else 10)]
        book.run("panel.knobs['steps'].value = 10; panel.run(); panel.worker.wait(300)")
        moves = []
        for i in range(4 if QUICK else 40):
            moves.append(book.page.evaluate(MOVE, ["style", 80 + 40 * (i % 2)]) / 1000)
            book.run("panel.worker.wait(300)")
    detail = f"median {np.median(moves):.2f} s of {len(moves)} moves"
    evaluations = f"median of {len(good)}, {min(good):.2f} to {max(good):.2f} s; {traces[0][-1][0]:.1f} s in all"
    return [
        result(
            "style_studio, slider to changed picture, 256 px, 95 of 100",
            np.percentile(moves, 95),
            1.0,
            "s",
            detail,
        ),
        result(
            "style_studio, Run to within 5 % of the loss after 300 evaluations, 256 px",
            np.median(good),
            4.0,
            "s",
            evaluations,
        ),
        result("style_studio, Cancel to idle, 256 px, at most", max(idle), 0.3, "s", f"of {len(idle)}"),
    ]


@row
def studio_webcam() -> list[dict]:
    """`webcam_studio` at 640 x 480: frame taken from the camera to its painting drawn, and frames a second."""
    with open_panel("from nst_lib.studio import webcam_studio\npanel = webcam_studio()\npanel") as book:
        book.panel.get_by_role("button", name="Start camera").click()
        book.page.wait_for_timeout(5_000 if QUICK else 60_000)
        found = json.loads(book.run("import json; print(json.dumps(panel.camera.counters))"))
    detail = f"median {found['p50']:.0f} ms, of which the kernel {found['kernel']:.0f} ms; {found['frames']} frames"
    pace = f"{found['fps']:.1f} frames a second; 83.3 ms are the bar of 12"
    return [
        result("webcam_studio, camera to painting drawn, 640 x 480, 95 of 100", found["p95"], 150, "ms", detail),
        result(
            "webcam_studio, from one painting to the next, 640 x 480, mean", 1000 / found["fps"], 1000 / 12, "ms", pace
        ),
    ]


@contextmanager
def lone_browser(folder: str) -> Iterator[str]:
    """The address of a Chromium that needs nobody to hold it."""
    from driver import CHROMIUM, find_chromium

    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [find_chromium(), "--headless=new", f"--remote-debugging-port={address.rsplit(':')[-1]}", *CHROMIUM]
    command += [f"--user-data-dir={folder}", "--window-size=1280,1000", "about:blank"]
    chromium = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{address}/json/version").close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        chromium.terminate()
        chromium.wait(30)


@contextmanager
def driven(address: str) -> Iterator[object]:
    """The page of that Chromium, in Playwright's hand for a while."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        page = playwright.chromium.connect_over_cdp(address).contexts[0].pages[0]
        page.set_default_timeout(600_000)
        yield page


@row
def studio_webcam_memory() -> list[dict]:
    """What `webcam_studio` adds to the memory of kernel and browser after two minutes to warm up. Meanwhile the browser's
    driver lets go of it: as long as it listens, Chromium grows by 90 MB and more, which it does not without."""
    from driver import Notebook, running_lab

    minutes = float(os.environ.get("NST_SOAK_MINUTES", "0.5" if QUICK else "10"))
    code = "from nst_lib.studio import webcam_studio\npanel = webcam_studio()\npanel"
    with (
        tempfile.TemporaryDirectory() as home,
        tempfile.TemporaryDirectory() as profile,
        running_lab(Path(home)) as lab,
        lone_browser(profile) as address,
    ):
        with driven(address) as page:
            book = Notebook(page, lab, (code,), "bench")
            book.run_all()
            kernel = psutil.Process(int(book.run("import os; print(os.getpid())")))
            book.panel.get_by_role("button", name="Start camera").click()
            book.panel.get_by_text("frames a second").wait_for()
        time.sleep(min(120, 20 * minutes))  # until the browser has filled its pools
        samples = []
        for _ in range(max(4, round(6 * minutes))):
            samples.append((megabytes([kernel]), megabytes(browser_processes())))
            time.sleep(60 * minutes / max(4, round(6 * minutes)))
        with driven(address) as book.page:
            frames = json.loads(book.run("import json; print(json.dumps(panel.camera.counters))"))["frames"]
    third = max(1, len(samples) // 3)
    before, after = np.median(samples[:third], axis=0), np.median(samples[-third:], axis=0)
    detail = (
        f"kernel {before[0]:.0f} to {after[0]:.0f} MB, browser {before[1]:.0f} to {after[1]:.0f} MB; {frames} frames"
    )
    what = f"webcam_studio, memory gained in {minutes:g} minutes, kernel and browser"
    return [result(what, (after - before).sum(), 50, "MB", detail)]


def browser_processes() -> list[psutil.Process]:
    """Chromium's, which this process has started."""
    return [child for child in psutil.Process().children(recursive=True) if "chrom" in child.name()]


def megabytes(processes: list[psutil.Process]) -> float:
    """What they have to themselves."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().uss
        except psutil.Error:  # it has ended
            continue
    return total / 1e6
