"""Feed altered files to every reader, and print and keep what went wrong."""

import argparse
import hashlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.hostile.fuzz import serve

PATIENCE_S = 30.0  # for one input, of the clock
PER_CHILD = 5000  # inputs after which a child is replaced
# A library in C reads their files, on the user's own account: that it crashes or hangs is counted,
# and nothing here can mend it.
FOREIGN = ("hdf5", "microscope")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
THREADS += ("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",)
SPAWN = get_context("spawn")


class Child:
    """A worker, started again after it died or hung."""

    def __init__(self, home):
        self.home, self.process, self.served = home, None, PER_CHILD
        for name in ("work", "tmp", "neighbour"):
            (home / name).mkdir()
        os.environ |= dict.fromkeys(THREADS, "1") | {"TMPDIR": str(home / "tmp")}

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()

    def ask(self, **job):
        """Return the verdict about a job; a crash and a hang are verdicts too."""
        if first := self.served >= PER_CHILD:
            self.stop()
            self.pipe, theirs = SPAWN.Pipe()
            self.process = SPAWN.Process(target=serve, args=(self.home, theirs), daemon=True)
            self.process.start()
            theirs.close()
            self.served = 0
        self.served += 1
        try:
            self.pipe.send(job)
            if self.pipe.poll(PATIENCE_S + 600 * first):  # a start loads all readers
                return self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
        code = self.process.exitcode
        self.served = PER_CHILD
        if code is None:
            return {"verdict": "finding", "kind": "hangs", "text": f"more than {PATIENCE_S:g} s"}
        noise = (self.home / "noise").read_bytes()[-300:].decode("latin-1")
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return {"verdict": "finding", "kind": "crash", "text": f"{name}: {noise}"}


def shape(finding):
    """Return what makes two findings one: kind, place, and the message without its values."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|/\S*|\d[\d.e+]*|\\\\?[ux]\w+", "#", finding.get("text", ""))
    words = "" if finding["kind"].startswith("message is an") else text[:50]
    return finding["kind"], finding.get("where", ""), words


def save(out, reader, finding, job):
    """Keep a finding in a folder of its own: the files and the reason."""
    name = hashlib.sha256(repr((reader, *shape(finding))).encode()).hexdigest()[:8]
    folder = out / f"{reader.replace(' ', '-')}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"{key}: {finding[key]}" for key in ("kind", "where", "text") if finding.get(key)]
    reason = "\n".join([f"reader: {reader}", *words, f"made by: {json.dumps(job)}"]) + "\n"
    (folder / "reason.txt").write_text(reason, encoding="utf-8", errors="backslashreplace")
    (folder / "tree.txt").write_text(repr(finding["tree"]))
    for key, content in finding["tree"].items():
        if isinstance(content, bytes):
            (folder / re.sub(r"[^a-zA-Z0-9.-]", "_", key)[-100:]).write_bytes(content)
    return folder


def campaign(arguments, child, names):
    """Run until the time or the number of inputs is over, and return the findings."""
    counts: Counter[tuple[str, str]] = Counter()
    seen: dict[tuple, tuple[str, Path]] = {}
    end = time.monotonic() + 60 * arguments.minutes
    number = 0
    while time.monotonic() < end and number != arguments.inputs:
        reader = names[number % len(names)]
        job = {"reader": reader, "seed": [arguments.seed, number]}
        number += 1
        answer = child.ask(**job)
        if reader in FOREIGN and answer.get("kind") in ("crash", "hangs"):
            answer = {"verdict": "library"}
        counts[reader, answer["verdict"]] += 1
        key = (reader, *shape(answer)) if answer["verdict"] == "finding" else None
        if key is None or key in seen:
            continue
        unread = {} if "tree" in answer else child.ask(**job, unread=True)
        if "tree" not in unread | answer:
            continue  # it died while the file was made
        answer = unread | answer
        seen[key] = reader, save(arguments.out, reader, answer, job)
        print(f"{reader}: {' · '.join(shape(answer)[:2])}: {answer['text'][:200]!r}", flush=True)
    show(counts, seen, names)
    return seen


def show(counts, seen, names):
    """Print how many inputs each reader accepted and refused, and the findings."""
    print(
        f"{'reader':18} {'inputs':>8} {'accepted':>9} {'refused':>9} {'library':>8} {'findings':>9}"
    )
    for name in [*names, "all"]:
        verdicts = Counter()
        for (reader, verdict), n in counts.items():
            verdicts[verdict] += n * (name in (reader, "all"))
        kinds = sum(name in (reader, "all") for reader, _ in seen.values())
        total = sum(verdicts.values()) - verdicts["no input"]
        good = f"{verdicts['accepted']:9} {verdicts['refused']:9} {verdicts['library']:8}"
        print(f"{name:18} {total:8} {good} {kinds:9}")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--inputs", type=int, default=-1, help="how many altered files at most")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other files")
    parser.add_argument("--readers", default="", help="names with commas; all without it")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder of findings")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        child = Child(Path(folder))
        readers = child.ask()
        names = [name for name in arguments.readers.split(",") if name] or readers
        if unknown := set(names) - set(readers):
            parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(readers)}")
        findings = campaign(arguments, child, names)
        child.stop()
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
