"""Run the README's `nst paint` commands that write to docs/gallery, so that each picture there is what its command makes."""

import shlex
import sys
from pathlib import Path

from nst_lib.cli import main

ROOT = Path(__file__).resolve().parents[1]

for line in (ROOT / "README.md").read_text().splitlines():
    if line.startswith("nst paint") and "-o docs/gallery/" in line:
        print(line)
        code = main(shlex.split(line)[1:])
        if code:
            sys.exit(code)
