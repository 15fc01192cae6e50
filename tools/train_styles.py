"""Train the shipped styles: `python tools/train_styles.py --photos DIR [--vgg16 FILE]`. Stopped, it goes on where it was.

First against the pocket VGG, which is quick, then, for the last word, against VGG16, which is not so easily pleased: a
network can learn patterns that only the pocket VGG takes for brush strokes.
"""

import argparse
import signal
from pathlib import Path

from nst_lib.engine import start_engine
from nst_lib.fast.styles import SHIPPED_FILE, StyleFile
from nst_lib.images import load_image

ROOT = Path(__file__).parents[1]
STYLES = {
    "great_wave": "hokusai_great_wave",
    "poppies": "hokusai_poppies",
    "inokashira_snow": "hiroshige_inokashira_snow",
    "composition_viii": "kandinsky_composition_viii",
    "summertime": "cassatt_summertime",
    "moulin_galette": "renoir_moulin_galette",
    "cafe_terrace": "vangogh_cafe_terrace",
    "church_auvers": "vangogh_church_auvers",
}
PHASES = (  # the judge, minutes on two cores, style weight, photographs in a batch, the side of their cuts, learning rate
    ("pocket", 12, 0.12, 4, 176, 2e-3),
    ("vgg16", 46, 0.22, 4, 176, 1e-3),
    ("vgg16", 25, 0.25, 4, 176, 1e-3),
    ("vgg16", 55, 0.18, 8, 176, 1.5e-3),
    ("vgg16", 22, 0.19, 4, 256, 1e-3),
    ("vgg16", 600, 0.19, 8, 256, 1.5e-3),  # three minutes on a GPU
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, help="a folder of some hundred photographs or more")
    parser.add_argument("--vgg16", help="VGG16's weights; by default those that `nst fetch vgg16` stored")
    parser.add_argument(
        "--pace", type=float, default=1, help="0.1 where a GPU sees ten times as many photographs a second"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "out", help="where checkpoints and samples go")
    parser.add_argument("--out", type=Path, default=SHIPPED_FILE)
    options = parser.parse_args()
    start_engine()
    from nst_lib.fast.training import train

    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    options.work.mkdir(exist_ok=True)
    paintings = {name: load_image(ROOT / "data" / "style" / f"{file}.jpg") for name, file in STYLES.items()}
    start = None
    for phase, (backbone, minutes, weight, batch, crop, rate) in enumerate(PHASES, 1):
        out = options.work / f"styles_{phase}.npz" if phase < len(PHASES) else options.out
        if phase < len(PHASES) and out.is_file():
            start = StyleFile.load(out)
            continue
        checkpoint = options.work / f"styles_{phase}.checkpoint.npz"
        trained = train(
            paintings,
            options.photos,
            minutes=options.pace * minutes,
            style_weight=weight,
            batch=batch,
            crop=crop,
            learning_rate=rate,
            start=start,
            backbone=backbone,
            weights=options.vgg16 if backbone == "vgg16" else None,
            seed=phase,
            checkpoint=checkpoint,
            resume=checkpoint.is_file(),
            samples=options.work / f"styles_{phase}.samples.png",
            should_stop=lambda: signals,
            progress=True,
        )
        if trained is None:
            return
        start = trained
        trained.save(out)
        checkpoint.unlink(missing_ok=True)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
