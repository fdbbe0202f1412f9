"""Random hostile predictions beside those of a good team: each is a row, the good one's scores stay.

python -m tests.hostile.predictions --number 1000 --seed 0
"""

import argparse
import json
import sys
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests import participants
from tests.hostile.fuzz.mutations import mutated, pick
from tests.hostile.fuzz.seeds import lifted, plant

TEAMS, CASES = 5, tuple("abcde")
ENDS = {
    "labels": (".tif", ".mha", ".png", ".h5", ".zarr"),
    "images": (".tif", ".mha", ".h5", ".zarr"),
    "points": (".json",),
    "tables": (".csv",),
}


def spoiled(rng, kind, home):
    """Return the tree of a team whose answers to all cases are altered, and some of their names."""
    tree, every = {}, [lifted(folder) for folder in home.iterdir()]
    for case in CASES:
        end = pick(rng, ENDS[kind])
        own = lifted(home / f"{kind}{end}")
        own = {n: content for n, content in own.items() if n.split("/")[0] == f"{case}{end}"}
        tree |= mutated(rng, own, every, names=rng.random() < 0.2)
    return tree


def tried(rng, kind, home, verdicts):
    """Add the verdicts about the teams of one report."""
    given = {"truth": home / "data", "task": participants.TASKS[kind]}
    good = home / kind / "good"
    if not good.exists():
        participants.data(home, kind, CASES)
        participants.team(home, kind, "good", CASES)
        for end in ENDS[kind]:
            for case in CASES:
                participants.answer(home / "seeds" / f"{kind}{end}" / f"{case}{end}", 1)
        participants.report(home / "alone", good, **given)
    number = len([*home.glob("report-*")])
    names = [f"team{place}" for place in range(TEAMS)]
    for name in names:
        (home / f"teams-{number}" / name).mkdir(parents=True)
        plant(home / f"teams-{number}" / name, spoiled(rng, kind, home / "seeds"))
    out = home / f"report-{number}"
    try:
        teams = [home / f"teams-{number}" / name for name in names]
        participants.report(out, good, *teams, **given)
    except BaseException:
        verdicts["wrong"] += TEAMS * len(CASES)
        sys.stderr.write(f"{out}\n{traceback.format_exc()}")
        return
    same = participants.scores(out, "good") == participants.scores(home / "alone", "good")
    for name in names:
        for case in CASES:
            record = json.loads((out / name / case / "record.json").read_text())
            ok, line = record["status"] == "ok", record["message"]
            said = ok or (line and line.isprintable() and "Traceback" not in line)
            verdicts["accepted" if ok else "refused"] += 1
            if not (said and same):
                verdicts["wrong"] += 1
                sys.stderr.write(f"{out} {name} {case} {record['status']}: {line!r}\n")


def main():
    """Try predictions, print how many of each kind, and return 1 if one went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    rng, verdicts = np.random.default_rng(wanted.seed), {kind: Counter() for kind in ENDS}
    with TemporaryDirectory() as folder, participants.one_reader():
        for _ in range(-(-wanted.number // (TEAMS * len(CASES) * len(ENDS)))):
            for kind, own in verdicts.items():
                tried(rng, kind, Path(folder) / kind, own)
    sys.stdout.write(f"{'kind':10}{'tried':>7}{'accepted':>10}{'refused':>9}{'wrong':>7}\n")
    for kind, own in [*verdicts.items(), ("all", sum(verdicts.values(), Counter()))]:
        number = own["accepted"] + own["refused"]
        counts = f"{own['accepted']:10}{own['refused']:9}{own['wrong']:7}"
        sys.stdout.write(f"{kind:10}{number:7}{counts}\n")
    return int(any(own["wrong"] for own in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
