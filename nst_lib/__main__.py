"""`python -m nst_lib` is `nst`."""

import sys

from nst_lib.cli import main

sys.exit(main())
