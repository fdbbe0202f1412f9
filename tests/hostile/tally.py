"""What a campaign of attacks counts and prints: tried, exact, wrong."""

import argparse
import hashlib
import signal
import sys
from collections import Counter
from contextlib import contextmanager, suppress

from cytosuite.files import read_json
from cytosuite.files.working import LEASE, LEFTOVER, LOCK, SESSION

LINE = "cytosuite: "
REFUSALS = (1, 2, 3)  # exit codes of what a user can mend


class Tally:
    """Tries by kind, and those that were wrong."""

    def __init__(self):
        self.tried, self.wrong = Counter(), Counter()

    def say(self, line):
        """Print a line at once."""
        print(line, flush=True)

    @contextmanager
    def attempt(self, kind):
        """Count what is tried in the block; a failed assertion is a wrong answer."""
        self.tried[kind] += 1
        try:
            yield
        except AssertionError as error:
            self.wrong[kind] += 1
            self.say(f"wrong: {kind}: {error}"[:2000])

    def show(self):
        """Print the table, and return the exit code."""
        rows = [*self.tried.items(), ("all", self.tried.total())]
        self.say(f"{'kind':40} {'tried':>6} {'exact':>6} {'wrong':>6}")
        for kind, tried in rows:
            wrong = self.wrong.total() if kind == "all" else self.wrong[kind]
            self.say(f"{kind:40} {tried:6} {tried - wrong:6} {wrong:6}")
        return 1 if self.wrong else 0


def campaign(name, kinds, document):
    """Run the functions of some kinds with a tally and the options, and end with its exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.hostile.{name}", description=document)
    parser.add_argument("--kinds", default="", help=f"with commas; all without: {', '.join(kinds)}")
    parser.add_argument("--tries", type=int, default=10, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="another one tries others")
    options = parser.parse_args()
    tally = Tally()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # what was tried counts
        for kind in [kind for kind in options.kinds.split(",") if kind] or kinds:
            kinds[kind](tally, options)
            tally.say(f"done: {kind}")
    sys.exit(tally.show())


def in_order(code, text, fine=(0, *REFUSALS)):
    """Hold the end of a command against its promise: an exit code, and one line if it is no 0."""
    shown = f"exit code {code}: {text[-1200:]}"
    assert "Traceback" not in text, shown
    assert code in fine, shown
    lines = [line for line in text.splitlines() if line.startswith(LINE)]
    assert len(lines) == (code in (2, 3)) or (code, len(lines)) == (1, 1), shown
    return lines[0] if lines else ""


def left(*folders):
    """Return what is half-written or locked below folders."""
    marks = (SESSION, "cytosuite-", "tmp")
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if LEFTOVER.fullmatch(path.name)
        or path.name in (LOCK, LEASE)
        or path.name.startswith(marks)
    ]


def digests(folder, without=(".stamps",)):
    """Return the digest of each file below a folder, by its name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in without
    }


def state(folder):
    """Return mode, owner, time and content of a folder and all that is in it."""
    entries = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        info = path.lstat()
        data = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None
        entries[str(path)] = info.st_mode, info.st_uid, info.st_mtime_ns, data
    return entries


def differing(one, other):
    """Return the values of two states that are not alike, by their names."""
    names = sorted(one.keys() | other.keys())
    return [(n, one.get(n), other.get(n)) for n in names if one.get(n) != other.get(n)]


def facts_of(card):
    """Return the entries of a model card, without what no training repeats: names and times."""
    facts = read_json(card)
    trained = facts.pop("trained", {})
    for key in ("seconds", "cpu_seconds"):
        trained.pop(key, None)
    trained.get("curves", {}).pop("seconds", None)
    for key in ("name", "weights"):
        facts.pop(key)
    return facts | trained
