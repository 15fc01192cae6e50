"""Run the README's `nst` commands that write to docs/gallery or out/, so that each picture is what its command makes.

`make_gallery.py [WORD]` runs those commands alone in which the word occurs. What goes to out/ is too large to keep: a smaller
copy of it goes to docs/gallery, and a piece of the print at full size.
"""

import glob
import shlex
import sys
from pathlib import Path

from PIL import Image

from nst_lib.cli import main

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs/gallery"
COPIES = {"explored": 1100, "print": 768, "moodboard": 1100}  # pixels of their long side
DETAIL = (0.42, 0.28, 768)  # of the print: left and top as shares, and the side in pixels

for line in (ROOT / "README.md").read_text().splitlines():
    written = line.startswith("nst ") and (
        "-o docs/gallery/" in line or any(f"-o out/{name}.png" in line for name in COPIES)
    )
    if written and all(word in line for word in sys.argv[1:]):
        print(line)
        words = [sorted(glob.glob(word)) or [word] if "*" in word else [word] for word in shlex.split(line)[1:]]
        code = main([word for found in words for word in found])
        if code:
            sys.exit(code)
for name, side in COPIES.items():
    path = ROOT / f"out/{name}.png"
    if path.is_file():
        picture = Image.open(path).convert("RGB")
        copy = picture.copy()
        copy.thumbnail((side, side), Image.Resampling.LANCZOS)
        copy.save(GALLERY / f"{name}.jpg", quality=85, optimize=True)
        if name == "print":
            left, top = round(DETAIL[0] * picture.width), round(DETAIL[1] * picture.height)
            piece = picture.crop((left, top, left + DETAIL[2], top + round(DETAIL[2] * picture.height / picture.width)))
            piece.save(GALLERY / "print_detail.jpg", quality=85, optimize=True)
