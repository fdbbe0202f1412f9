"""Calls that must be refused."""

import pytest

from cytosuite.errors import InputError


def refused(message, call, *given, **named):
    """Return the error of a call, in which an expression is found."""
    with pytest.raises(InputError, match=message) as caught:
        call(*given, **named)
    return caught.value
