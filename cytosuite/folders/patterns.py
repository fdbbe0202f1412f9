"""Regular expressions of users, matched by a process of its own: some never come to an end."""

import json
import re
import resource
import subprocess
import sys
from contextlib import suppress

from cytosuite.errors import InputError
from cytosuite.files import TextSeq

ANY = ".*"
LONGEST = 500  # characters
LIMIT_S = 10  # of processor time for all names; a million of names need two
Groups = dict[str, str]  # texts of the named groups that are not empty


def expression(text: str) -> str:
    """Return a regular expression; `ValueError` for another text, or a long one."""
    if len(text) > LONGEST:
        raise ValueError(f"should have at most {LONGEST} characters")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"should be a valid regular expression ({error})") from None
    return text


def groups_of(pattern: str, names: TextSeq) -> list[Groups | None]:
    """Return the named groups of each name that fits as a whole, else None.

    InputError for an expression that needs more time than `LIMIT_S`.
    """
    if pattern == ANY:
        return _matched(pattern, names)
    task = json.dumps([pattern, names, LIMIT_S])
    program = [sys.executable, "-P", __file__]
    done = subprocess.run(program, input=task, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"{pattern!r} does not match {len(names)} names within {LIMIT_S} s; write it "
            "without repeats or alternatives within repeats, like (a+)+"
        )
    matched: list[Groups | None] = json.loads(done.stdout)
    return matched


def _matched(pattern: str, names: TextSeq) -> list[Groups | None]:
    """Return the groups of each name, in this process."""
    matches = map(re.compile(pattern).fullmatch, names)
    return [m and {key: text for key, text in m.groupdict().items() if text} for m in matches]


def main() -> None:
    """Match the names on stdin; the kernel ends the process at the limit."""
    pattern, names, limit = json.load(sys.stdin)
    with suppress(ValueError):  # the limit of the environment is lower
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    json.dump(_matched(pattern, names), sys.stdout)


if __name__ == "__main__":
    main()
