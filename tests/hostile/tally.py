"""What a campaign of attacks counts and prints: tried, exact, wrong."""

from collections import Counter
from contextlib import contextmanager


class Tally:
    """Tries by kind, and the reason of each that was wrong."""

    def __init__(self):
        self.tried, self.wrong = Counter(), Counter()

    @contextmanager
    def attempt(self, kind):
        """Count what is tried in the block; a failed assertion is a wrong answer."""
        self.tried[kind] += 1
        try:
            yield
        except AssertionError as error:
            self.wrong[kind] += 1
            print(f"wrong: {kind}: {error}"[:2000], flush=True)

    def show(self):
        """Print the table, and return the exit code."""
        rows = [*self.tried.items(), ("all", self.tried.total())]
        print(f"{'kind':40} {'tried':>6} {'exact':>6} {'wrong':>6}")
        for kind, tried in rows:
            wrong = self.wrong.total() if kind == "all" else self.wrong[kind]
            print(f"{kind:40} {tried:6} {tried - wrong:6} {wrong:6}")
        return 1 if self.wrong else 0
