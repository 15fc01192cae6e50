"""Everything a user can get wrong, as exceptions: what was wrong, with which file, and what to do."""

import difflib
import math
import numbers
from collections.abc import Collection


class NSTError(Exception):
    """A mistake that the user can mend. The command line prints its message and exits with code 2."""


class PictureError(NSTError):
    """A picture that cannot be read, used or written."""


class WeightsError(NSTError):
    """A weights file that is missing, damaged or of another network."""


class SettingsError(NSTError, ValueError):
    """A name, number or combination of settings that makes no picture."""


class CheckpointError(NSTError):
    """A checkpoint that is damaged, or of another picture or version."""


class StyleError(NSTError):
    """A file of trained styles that is missing, damaged, or of another version."""


class VideoError(NSTError):
    """A film that cannot be read or written."""


def check_choice(kind: str, value: object, known: Collection[str]) -> None:
    """Raise SettingsError, with the nearest names first, unless `value` is one of the `known` names."""
    if value not in known:
        nearest = difflib.get_close_matches(str(value), known, n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
        raise SettingsError(f"unknown {kind} {value!r}: {hint}There are {', '.join(known)}.")


def check_number(name: str, value: object, least: float, most: float = math.inf, *, whole: bool = False) -> None:
    """Raise SettingsError unless `value` is a finite number (a whole one, if so asked) from `least` to `most`."""
    good = isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise SettingsError(f"{name} is {value!r}: give a {'whole ' if whole else ''}number {bounds}.")
