"""A command of cytosuite as a process that a window looks at from time to time, and can end."""

import atexit
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from jinja2 import Template

from cytosuite.errors import printable
from cytosuite.files import Entries, TextSeq

GRACE_S = 10.0  # from the request to end to the end by force
# Progress in the lines of a command: a share of a case, and steps of a training.
SHARE = re.compile(r"(\d{1,3})% of ")
STEPS = re.compile(r"step (\d+)/(\d+)")


class Work:
    """A running command: its lines, exit code, and end."""

    def __init__(self, words: TextSeq) -> None:
        self.words = list(words)
        self.share: float | None = None  # that is done, in [0, 1]; None: not known
        self.lines: list[str] = []
        self._rest, self._asked = b"", 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cytosuite.benchmark", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self._stream = self.process.stdout
        os.set_blocking(self._stream.fileno(), False)
        atexit.register(self.kill)

    def look(self) -> int | None:
        """Read the new lines of the command; return its exit code, None while it runs."""
        code = self.process.poll()
        with suppress(BlockingIOError):
            while chunk := os.read(self._stream.fileno(), 2**16):
                self._rest += chunk
        *whole, self._rest = self._rest.split(b"\n")
        if code is not None and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        for line in (printable(raw.decode(errors="replace").rstrip()) for raw in whole):
            self.lines += [line] if line else []
            self.share = share_of(line, self.share)
        if code is None and self._asked and time.monotonic() - self._asked > GRACE_S:
            self.kill()
        if code is not None:
            atexit.unregister(self.kill)
            self._stream.close()
        return code

    def stop(self) -> None:
        """Ask the command to end, as Ctrl-C does; `look` ends it by force after 10 s."""
        if self.process.poll() is None:
            self._asked = self._asked or time.monotonic()
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the command with all that it has started, now."""
        with suppress(ProcessLookupError):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def refusal(self) -> str:
        """How the command went, in a line: empty where it went well."""
        if not self.process.poll():
            return ""
        said = self.lines[-1].removeprefix("cytosuite: ") if self.lines else "without a word"
        return "cancelled" if self._asked else f"failed: {said}"


def share_of(line: str, before: float | None = None) -> float | None:
    """Return the share that a line of a command says is done, in [0, 1]; `before` without."""
    if match := STEPS.search(line):
        return int(match[1]) / max(1, int(match[2]))
    return int(match[1]) / 100 if (match := SHARE.search(line)) else before


def typed(words: TextSeq) -> str:
    """Return a command as a user types it."""
    return shlex.join(["cytosuite", *words])


def train_words(folder: str, parent: str, name: str, steps: str = "") -> list[str]:
    """Return the command that fine-tunes ``algorithm:model`` on a folder, as the model `name`."""
    algorithm, _, model = parent.partition(":")
    place = folder if "/" in folder else f"./{folder}"  # no name of a dataset
    more = ["--steps", steps] if steps else []
    return ["train", algorithm, place, "--from", model, "--name", name, *more]


def outcome(record: Entries) -> str:
    """Return objects, diameter and time of a result in a line."""
    parts = [f"{record['objects']} objects"] if "objects" in record else []
    notes = record.get("notes", {})
    for key, unit in (("diameter_um", "µm"), ("diameter_px", "px")):
        if key in notes:
            parts.append(f"diameter {notes[key]} {unit} ({notes.get('diameter_source', '')})")
    return ", ".join([*parts, f"{record['seconds']:.1f} s"])


def why(record: Entries) -> str:
    """Return the choice of a model as HTML: of a record, or of ``apply --dry-run --json``."""
    chosen = {**record, **record.get("selection", {})}
    words = {"user": "named by you", "use": "in use (cytosuite model use)"}
    cards = [chosen, *chosen.get("others", [])]
    keys = {"axes", "channel", *(key for card in cards for key in card.get("terms", {}))}
    facts = {k: fact for k, fact in chosen.get("metadata", {}).items() if k in keys}
    by = words.get(chosen.get("by", ""), "chosen by the image")
    template = Template(Path(__file__).with_name("why.html").read_text("utf-8"), autoescape=True)
    return str(template.render(chosen=chosen, by=by, cards=cards, facts=facts))
