"""Outlines of found objects drawn anew, as annotators draw them, by boosted trees."""

from cytosuite.errors import InputError
from cytosuite.files import Scalar

KEY = "outline"  # of the looseness in a card's parameters and in an image's metadata
PREFIX = f"{KEY}."  # of the trees in a file of weights
STEP = 0.15  # by which looser and tighter differ from the card
_LOOSEST = 0.95
_TIGHTEST = 0.05


def looseness_of(own: float, given: Scalar | None) -> float:
    """Return the looseness that a user gives, in words relative to a card's own; InputError."""
    steps = {None: 0.0, "looser": STEP, "tighter": -STEP}
    if given in steps:
        return min(max(own + steps[given], _TIGHTEST), _LOOSEST)
    try:
        value = float(str(given))
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise InputError(
            f"outline must be looser, tighter or a number between 0 and 1, found {given!r}"
        )
    return value
