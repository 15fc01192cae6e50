"""What the processor can do, by what it says of itself, without starting an engine."""

import functools
import platform
from pathlib import Path


@functools.cache
def has_fast_bfloat16() -> bool | None:
    """Whether the processor multiplies bfloat16 faster than float32; None where it does not say (anywhere but on Linux).

    Those with AMX do, and AMD's with AVX512-BF16. Intel's have that, too, but in them it is no faster than float32, and with
    what conversions take, the pocket VGG's steps were 1.4 times as long, and so were the frames of a style network.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.exists():
        return None
    words = cpuinfo.read_text().split()
    return "amx_bf16" in words or ("avx512_bf16" in words and "AuthenticAMD" in words)
