"""Train methods on the same simulated images, run all on the same sets, and write one page.

Usage: python performance/methods.py [--data FOLDER] [--engine ENGINE] [--only NAME ...]

The trainings and sets are those of methods.toml. A model that is there, weights/<method>/methods-
<training>.json, is not trained again, a case that was run is not run again: an interrupted command
goes on. Real images are read from FOLDER, their sets are left out without it. The tables are
written into docs/methods.md, with date, machine, versions and the cost of each training.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from cytosuite.benchmark.catalog.places import ROOT, workplace
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.files import read_json, read_text, read_toml, write_text

PAGE, PLAN = ROOT / "docs" / "methods.md", Path(__file__).with_suffix(".toml")
SEED, OTHER_SEED = 1, 100  # of the sets, of the trainings
SCORES = ("SEG", "DET", "AP50", "SQ", "recall", "F1")
HEADS = (
    *("method", "model; methods-*: trained for {} CPU minutes", "trained on this", *SCORES),
    *("size", "network, s", "rest, s", "CPU, s", "peak, MiB", "failed"),
)
START, END = "<!-- tables of performance/methods.py -->", "<!-- end of the tables -->"
Facts = Mapping[str, Any]


def model_of(method: str, training: str) -> Path:
    """Return the card of a method's model of a training."""
    return workplace() / "weights" / method / f"methods-{training}.json"


def command(*words: object) -> int:
    """Run a command of cytosuite, its output shown, and return its exit code."""
    line = [sys.executable, "-m", "cytosuite.benchmark", *map(str, words)]
    return subprocess.run(line, check=False).returncode


def changes(facts: Facts) -> list[str]:
    """Return the words for cases and parameters of a dataset."""
    words = ["--cases", str(facts["cases"])]
    return words + [word for change in facts.get("set", ()) for word in ("--set", change)]


def train(name: str, plan: Facts, engine: str, only: Sequence[str]) -> None:
    """Train the models of a training that are not there."""
    training = plan["train"][name]
    for method in training["methods"]:
        if model_of(method, name).is_file() or (only and not {method, name} & {*only}):
            continue
        words = ["--name", f"methods-{name}", "--seed", OTHER_SEED, "--threads", 1]
        words += ["--engine", engine, *changes(training)]
        with TemporaryDirectory() as folder:
            share = training.get("share", 1.0)
            if method in plan["steps"]:
                words += ["--steps", round(share * plan["steps"][method])]
            else:
                settings = Path(folder) / "settings.toml"
                changed = {**plan["settings"][method], **training.get(method, {})}
                lines = (f"{key} = {round(share * v)}\n" for key, v in changed.items())
                settings.write_text("".join(lines), encoding="utf-8")
                words += ["--settings", settings]
            command("train", method, training["dataset"], *words)


def run(name: str, facts: Facts, plan: Facts, options: argparse.Namespace) -> Path | None:
    """Run all methods with a model on a set; return its report's folder, None without the data."""
    models = [
        f"{method}:methods-{training}"
        for training in facts["trained"]
        for method in plan["train"][training]["methods"]
        if model_of(method, training).is_file()
    ]
    words: list[object] = ["--algorithm", ",".join([*models, *facts["also"]])]
    words += ["--run", f"methods-{name}", "--engine", options.engine]
    if "folder" in facts:
        if options.data is None:
            return None
        words += ["--min-object-voxels", facts.get("ignored", 0)]
        command("benchmark", options.data / facts["folder"], *words)
    else:
        command("benchmark", facts["dataset"], "--seed", SEED, *changes(facts), *words)
    folder = workplace() / "runs" / f"methods-{name}" / "report"
    return folder if (folder / "cases.csv").is_file() else None


def rows(folder: Path) -> list[tuple[object, ...]]:
    """Return a row per method, best SEG first; times are medians per case."""
    board = pd.read_csv(folder / "leaderboard.csv").query("control == 0")
    cases = pd.read_csv(folder / "cases.csv")
    lines = list[tuple[object, ...]]()
    for line in board.sort_values("SEG", ascending=False).itertuples():
        of_method = cases[cases["algorithm"] == line.algorithm]
        ran = of_method[of_method["status"] == "ok"]
        times = ran[["seconds", "cpu_seconds", "network_seconds"]].astype(float).median()
        rest = times["seconds"] - (times["network_seconds"] if known(times) else 0.0)
        words = [first(ran, key) for key in ("model", "domain", "size")]
        method, _, _ = str(line.algorithm).partition(":")
        values = [float(getattr(line, score)) for score in SCORES]
        numbers = [f"{value:.3f}" if pd.notna(value) else "-" for value in values]  # SQ of no match
        spent = [
            f"{times['network_seconds']:.2f}" if known(times) else "-",
            *(f"{value:.2f}" for value in (rest, times["cpu_seconds"])),
        ]
        lines.append(
            (
                method,
                *words[:2],
                *numbers,
                words[2],
                *spent,
                f"{line.peak_MiB:.0f}",
                f"{line.failed}",
            )
        )
    return lines


def known(times: "pd.Series[float]") -> bool:
    """Return whether the seconds of a network are known."""
    return bool(pd.notna(times["network_seconds"]))


def first(rows: pd.DataFrame, key: str) -> str:
    """Return the first value of a column, a dash without one."""
    values = rows[key].dropna()
    return str(values.iloc[0]) if len(values) else "-"


def costs(plan: Facts) -> Iterable[tuple[object, ...]]:
    """Yield the cost of each training."""
    for name, job in plan["train"].items():
        for method in job["methods"]:
            if (card := model_of(method, name)).is_file():
                facts = read_json(card)["trained"]
                spent = facts.get("cpu_seconds")
                yield (
                    *(method, name, job["dataset"], job["cases"], facts.get("tool", "ours")),
                    facts.get("steps", "-"),
                    f"{facts['seconds']:.0f}",
                    "-" if spent is None else f"{spent:.0f}",
                    f"{card.with_suffix('.safetensors').stat().st_size / 1e6:.1f}",
                )


def page(plan: Facts, folders: Mapping[str, Path]) -> list[str]:
    """Return the lines of the tables."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    day = datetime.now(UTC).date().isoformat()
    lines = [f"{day}; {machine}; Python {platform.python_version()}; no GPU.", ""]
    spent = [float(str(row[7])) / 60 for row in costs(plan) if row[7] != "-"]
    minutes = f"{min(spent):.0f} to {max(spent):.0f}" if spent else "unknown"
    heads = tuple(head.format(minutes) for head in HEADS)
    for name, folder in folders.items():
        lines += [f"## {plan['sets'][name]['title']}", "", *table(heads, rows(folder)), ""]
    spends = ("method", "training", "dataset", "cases", "tool", "steps", "wall, s", "CPU, s", "MB")
    return [*lines, "## Cost of the trainings", "", *table(spends, costs(plan))]


def main() -> None:
    """Train what is missing, run all, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the real images")
    parser.add_argument("--engine", default="auto", help="auto, docker or process")
    parser.add_argument("--only", nargs="*", default=(), help="methods, trainings or sets")
    parser.add_argument("--plan", type=Path, default=PLAN, help="trainings and sets")
    options = parser.parse_args()
    plan = read_toml(options.plan)
    for name in plan["train"]:
        train(name, plan, options.engine, options.only)
    folders = {}
    for name, facts in plan["sets"].items():
        asked = not options.only or name in options.only
        if asked and (folder := run(name, facts, plan, options)) is not None:
            folders[name] = folder
    before, _, rest = read_text(PAGE).partition(START)
    _, _, after = rest.partition(END)
    text = "\n".join([START, "", *page(plan, folders), "", END])
    write_text(PAGE, f"{before}{text}{after}")


if __name__ == "__main__":
    main()
