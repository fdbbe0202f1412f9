"""Shards of a run: shares of its cases for jobs that run side by side in one folder."""

import re
from typing import NamedTuple, TypeVar

from cytosuite.errors import InputError

Case = TypeVar("Case")


class Shard(NamedTuple):
    """One of several shares of the cases, by their number."""

    number: int  # from 1
    of: int

    def share(self, cases: tuple[Case, ...]) -> tuple[Case, ...]:
        """Return the cases of this shard: every so many-th."""
        return cases[self.number - 1 :: self.of]

    def __str__(self) -> str:
        """Return the text from which it was read."""
        return f"{self.number}/{self.of}"


def read_shard(text: str) -> Shard:
    """Return a shard from a text like ``3/16``."""
    if found := re.fullmatch(r"(\d{1,6})/(\d{1,6})", text):
        shard = Shard(int(found[1]), int(found[2]))
        if 1 <= shard.number <= shard.of:
            return shard
    raise InputError(f"SHARD must be like 3/16, the third of sixteen, found {text!r}")
