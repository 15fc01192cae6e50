"""Distil the pocket VGG from VGG16 or VGG19, or score a pocket VGG:

    python tools/distill_pocket.py PHOTOS --out FILE.npz [--teacher vgg16] [--steps 20000]    stopped, it goes on where it was
    python tools/distill_pocket.py --score nst_lib/assets/pocket_vgg.npz

The student learns, layer by layer, a projection of its channels onto the teacher's, and to have the teacher's activations and
Gram matrices under it. A third of what it sees are pictures that are being painted on the student's own loss at that moment:
without them, an optimiser finds noise that the student cannot see. The teacher's activations are divided by their root mean
square, without which the student learns five times more slowly. In the end, each projection P becomes a square head
(P P^T)^(1/2): inner products, hence Gram matrices and distances, stay those of the projected activations.

What counts is the score: pictures optimised on the student, judged by the teacher. Bundled photographs and the paintings of
PAIRS are kept for it; the other paintings, and PHOTOS, are what the student learns from.
"""

import argparse
import math
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from distill_parts import LAYERS, ROOT, Easels, Pictures, Student
from keras import ops
from tqdm.auto import tqdm

import nst_lib
from nst_lib import autodiff, checkpoints
from nst_lib.errors import CheckpointError, NSTError
from nst_lib.files import atomic_write, check_writable
from nst_lib.losses import STYLE_GAIN

PAIRS = (
    ("astronaut", "hokusai_great_wave"), ("berlin_cathedral", "kandinsky_composition_viii"),
    ("canyon_de_chelly", "vangogh_church_auvers"), ("chelsea_cat", "cassatt_summertime"),
    ("chenonceau_castle", "hokusai_poppies"), ("china_temple", "vangogh_cafe_terrace"),
    ("coffee_cup", "bruegel_harvesters"), ("eilean_donan_castle", "renoir_moulin_galette"),
    ("great_wall", "arcimboldo_spring"), ("kingfisher", "hiroshige_inokashira_snow"),
    ("lemurs", "hubble_deep_field"), ("neuschwanstein_castle", "vangogh_night_cafe"),
)  # fmt: skip
CHECKPOINT_SECONDS = 300


class Run:
    """A distillation: what is learnt, and from what, in a checkpoint from which it goes on exactly."""

    def __init__(self, options: argparse.Namespace):
        check_writable(options.out)
        self.options, self.step = options, 0
        self.checkpoint = options.out.with_suffix(".checkpoint.npz")
        dtype = autodiff.fastest_dtype()
        teacher = nst_lib.load_backbone(options.teacher, options.weights, dtype=dtype)
        teacher.check_layers(LAYERS)
        keras.utils.set_random_seed(options.seed)
        self.pictures = Pictures(options.photos, {style for _, style in PAIRS}, options.side, options.seed)
        self.easels = Easels(self.pictures, options.easels, dtype)
        seen = teacher(self.pictures.batch(-1 % 2**32, 32), LAYERS)
        sizes = {layer: float(ops.sqrt(ops.mean(ops.square(ops.cast(a, "float32"))))) for layer, a in seen.items()}
        self.student = Student(teacher, sizes, dtype)
        warm_up = max(1, min(200, options.steps // 10))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, options.steps - warm_up), alpha=1e-3, warmup_target=options.rate, warmup_steps=warm_up
        )
        averaging = max(0.0, min(0.999, 1 - 20 / options.steps))
        optimizer = keras.optimizers.AdamW(
            rate, 1e-5, beta_2=0.99, global_clipnorm=5.0, use_ema=True, ema_momentum=averaging
        )
        self.student.compile(optimizer, jit_compile=autodiff.keras_jit())
        optimizer.build(self.student.trainable_variables)
        named = ("teacher", "steps", "batch", "on_easels", "easels", "side", "rate", "seed")
        self.settings = {name: getattr(options, name) for name in named} | {"photographs": len(self.pictures.photos)}

    def learn(self) -> bool:
        """Go on to the last step, or to a signal to stop: whether it is finished."""
        signals: list[int] = []
        usual = {
            number: signal.signal(number, lambda received, _: signals.append(received))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        saved, options = time.monotonic(), self.options
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            ahead = deque(pool.submit(self.pictures.batch, self.step + i, options.batch) for i in range(8))
            bar = tqdm(total=options.steps, initial=self.step, desc="distil", unit="step")
            while self.step < options.steps and not signals:
                batch = np.concatenate(
                    [ahead.popleft().result(), self.easels.paint(self.student, self.step, options.on_easels)]
                )
                ahead.append(pool.submit(self.pictures.batch, self.step + 8, options.batch))
                loss = float(self.student.train_on_batch(batch))
                if not math.isfinite(loss):
                    raise NSTError(f"the loss became {loss} at step {self.step}. Start again from the checkpoint, or with "
                                   "a smaller --rate and another --out.")  # fmt: skip
                self.step += 1
                bar.update()
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                if self.step % 100 == 0:
                    self.student.reset_metrics()  # Keras shows the mean since then
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save()
                    saved = time.monotonic()
            bar.close()
        for number, handler in usual.items():
            signal.signal(number, handler)
        self.save()
        return self.step >= options.steps

    def save(self) -> None:
        variables = [*self.student.trainable_variables, *self.student.optimizer.variables]
        arrays = {f"variable_{i}": ops.convert_to_numpy(variable) for i, variable in enumerate(variables)}
        header = {"kind": "distillation", "settings": self.settings, "step": self.step}
        checkpoints.write(self.checkpoint, header, arrays | self.easels.state)

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one. Raises CheckpointError if it is of another distillation."""
        if not self.checkpoint.is_file():
            return
        header, arrays = checkpoints.read(self.checkpoint)
        if header.get("kind") != "distillation" or header["settings"] != self.settings:
            raise CheckpointError(
                f"{self.checkpoint} is of another distillation: {header.get('settings')}, not {self.settings}. Give the same "
                "again, or another --out, or delete it."
            )
        self.step, self.easels.state = header["step"], {name: arrays[name] for name in self.easels.state}
        for i, variable in enumerate([*self.student.trainable_variables, *self.student.optimizer.variables]):
            variable.assign(arrays[f"variable_{i}"])

    def write(self) -> None:
        """The averaged weights, as `load_backbone("pocket", FILE)` reads them."""
        self.student.optimizer.finalize_variable_values(self.student.trainable_variables)
        with atomic_write(self.options.out) as file:
            np.savez_compressed(file, **self.student.arrays())


def print_score(options: argparse.Namespace, file: Path) -> None:
    """Optimise PAIRS on a pocket VGG, by the recipe of its first table, and let the teacher judge the pictures."""
    judge = nst_lib.load_backbone(options.teacher, options.weights)
    rows = {"the photographs": None, f"optimised on {file.name}": ("pocket", file)}
    if options.baseline:
        rows[f"optimised on {options.teacher}"] = (options.teacher, options.weights)
    print(
        f"{options.score_pairs} pairs, {options.score_side} px, {options.score_steps} Adam steps; judge: {options.teacher}"
    )
    for name, network in rows.items():
        scores = []
        for content, style in tqdm(PAIRS[: options.score_pairs], desc=name, disable=network is None):
            photograph, painting = (
                nst_lib.images.crop_to_fit(
                    nst_lib.load_image(ROOT / "data" / folder / f"{picture}.jpg"),
                    options.score_side,
                    options.score_side,
                )
                for folder, picture in (("content", content), ("style", style))
            )
            picture = photograph
            if network:
                picture = nst_lib.stylize(
                    photograph, painting, size=options.score_side, steps=options.score_steps, optimizer="adam",
                    learning_rate=0.01, tv_weight=0.0, padding="zeros", precision="float32", sketch=False,
                    backbone=network[0], weights=network[1], progress=False,
                )  # fmt: skip
            found = nst_lib.score(picture, photograph, painting, judge)
            scores.append((found.content, found.style))
        content, style = np.mean(scores, axis=0)
        print(
            f"{name}: content {content:.3f}, style {style:.4f}, content + 30 x style {content + STYLE_GAIN * style:.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="?", help="a folder of photographs: a thousand or more")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "pocket.npz", help="(default: out/pocket.npz)")
    parser.add_argument("--score", type=Path, metavar="FILE", help="score this file, and distil nothing")
    parser.add_argument("--teacher", choices=("vgg16", "vgg19"), default="vgg16")
    parser.add_argument("--weights", type=Path, help="the teacher's, if not those that `nst fetch` stored")
    for name, default, text in (
        ("steps", 20000, "of the distillation"),
        ("batch", 24, "pictures in a step"),
        ("on-easels", 18, "pictures in a step that are being painted, besides"),
        ("easels", 128, "pictures that are being painted in all"),
        ("side", 176, "of the pictures, pixels"),
        ("seed", 0, "of everything drawn at random"),
        ("score-steps", 300, "of the pictures that are scored"),
        ("score-pairs", len(PAIRS), "how many"),
        ("score-side", 256, "pixels"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--rate", type=float, default=4e-3, help="AdamW's, at its peak (default: 0.004)")
    parser.add_argument("--baseline", action="store_true", help="score pictures optimised on the teacher itself, too")
    options = parser.parse_args(arguments)
    if not options.score and not options.photos:
        parser.error("give a folder of photographs, or --score FILE")
    try:
        if not options.score:
            run = Run(options)
            run.restore()
            if not run.learn():
                sys.exit(f"Stopped at step {run.step} of {options.steps}. The same command goes on.")
            run.write()
            print(f"{options.out}: {options.out.stat().st_size:,} bytes")
        print_score(options, options.score or options.out)
    except NSTError as problem:
        sys.exit(f"distill_pocket: {problem}")


if __name__ == "__main__":
    main()
