"""The errors a user can mend: one clear line each, and the exit code they end with."""


class CytosuiteError(Exception):
    """Base of all errors that are shown as one line, without a traceback.

    The message says what was expected, what was found, where, and what to do.
    """

    exit_code = 2


class InputError(CytosuiteError):
    """A file, folder, key or value given by the user is not what it should be (exit code 2)."""


class ModelError(CytosuiteError):
    """No model fits, or its files are missing or altered (exit code 3)."""

    exit_code = 3


def last_line(error: Exception) -> str:
    """Return the last line of another library's message, which is where the reason stands."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else repr(error)
