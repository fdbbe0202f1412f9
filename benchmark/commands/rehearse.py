"""Rehearse a submission on this machine: the platform's runs, limits and rules."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from cytosuite.benchmark.catalog import ROOT, algorithms, dataset_manifests, pick
from cytosuite.benchmark.commands.challenge import RehearseOptions
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.guests import need_guests, take_in
from cytosuite.benchmark.commands.options import DataOptions
from cytosuite.benchmark.containers.images import image_digest
from cytosuite.benchmark.contract import Check
from cytosuite.benchmark.data.dataset import serves
from cytosuite.benchmark.data.recipe import recipe
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.guest import is_guest
from cytosuite.benchmark.engines.outcome import Api, Limits
from cytosuite.benchmark.models import named_models
from cytosuite.benchmark.results.controls import CONTROLS
from cytosuite.benchmark.submission.rehearsal import Rehearsal, write_record
from cytosuite.benchmark.submission.sites import SITES, Site, smallest
from cytosuite.errors import InputError
from cytosuite.manifest import AlgorithmManifest
from cytosuite.tasks import TASKS

USUAL = "spheroid"  # of several datasets that serve a task


def rehearse(options: RehearseOptions, screen: Console) -> bool:
    """Rehearse a submission, print and record the checks, and return whether all are passed.

    Raises
    ------
    InputError
        If there is no such algorithm, dataset or profile, or no daemon that runs containers.
    """
    known = options.profile and SITES[pick("profile", [options.profile], SITES)[0]]
    engine, manifest = _subject(options, screen)
    guest = engine.guests.get(manifest.name)
    api = guest.api if guest else options.own_api(engine.name)
    site = known or smallest(manifest)
    name = options.dataset or dataset_for(manifest)
    size = None if options.dataset else "mini"
    data = DataOptions(dataset=name, size=size, runs=options.runs)
    made = recipe(data.request(task=manifest.task, spacing=options.spacing))
    dataset = make(made, data, options, engine, screen)
    limits = site.limits(os.cpu_count() or 1, options.timeout)
    if options.memory:
        limits = replace(limits, memory_gib=options.memory)
    head = f"{manifest.name} on {site.name} ({site.title}), {dataset.name}"
    screen.print(head, highlight=False, markup=False)
    with TemporaryDirectory() as folder:
        cases = dataset.cases[: options.cases]
        rehearsal = Rehearsal(engine, manifest, cases, limits, Path(folder), guest is not None)
        done = [_show(check, screen) for check in _checks(rehearsal, api, site, limits, options)]
    passed = all(check.result != "FAIL" for check in done)
    record = {
        "algorithm": manifest.name,
        "identity": guest.identity if guest else image_digest(ROOT, manifest.name, options.device),
        "api": api,
        "site": site.name,
        "dataset": dataset.name,
        "passed": passed,
        **rehearsal.figures(),
        "checks": {check.title: f"{check.result} {check.reason}".strip() for check in done},
    }
    path = write_record(data.folder, manifest.name, record)
    verdict = f"rehearsal {'passed' if passed else 'FAILED'}: {path}"
    screen.print(verdict, highlight=False, markup=False, soft_wrap=True)
    return passed


def dataset_for(manifest: AlgorithmManifest) -> str:
    """Return the name of a simulated dataset that holds the inputs of an algorithm.

    Raises
    ------
    InputError
        If none does.
    """
    task = TASKS[manifest.task]
    found = [
        (each.task != manifest.task, each.name != USUAL, each.name)
        for each in dataset_manifests().values()
        if each.kind == "simulated" and serves(frozenset(each.offers), task, manifest.needs)
    ]
    if not found:
        needed = {socket.slug for socket in task.inputs if not socket.optional}
        needed |= set(manifest.needs)
        raise InputError(
            f"no simulated dataset offers {', '.join(sorted(needed))}, as {manifest.name} needs; "
            "give DATASET=<folder of images>"
        )
    return min(found)[2]


def _subject(options: RehearseOptions, screen: Console) -> tuple[DockerEngine, AlgorithmManifest]:
    """Return the engine with the image to rehearse, ours or others', and its description."""
    word, known = options.algorithm, algorithms()
    if not is_guest(word):
        pick("algorithm", [word], known)
    elif not options.task:
        raise InputError(f"{word}: give the TASK of an image of others: {', '.join(TASKS)}")
    own = [] if is_guest(word) else [word]
    need_guests([] if own else [word], options.sockets)
    engine = start_engine(options, own, screen, named_models(options.model, own) if own else {})
    if not isinstance(engine, DockerEngine):
        raise InputError("a rehearsal runs containers; start Docker, or use ENGINE=podman")
    if own:
        return engine, known[word]
    task = TASKS[pick("task", [str(options.task)], TASKS)[0]]
    (manifest,) = take_in([word], [*known, *CONTROLS], task, engine, options, screen)
    return engine, manifest


def _checks(
    rehearsal: Rehearsal, api: Api, site: Site, limits: Limits, options: RehearseOptions
) -> Iterator[Check]:
    """Yield the checks of a rehearsal, and those that this machine cannot make."""
    yield from rehearsal.checks(api)
    if site.gpu and options.device == "cpu":
        yield Check(f"GPU: {site.gpu}", "skip", "run without one; DEVICE=cuda uses this machine's")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if total < limits.memory_gib:
        reason = f"this machine has {total:.0f} GiB"
        yield Check(f"memory up to {limits.memory_gib:g} GiB", "skip", reason)


def _show(check: Check, screen: Console) -> Check:
    """Print a check, and return it."""
    screen.print(check.line, highlight=False, markup=False, soft_wrap=True)
    return check
