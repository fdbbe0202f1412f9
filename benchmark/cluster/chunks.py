"""Chunks of cases: how many a worker runs with one start of the algorithm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.outcome import Ending
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.run import ALIKE

UNKNOWN = 4  # cases of a chunk while the time of a case is not known
STARTS = 4.0  # a chunk runs so many times as long as its start, so that the start is a fifth
SHARES = 2  # chunks per worker that are left to share out when the work comes to its end
MOST = 1000  # cases of a chunk: a lost one holds up the end of the run


def chunk_size(
    begun: int, left: int, slots: int, pace: "Pace", most_s: float, *, alone: int = ALIKE
) -> int:
    """Return the number of cases of the next chunk of an algorithm.

    Parameters
    ----------
    begun, left : int
        Cases of the algorithm that were given out, and the others; one at least.
    slots : int
        Workers.
    pace : Pace
        What is known of its speed.
    most_s : float
        Longest chunk [s].
    alone : int
        The first cases go one by one: they tell the speed, and whether the algorithm works at all.

    Examples
    --------
    >>> [chunk_size(n, 100, 4, Pace(), 600.0) for n in (0, 2, 3)]
    [1, 1, 4]
    >>> chunk_size(3, 97, 4, Pace(3, 30.0, 6.0), 600.0)
    13
    >>> chunk_size(98, 2, 4, Pace(50, 500.0, 300.0), 600.0)
    2
    """
    if begun < alone:
        return 1
    share = ceil(left / (SHARES * slots))
    if pace.case_s is None:
        return min(left, UNKNOWN, share)
    long = max(1, int(most_s / max(pace.case_s, 1e-3)))
    worth = ceil(STARTS * pace.start_s / max(pace.case_s, 1e-3))  # repays its start
    return min(left, MOST, long, max(share, worth))


@dataclass
class Pace:
    """Speed of an algorithm: cases that were run, their sum of seconds, and that of starts."""

    cases: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    chunks: int = 0

    @property
    def case_s(self) -> float | None:
        """Mean seconds of a case, None where none was run."""
        return self.seconds / self.cases if self.cases else None

    @property
    def start_s(self) -> float:
        """Mean seconds of a start."""
        return self.start_seconds / max(1, self.chunks)

    def add(self, cases: int, seconds: float, start_s: float) -> None:
        """Count a chunk."""
        self.cases += cases
        self.seconds += max(0.0, seconds - start_s)
        self.start_seconds += start_s
        self.chunks += 1


@dataclass
class JobLeft:
    """Cases of a job that are left, its speed, and the failures of its first cases."""

    job: Job
    cases: list[Case]
    pace: Pace = field(default_factory=Pace)
    begun: int = 0
    causes: dict[str, Ending | None] = field(default_factory=dict)
    halves: list[tuple[Case, ...]] = field(default_factory=list)

    @property
    def first_causes(self) -> list[Ending | None]:
        """Failures of the first cases in the order of the plan, as far as all of them are known."""
        first = [case.name for case in self.job.missing[:ALIKE]]
        return [self.causes[name] for name in first] if self.causes.keys() >= {*first} else []


@dataclass(frozen=True, slots=True)
class Chunk:
    """Cases of one job for one worker; the job itself names none, they may be 100,000."""

    job: Job
    cases: tuple[Case, ...]


class Backlog:
    """The cases that are left, cut into chunks as workers become free.

    Parameters
    ----------
    jobs : sequence of Job
        With their missing cases.
    slots : int
        Workers.
    chunk_s : float
        Longest chunk [s].
    """

    def __init__(self, jobs: Sequence[Job], slots: int, chunk_s: float) -> None:
        self.slots, self.chunk_s = slots, chunk_s
        self.left = {job.algorithm.name: JobLeft(job, list(job.missing)) for job in jobs}
        self.given: list[Chunk] = []

    def __bool__(self) -> bool:
        """Return whether cases are left that no chunk holds."""
        return any(found.cases or found.halves for found in self.left.values())

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the next chunk as long as there is one, and remember it in `given`."""
        self.given = []
        while self:
            found = self._next()
            if found.halves:
                cases = found.halves.pop(0)
            else:
                size = chunk_size(
                    found.begun, len(found.cases), self.slots, found.pace, self.chunk_s
                )
                cases, found.cases = tuple(found.cases[:size]), found.cases[size:]
            found.begun += len(cases)
            self.given.append(Chunk(replace(found.job, missing=()), cases))
            yield self.given[-1]

    def _next(self) -> JobLeft:
        """Return the job of which the next chunk is: halves, first cases, then the longest one."""
        open_ones = [found for found in self.left.values() if found.cases or found.halves]
        for found in open_ones:
            if found.halves or found.begun < ALIKE:
                return found
        return max(open_ones, key=lambda found: len(found.cases) * (found.pace.case_s or 1e9))

    def split(self, chunk: Chunk) -> bool:
        """Put back a lost chunk in halves; return False for a single case."""
        if len(chunk.cases) == 1:
            return False
        middle = len(chunk.cases) // 2
        self.left[chunk.job.algorithm.name].halves += [chunk.cases[:middle], chunk.cases[middle:]]
        return True

    def put_back(self, chunk: Chunk) -> None:
        """Put back a chunk that was not begun; it is the next one."""
        found = self.left[chunk.job.algorithm.name]
        found.begun -= len(chunk.cases)
        found.halves.insert(0, chunk.cases)

    def drop(self, name: str) -> list[Case]:
        """Remove and return the cases of an algorithm that no chunk holds."""
        found = self.left[name]
        cases = [case for half in found.halves for case in half] + found.cases
        found.cases, found.halves = [], []
        return cases
