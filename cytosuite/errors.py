"""Errors that a user can correct: one line each, and the exit code of the program."""


class CytosuiteError(Exception):
    """Base of all errors that are shown as one line, without a traceback.

    The message names the place, the expected and the found value, and the remedy.
    """

    exit_code = 2


class InputError(CytosuiteError):
    """A file, folder, key or value given by the user is wrong (exit code 2)."""


class ModelError(CytosuiteError):
    """No model fits, or its files are missing or altered (exit code 3)."""

    exit_code = 3


def last_line(error: Exception) -> str:
    """Return the last line of another library's message: it holds the reason."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else repr(error)
