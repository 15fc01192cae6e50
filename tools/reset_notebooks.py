"""Restore the notebooks as they were, and keep a copy of what the reader made of them: `make reset`."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True).stdout


def main() -> int:
    try:
        changed = git("diff", "--name-only", "--relative", "HEAD", "--", "notebooks/*.ipynb").split("\n")
    except (OSError, subprocess.CalledProcessError):
        print("make: only in a copy that git made (git clone) can the notebooks be restored.", file=sys.stderr)
        return 1
    changed = [name for name in changed if name]
    if not changed:
        print("The notebooks are as they were.")
        return 0
    kept = ROOT / "out" / f"my_notebooks_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    for name in changed:
        if (ROOT / name).is_file():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, kept / name)
    git("checkout", "HEAD", "--", *changed)
    print(f"Restored: {', '.join(Path(name).name for name in changed)}. Your versions are in {kept.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
