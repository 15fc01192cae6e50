"""`python -m nst_lib` is `nst`."""

import gc
import sys


def main() -> int:
    """Run `nst` and return its exit code, also if Ctrl-C comes while Python is still importing it."""
    try:
        from nst_lib import cli

        return cli.main()
    except KeyboardInterrupt:
        print("nst: stopped.", file=sys.stderr)
        return 130
    finally:
        gc.freeze()  # or Python, before it ends, would look through all that is imported for garbage: a second


if __name__ == "__main__":
    sys.exit(main())
