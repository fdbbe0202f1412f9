"""Remarks on two runs: differences in data, algorithms, cases, metrics and failures, in words."""

from collections.abc import Iterator

from cytosuite.benchmark.comparison.scored import ScoredRun, some
from cytosuite.errors import plain

WORDS = {
    "engine": "engine",
    "machine": "machine",
    "cytosuite": "cytosuite",
    "task": "task",
}


def same_data(before: ScoredRun, after: ScoredRun) -> bool | None:
    """Return whether the common cases of two runs are the same images and labels.

    Returns
    -------
    bool or None
        By the fingerprint, or by the digests of the cases: code that makes the same bytes has
        another fingerprint. None where a run does not say.
    """
    prints = [run.said("fingerprint") for run in (before, after)]
    if all(prints) and prints[0] == prints[1]:
        return True
    one, two = (run.table("cases") for run in (before, after))
    common = before.cases & after.cases
    limits = [run.table("request").get("min_object_voxels") for run in (before, after)]
    if common and common <= one.keys() & two.keys():
        return limits[0] == limits[1] and all(one[name] == two[name] for name in common)
    return False if all(prints) else None


def other_cases(before: ScoredRun, after: ScoredRun) -> set[str]:
    """Return the cases of one name that are known to be other images or labels."""
    common = before.cases & after.cases
    if same_data(before, after) is not False:
        return set()
    one, two = (run.table("cases") for run in (before, after))
    return {name for name in common if name not in one or one[name] != two.get(name)}


def remarks(before: ScoredRun, after: ScoredRun) -> list[str]:
    """Return sentences on all in which two runs differ, but for their scores."""
    return [
        *_data(before, after),
        *_circumstances(before, after),
        *_algorithms(before, after),
        *_sets("case", before.cases, after.cases),
        *_sets("metric", *(set(run.scores["metric"]) - {""} for run in (before, after))),
        *_failures(before, after),
    ]


def _data(before: ScoredRun, after: ScoredRun) -> Iterator[str]:
    """Yield remarks on the data."""
    same, common = same_data(before, after), before.cases & after.cases
    prints = [run.said("fingerprint")[:12] for run in (before, after)]
    if same is None:
        yield f"data: not known to be the same; {len(common)} cases have the same names"
    elif not same:
        alike = len(common - other_cases(before, after))
        limits = [run.table("request").get("min_object_voxels") or 0 for run in (before, after)]
        ignored = f"; true objects below {limits[0]} -> {limits[1]} voxels are ignored"
        yield (
            f"data: different ({before.said('dataset')} {prints[0]} -> {after.said('dataset')} "
            f"{prints[1]}); of {len(common)} cases with the same names {alike} are the same images "
            f"and labels, and compared{ignored if limits[0] != limits[1] else ''}"
        )
    elif prints[0] != prints[1]:
        yield "data: the same images and labels, made by other code"


def _circumstances(before: ScoredRun, after: ScoredRun) -> Iterator[str]:
    """Yield engine, machine, revision and task where they differ."""
    for key, noun in WORDS.items():
        one, two = before.said(key), after.said(key)
        if one and two and one != two:
            yield f"{noun}: {one} -> {two}"


def _algorithms(before: ScoredRun, after: ScoredRun) -> Iterator[str]:
    """Yield algorithms that came, went or changed."""
    yield from _sets("algorithm", set(before.algorithms), set(after.algorithms))
    for name in sorted(set(before.algorithms) & set(after.algorithms)):
        words = []
        one, two = (plain(str(run.table("versions").get(name, ""))) for run in (before, after))
        if one and two and one != two:
            words.append(f"version {one} -> {two}")
        models = [run.table("models").get(name) for run in (before, after)]
        used = _models_of(before, name) | _models_of(after, name)
        if isinstance(models[0], dict) and isinstance(models[1], dict):
            other = {model for model in used if models[0].get(model) != models[1].get(model)}
            words += [f"other weights or parameters of {some(other)}"] if other else []
        keys = [str(run.table("jobs").get(name, "")) for run in (before, after)]
        if not words and all(keys) and keys[0] != keys[1]:
            words.append("another key: its sources, data or engine changed")
        if words:
            yield f"{plain(name, 100)}: {', '.join(words)}"


def _models_of(run: ScoredRun, algorithm: str) -> set[str]:
    """Return the names of the models that an algorithm used."""
    return set(run.scores.loc[run.scores["algorithm"] == algorithm, "model"]) - {""}


def _sets(noun: str, before: set[str], after: set[str]) -> Iterator[str]:
    """Yield algorithms, cases and metrics of one run alone."""
    for word, names in (("new", after - before), ("missing", before - after)):
        if names:
            yield f"{word} {noun}{'s' if len(names) > 1 else ''}: {some(names)}"


def _failures(before: ScoredRun, after: ScoredRun) -> Iterator[str]:
    """Yield cases that fail no more."""
    for name in sorted(set(before.algorithms) & set(after.algorithms)):
        one, two = (
            run.scores[(run.scores["algorithm"] == name) & run.scores["case"].isin(after.cases)]
            for run in (before, after)
        )
        gone = set(one.loc[one["status"] != "ok", "case"])
        if mended := gone - set(two.loc[two["status"] != "ok", "case"]):
            yield f"{plain(name, 100)}: {len(mended)} cases no longer fail ({some(mended)})"
