"""Clusters for the commands: opened by their options, and the runs on them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.cluster.cases import Circumstances
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.site import read_site
from cytosuite.benchmark.cluster.spread import rungs, spread
from cytosuite.benchmark.commands.options import ClusterOptions, RunOptions
from cytosuite.benchmark.commands.progress import Cases, progress
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import Api, Engine, Limits
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.run import Inside, Report
from cytosuite.errors import InputError
from cytosuite.tasks import Task


@contextmanager
def opened(
    options: ClusterOptions, folder: Path, console: Console, device: Device = "cpu"
) -> Iterator[OpenCluster | None]:
    """Open the cluster that the options name, None without; it is closed whatever happens.

    Parameters
    ----------
    options : ClusterOptions
        Word and site.
    folder : Path
        Of all results; the nodes see it by the same path.
    console : Console
        Gets lines on the queue.
    device : str
        With ``cuda`` a worker has one GPU.

    Raises
    ------
    InputError
        If the site is wrong, or there is one without a cluster.
    """
    if options.cluster is None:
        if options.site is not None:
            raise InputError(f"SITE={options.site} is for CLUSTER=local, slurm or tcp://host:port")
        yield None
        return
    site = read_site(options.site)
    if device == "cuda" and not site.gpus:
        site = site.model_copy(update={"gpus": 1})
    say = partial(console.print, highlight=False, markup=False)
    with OpenCluster(options.cluster, site, folder / "cluster", say) as cluster:
        yield cluster


def engine_word(options: RunOptions, cluster: OpenCluster | None) -> str:
    """Return the wanted engine: that of the site where the command line leaves it open."""
    own = cluster.site.engine if cluster is not None else None
    return own if own is not None and options.engine == "auto" else options.engine


class ClusterRun:
    """Runs jobs on a cluster, and again with more memory where that did not suffice.

    Parameters
    ----------
    cluster : OpenCluster
        The workers.
    device : str
        ``cuda`` for workers with a GPU.
    console : Console
        Shows the progress of what runs again.
    keep_going : bool
        Whether to run all cases of an algorithm whose first ones fail alike.

    Attributes
    ----------
    notes : list of str
        Sentences on the run for the report.
    """

    def __init__(
        self,
        cluster: OpenCluster,
        device: Device,
        console: Console,
        *,
        keep_going: bool = False,
    ) -> None:
        self.cluster, self.device, self.console = cluster, device, console
        self.keep_going, self.notes = keep_going, list[str]()

    def __call__(
        self,
        job: Job,
        task: Task,
        engine: Engine,
        limits: Limits,
        api: Api,
        report: Report,
        _inside: Inside,
    ) -> None:
        """Run one job, as `cytosuite.benchmark.run.run_job` does."""
        name = job.algorithm.name
        self.all([job], job.missing, task, engine, {name: limits}, {name: api}, report)

    def all(
        self,
        jobs: Sequence[Job],
        cases: Sequence[Case],
        task: Task,
        engine: Engine,
        limits: Mapping[str, Limits],
        apis: Mapping[str, Api],
        report: Report,
    ) -> None:
        """Run the missing cases of all jobs.

        Parameters
        ----------
        jobs : sequence of Job
            Of one task.
        cases : sequence of Case
            All of the dataset.
        task, engine, report
            As of `cytosuite.benchmark.run.run_job`.
        limits, apis : mapping of str to Limits, str
            By algorithm.
        """
        site = self.cluster.site
        found = Circumstances(
            engine.name,
            self.device,
            task.name,
            {name: replace(own, cpus=float(site.cores)) for name, own in limits.items()},
            dict(apis),
            {name: path.resolve() for name, path in engine.models.items()},
            dict(engine.guests) if isinstance(engine, DockerEngine) else {},
            engine.voice if isinstance(engine, DockerEngine) else "",
            site.scratch,
        )
        if any(job.missing for job in jobs):
            self._spread(jobs, found, report)
        top = site.most_memory_gib
        if top is None:
            return
        given = {name: own.memory_gib for name, own in limits.items()}
        for memory, again in rungs(jobs, cases, given, top):
            raised = {name: replace(own, memory_gib=memory) for name, own in found.limits.items()}
            with progress(self.console, f"running again with {memory:g} GiB") as step:
                total = sum(len(job.missing) for job in again)
                step(0, total)
                self._spread(again, replace(found, limits=raised), Cases(step, total))

    def _spread(self, jobs: Sequence[Job], found: Circumstances, report: Report) -> None:
        """Run jobs by workers that are large enough for the largest case."""
        wanted = [job for job in jobs if job.missing]
        memory = max(found.limits[job.algorithm.name].memory_gib for job in wanted)
        pool = self.cluster.pool(memory)
        if self.device == "cuda":
            pool = replace(pool, resources={"GPU": 1})
        chunk_s = 60 * self.cluster.site.chunk_minutes
        going = self.keep_going
        spread(wanted, found, pool, report, chunk_s=chunk_s, keep_going=going, remark=self._remark)

    def _remark(self, line: str) -> None:
        """Show a line, and keep it for the report, once."""
        if f"{line}." not in self.notes:
            self.notes.append(f"{line}.")
            self.console.print(line, highlight=False, markup=False)
