"""Calls that must be refused."""

import re

import pytest

from cytosuite.errors import InputError


def refused(message, call, *given, **named):
    """Return the error of a call: one line that holds a text, or in which an expression is found."""
    with pytest.raises(InputError) as caught:
        call(*given, **named)
    line = str(caught.value)
    assert message in line or re.search(message, line), line
    assert ("\n" not in line, caught.value.exit_code) == (True, 2)
    return caught.value
