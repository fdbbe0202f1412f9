"""One container within limits: start, requests, observation, end, and removal in any case."""

import contextlib
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from math import inf
from operator import itemgetter
from typing import Any, NamedTuple

from docker.errors import APIError, DockerException
from docker.types import LogConfig, Mount, Ulimit
from requests import RequestException

from cytosuite.benchmark.engines.hardening import LOG_BYTES, RUN_LABEL, ulimits
from cytosuite.benchmark.engines.images.daemon import Client
from cytosuite.benchmark.engines.memory import MemoryGroup, memory_group
from cytosuite.benchmark.engines.outcome import Limits, Look
from cytosuite.contract import client as http
from cytosuite.files import Entries, Json, Paths, TextPair, TextSeq
from cytosuite.files.working import is_orphan

QUICK_S, SLOW_S, QUICK_FOR_S = 0.02, 0.1, 2.0
LATE_S = 5.0  # for the events of a daemon
PAUSED = "is paused"
PYTHON = ("python3", "-I", "-S", "-c")
PAUSE = "import signal; signal.pause()"
LAST_LINES = 20  # of a log in which a progress is looked for
END_BYTES = 4096  # at its end that are read


class ContainerState(NamedTuple):
    """State of a container, as the daemon reports it."""

    running: bool
    exit_code: int
    oom_killed: bool
    pid: int


class Sandbox:
    """A container with all its limits, created by `sandbox`."""

    def __init__(self, client: Client, container: Any, *, counted: bool = True) -> None:  # noqa: ANN401
        self.client = client
        self.counted = counted
        self.container = container
        self.voice = container.id  # the container in which requests are made
        self.group: MemoryGroup | None = None
        self._kills = 0
        self._seen: dict[bool, tuple[str, int]] = {}
        self.open: list[Any] = []  # connections of programs that have not ended

    def state(self) -> ContainerState:
        """Return its present state."""
        state = self.client.api.inspect_container(self.container.id)["State"]
        return ContainerState(
            running=bool(state["Running"]),
            exit_code=int(state["ExitCode"]),
            oom_killed=bool(state.get("OOMKilled", False)),
            pid=int(state.get("Pid") or 0),
        )

    def exit_code(self) -> int | None:
        """Return the exit code of its program, None while it runs."""
        state = self.state()
        return None if state.running else state.exit_code

    def end(self, most_s: float = inf) -> tuple[int | None, str]:
        """Wait for the end of its program: exit code, None after so many seconds; last line."""
        code = watch(self.exit_code, lambda waited: waited > most_s, time.perf_counter())
        return code, self.new_log()[1]

    def ask(self, line: str, patience_s: float = 0.0, timeout_s: float = 0.0) -> Look:
        """Send a request from within or from the `speaker`; return a function for its answer."""
        command = [*PYTHON, inspect.getsource(http), line, str(patience_s), str(timeout_s)]
        create, start = self.client.api.exec_create, self.client.api.exec_start
        request = self._late(lambda: create(self.voice, command), PAUSED)["Id"]
        # Attached but never read: podman does not report the end of a detached program, and
        # reading would exceed the connection's time limit when an algorithm prints nothing.
        stream = self._late(lambda: start(request, socket=True), PAUSED)
        # The HTTP answer holds the connection; a second call of `close` does nothing.
        connection = getattr(stream, "_response", stream)
        self.open.append(connection)

        def _code() -> int | None:
            state = self.client.api.exec_inspect(request)
            if state["Running"] or state["ExitCode"] is None:
                return None
            if connection in self.open:
                self.open.remove(connection)
            connection.close()
            return int(state["ExitCode"])

        return _code

    def freeze(self) -> None:
        """Let all its processes stand still."""
        self._late(self.container.pause, "is already paused")

    def thaw(self) -> None:
        """Let its processes go on."""
        self._late(self.container.unpause, "is not paused")

    def _late(self, ask: Callable[[], Any], refusal: str) -> Any:  # noqa: ANN401
        """Ask a daemon again, which may learn late of earlier pauses and of their ends."""
        deadline = time.monotonic() + LATE_S
        while True:
            try:
                return ask()
            except APIError as error:
                is_late = refusal in str(error) and time.monotonic() < deadline
                if not is_late or self.exit_code() is not None:
                    raise
            time.sleep(QUICK_S)

    def used(self) -> int | None:
        """Return the memory in use in bytes, from the daemon if no control group is found."""
        self.kills()
        if self.group is not None:
            return self.group.used()
        if not self.counted:
            return None
        memory = self._statistics().get("memory_stats", {})
        stats = memory.get("stats", {})
        cache = stats.get("inactive_file", stats.get("total_inactive_file", 0))
        return max(0, int(memory["usage"]) - int(cache)) if "usage" in memory else None

    def work(self) -> tuple[float, int] | None:
        """Return processor time [s] and memory with page cache [bytes]; None where not known."""
        statistics = self._statistics()
        try:
            seconds = int(statistics["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
            return seconds, int(statistics["memory_stats"]["usage"])
        except KeyError:
            return None

    def _statistics(self) -> Json:
        """Return the daemon's statistics, nothing where it gives none."""
        try:
            return dict(self.client.api.stats(self.container.id, stream=False, one_shot=True))
        except (DockerException, RequestException, ValueError):
            return {}

    def kills(self) -> int:
        """Return how many processes were killed for lack of memory, also after the end."""
        kills = self.group.kills() if self.group is not None else None
        self._kills = max(self._kills, kills or 0)
        return self._kills

    def new_log(self) -> TextPair:
        """Return stdout and stderr since the last call, and the last line of stderr."""
        lines = [line.strip() for line in self._read(stdout=False) if line.strip()]
        return "".join(f"{line}\n" for line in self._read(stdout=True)), lines[-1] if lines else ""

    def end_of_log(self) -> str:
        """Return the last lines of stdout, nothing where the daemon does not give them."""
        try:
            raw = self.container.logs(stdout=True, stderr=False, tail=LAST_LINES)
        except (DockerException, RequestException):
            return ""
        return str(raw[-END_BYTES:].decode("utf-8", errors="replace"))

    def _read(self, *, stdout: bool) -> list[str]:
        """Return the lines of stderr, or of both streams, that were written since the last call."""
        # The daemon selects by whole seconds: the lines of the last time stamp are counted.
        last, count = self._seen.get(stdout, ("", 0))
        second = datetime.fromisoformat(last[:19] + "+00:00") if last else None
        since = {"since": int(second.timestamp())} if second else {}
        raw = self.container.logs(stdout=stdout, stderr=True, timestamps=True, **since)
        lines = (line.partition(" ") for line in raw.decode("utf-8", errors="replace").split("\n"))
        # Lines of stdout and stderr may be a little out of order.
        later = sorted((line for line in lines if line[0] >= (last or "0")), key=itemgetter(0))
        stamps = [stamp for stamp, *_ in later]
        new = later[min(count, stamps.count(last)) :]
        if new:
            self._seen[stdout] = stamps[-1], stamps.count(stamps[-1])
        return [text for *_, text in new]


@contextmanager
def sandbox(
    client: Client,
    image: str,
    command: TextSeq,
    folders: Paths,
    limits: Limits,
    chosen: Entries,
    writable: str = "/output",
) -> Iterator[Sandbox]:
    """Run a container with `hardening.flags` and folders, one of them writable."""
    mounts = [
        Mount(point, str(path.resolve()), type="bind", read_only=point != writable)
        for point, path in folders.items()
    ]
    container = client.containers.create(
        image,
        list(command) or None,
        mounts=mounts,
        ulimits=[Ulimit(name=name, soft=value, hard=value) for name, value in ulimits(limits)],
        log_config=LogConfig(
            type="json-file", config={"max-size": str(LOG_BYTES), "max-file": "1"}
        ),
        **chosen,
    )
    box = Sandbox(client, container, counted="mem_limit" in chosen)
    try:
        container.start()
        box.group = memory_group(box.state().pid, container.id)
        yield box
    finally:
        for connection in box.open:
            connection.close()
        _remove(container)


@contextmanager
def speaker(client: Client, image: str, box: Sandbox, chosen: Entries) -> Iterator[Sandbox]:
    """Start a container of ours that makes requests to a server by its loopback device alone."""
    flags = {key: value for key, value in chosen.items() if key != "hostname"}
    flags |= {"network_mode": f"container:{box.container.id}", "entrypoint": [*PYTHON, PAUSE]}
    with sandbox(client, image, (), {}, Limits(), flags) as voice:
        box.voice = voice.container.id
        yield voice


def watch(look: Look, exceeded: Callable[[float], bool], begin: float) -> int | None:
    """Return the first number of `look`, None once a limit (seconds since `begin`) is exceeded."""
    while (code := look()) is None:
        seconds = time.perf_counter() - begin
        if exceeded(seconds):
            return None
        time.sleep(QUICK_S if seconds < QUICK_FOR_S else SLOW_S)
    return code


def remove_orphans(client: Client) -> int:
    """Remove containers that killed runners on this machine left; return their number."""
    containers = client.containers.list(
        all=True, filters={"label": RUN_LABEL}, sparse=True, ignore_removed=True
    )
    removed = 0
    for container in containers:
        if is_orphan(str(container.attrs["Labels"].get(RUN_LABEL, ""))):
            _remove(container)
            removed += 1
    return removed


def _remove(container: Any) -> None:  # noqa: ANN401 - of the SDK
    """Kill and remove a container; if the daemon fails, a later runner will."""
    with contextlib.suppress(DockerException, RequestException):
        container.remove(force=True, v=True)
