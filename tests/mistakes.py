"""Calls that must be refused."""

import re
from functools import partial

import pytest

from cytosuite.errors import InputError, ModelError, plain


def _ended(error, code, message, call, *arguments, **named):
    """Return the error of a call: one line that holds a text, or in which an expression is found."""
    with pytest.raises(error) as caught:
        call(*arguments, **named)
    line = str(caught.value)
    assert message in line or re.search(message, line), line
    assert ("\n" not in line, caught.value.exit_code) == (True, code)
    return caught.value


refused = partial(_ended, InputError, 2)
no_model = partial(_ended, ModelError, 3)


def explained(call, path, mistake):
    """Hold the line of a call on a file: of a text, the maker of the mistake, what it takes."""
    text, make, *arguments = mistake
    options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    place = make(path, *arguments, **options) or path
    line = rf"{re.escape(plain(str(place)))}: (cannot be read as [\w, ]+ \()?{re.escape(text)}"
    assert re.match(line, str(refused("", call, place)))
