"""Feed altered files to every reader, and print and keep what went wrong."""

import argparse
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

PATIENCE_S = 30.0  # for one input, of the clock
PER_CHILD = 5000  # inputs after which a child is replaced
# A library in C reads their files, on the user's own account: that it crashes or hangs is counted,
# and nothing here can mend it.
FOREIGN = ("hdf5", "microscope")


class Child:
    """A worker, started again after it died or hung."""

    def __init__(self, home: Path) -> None:
        self.home, self.process, self.served = home, None, 0
        for name in ("work", "tmp", "neighbour"):
            (home / name).mkdir(exist_ok=True)

    def start(self):
        words = [sys.executable, "-m", "tests.hostile.fuzz.worker", str(self.home)]
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        threads = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", **one}
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads, "TMPDIR": str(self.home / "tmp")},
        )
        self.served = 0

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, **job):
        """Return the verdict about a job; a crash and a hang are verdicts too."""
        if self.process is None or self.served >= PER_CHILD:
            self.stop()
            self.start()
        first, self.served = self.served == 0, self.served + 1
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
            ready = select.select([self.process.stdout], [], [], (PATIENCE_S + 60 * first))[0]
            line = self.process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = b""
        if line:
            return json.loads(line)
        if line is None:
            self.stop()
            return {"verdict": "finding", "kind": "hangs", "text": f"more than {PATIENCE_S:g} s"}
        code = self.process.wait()
        noise = (self.home / "noise").read_bytes()[-300:].decode("latin-1")
        self.stop()
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return {"verdict": "finding", "kind": "crash", "text": f"{name}: {noise}"}


def shape(found):
    """Return what makes two findings one: kind, place, and the message without its values."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|/\S*|\d[\d.e+]*|\\\\?[ux]\w+", "#", found.get("text", ""))
    own = "" if found["kind"].startswith("message is an") else text[:50]
    return found["kind"], found.get("where", ""), own


def save(out, reader, found, job):
    """Keep a finding in a folder of its own: the files and the reason."""
    name = hashlib.sha256(repr((reader, *shape(found))).encode()).hexdigest()[:8]
    folder = out / f"{reader.replace(' ', '-')}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"{key}: {found[key]}" for key in ("kind", "where", "text") if found.get(key)]
    reason = "\n".join([f"reader: {reader}", *words, f"made by: {json.dumps(job)}"]) + "\n"
    (folder / "reason.txt").write_text(reason, encoding="utf-8", errors="backslashreplace")
    (folder / "tree.json").write_text(found.get("tree", "{}"))
    for key, content in json.loads(found.get("tree", "{}")).items():
        if isinstance(content, dict):
            safe = re.sub(r"[^a-zA-Z0-9.-]", "_", key)[-100:]
            (folder / safe).write_bytes(bytes.fromhex(content["hex"]))
    return folder


def campaign(arguments, names):
    """Run until the time or the number of inputs is over, and return the findings."""
    counts: Counter[tuple[str, str]] = Counter()
    seen: dict[tuple, tuple[str, Path]] = {}
    end = time.monotonic() + 60 * arguments.minutes
    number = 0
    with TemporaryDirectory() as folder:
        child = Child(Path(folder))
        while time.monotonic() < end and number != arguments.inputs:
            reader = names[number % len(names)]
            job = {"reader": reader, "seed": [arguments.seed, number]}
            number += 1
            found = child.ask(**job)
            if reader in FOREIGN and found.get("kind") in ("crash", "hangs"):
                found = {"verdict": "library"}
            counts[reader, found["verdict"]] += 1
            key = (reader, *shape(found)) if found["verdict"] == "finding" else None
            if key is None or key in seen:
                continue
            if "tree" not in found and "tree" not in (made := child.ask(**job, unread=True)):
                continue  # it died while the file was made
            found.setdefault("tree", found.get("tree") or made["tree"])
            seen[key] = reader, save(arguments.out, reader, found, job)
            print(f"{reader}: {' · '.join(shape(found)[:2])}: {found['text'][:200]!r}", flush=True)
        child.stop()
    show(counts, seen, names)
    return seen


def show(counts, seen, names):
    """Print how many inputs each reader accepted and refused, and the findings."""
    print(
        f"{'reader':18} {'inputs':>8} {'accepted':>9} {'refused':>9} {'library':>8} {'findings':>9}"
    )
    for name in [*names, "all"]:
        own = Counter()
        for (reader, verdict), n in counts.items():
            own[verdict] += n * (name in (reader, "all"))
        kinds = sum(name in (reader, "all") for reader, _ in seen.values())
        total = sum(own.values()) - own["no input"]
        good = f"{own['accepted']:9} {own['refused']:9} {own['library']:8}"
        print(f"{name:18} {total:8} {good} {kinds:9}")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--inputs", type=int, default=-1, help="how many altered files at most")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other files")
    parser.add_argument("--readers", default="", help="names with commas; all without it")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder of findings")
    arguments = parser.parse_args()
    # Their names are known to the child alone: the parent imports nothing that could break.
    listed = subprocess.run(
        [sys.executable, "-c", "from tests.hostile.fuzz.readers import READERS as r; print(*r, sep=',')"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    known = listed.stdout.strip().split(",")
    names = [name for name in arguments.readers.split(",") if name] or known
    if unknown := set(names) - set(known):
        parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(known)}")
    sys.exit(1 if campaign(arguments, names) else 0)


if __name__ == "__main__":
    main()
