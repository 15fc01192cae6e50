"""Run the README's `nst` commands that write to docs/gallery, so that each picture there is what its command makes."""

import glob
import shlex
import sys
from pathlib import Path

from nst_lib.cli import main

ROOT = Path(__file__).resolve().parents[1]

for line in (ROOT / "README.md").read_text().splitlines():
    if line.startswith("nst ") and "-o docs/gallery/" in line:
        print(line)
        words = [sorted(glob.glob(word)) or [word] if "*" in word else [word] for word in shlex.split(line)[1:]]
        code = main([word for found in words for word in found])
        if code:
            sys.exit(code)
