"""One container within limits: start, requests, observation, end, and removal in any case."""

import contextlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cytosuite import client as http
from cytosuite.benchmark.containers.daemon import Client
from cytosuite.benchmark.engines.hardening import LOG_BYTES, RUN_LABEL, is_orphan, ulimits
from cytosuite.benchmark.engines.memory import MemoryGroup
from cytosuite.benchmark.engines.outcome import GRACE_S, Limits

QUICK_S, SLOW_S, QUICK_FOR_S = 0.02, 0.1, 2.0
LATE_S = 5.0  # for the events of a daemon
PYTHON = ("python3", "-I", "-S", "-c")
PAUSE = "import signal; signal.pause()"
LAST_LINES, END_BYTES = 20, 4096  # of a log in which a progress is looked for


@dataclass(frozen=True, slots=True)
class ContainerState:
    """State of a container, as the daemon reports it."""

    running: bool
    exit_code: int
    oom_killed: bool
    pid: int


class Sandbox:
    """A container with all its limits; see `sandbox`.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon.
    container : docker.models.containers.Container
        Created, not started.
    counted : bool
        Whether the daemon counts its memory. One that cannot limit it reports that of the machine.
    """

    def __init__(
        self,
        client: Client,
        container: Any,  # noqa: ANN401 - of the SDK
        *,
        counted: bool = True,
    ) -> None:
        self.client, self.counted = client, counted
        self.container = container
        self.voice: str = container.id  # the container in which requests are made
        self._group: MemoryGroup | None = None
        self._kills = 0
        self._seen: dict[bool, tuple[str, int]] = {}
        self._open: list[Any] = []  # connections of programs that have not ended

    def start(self) -> None:
        """Start the container."""
        self.container.start()
        self._group = MemoryGroup(self.state().pid, self.container.id)

    def state(self) -> ContainerState:
        """Return its present state."""
        found = self.client.api.inspect_container(self.container.id)["State"]
        return ContainerState(
            running=bool(found["Running"]),
            exit_code=int(found["ExitCode"]),
            oom_killed=bool(found.get("OOMKilled", False)),
            pid=int(found.get("Pid") or 0),
        )

    def exit_code(self) -> int | None:
        """Return the exit code of its program, None while it runs."""
        state = self.state()
        return None if state.running else state.exit_code

    def freeze(self) -> bool:
        """Stop all processes of the container where they are; return whether they stand still."""
        from docker.errors import APIError

        with contextlib.suppress(APIError):  # a daemon that cannot, or the container has ended
            self.container.pause()
            return True
        return False

    def thaw(self) -> None:
        """Let the processes of a frozen container go on."""
        self.container.unpause()

    def ask(
        self, line: str, patience_s: float = 0.0, timeout_s: float = 0.0
    ) -> Callable[[], int | None]:
        """Send a request to the server on the loopback device of the container.

        It has no other network, so the request is made inside it, or inside a container of ours
        that shares the device, see `speaker`.

        Parameters
        ----------
        line : str
            Method and path, see `cytosuite.client.request`.
        patience_s : float
            Longest wait for a server that does not listen yet [s].
        timeout_s : float
            Longest wait for an answer [s]; 0 is no limit.

        Returns
        -------
        callable
            Returns the answer as an exit code, None before there is one.
        """
        source, waits = inspect.getsource(http), (str(patience_s), str(timeout_s))
        command = [*PYTHON, source, line, *waits]
        made, stream = self._begin(command)
        # The HTTP answer holds the connection; a second call of `close` does nothing.
        connection = getattr(stream, "_response", stream)
        self._open.append(connection)

        def code() -> int | None:
            """Return the answer, None while there is none."""
            found = self.client.api.exec_inspect(made)
            if found["Running"] or found["ExitCode"] is None:
                return None
            if connection in self._open:
                self._open.remove(connection)
            connection.close()
            return int(found["ExitCode"])

        return code

    def _begin(self, command: Sequence[str]) -> tuple[str, Any]:
        """Start a program inside the container and return its name and connection.

        Docker learns of a pause a second time, from an event. On a busy machine it may do so after
        the container goes on, and then takes it for a frozen one until the next event.
        """
        from docker.errors import APIError

        deadline = time.monotonic() + LATE_S
        while True:
            try:
                made = self.client.api.exec_create(self.voice, command)["Id"]
                # Attached but never read: podman does not report the end of a detached program, and
                # reading would exceed the connection's time limit when an algorithm prints nothing.
                return made, self.client.api.exec_start(made, socket=True)
            except APIError as error:
                if "is paused" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(QUICK_S)

    def detach(self) -> None:
        """Close the connections of programs that have not ended."""
        while self._open:
            self._open.pop().close()

    def end(self) -> None:
        """End the container: SIGTERM, and SIGKILL 5 s later."""
        self.container.stop(timeout=GRACE_S)

    def used(self) -> int | None:
        """Return the memory in use in bytes, from the daemon if no control group is found."""
        self.kills()
        if self._group is not None and self._group.folder is not None:
            return self._group.used()
        if not self.counted:
            return None
        memory = self._statistics().get("memory_stats", {})
        stats = memory.get("stats", {})
        cache = stats.get("inactive_file", stats.get("total_inactive_file", 0))
        return max(0, int(memory["usage"]) - int(cache)) if "usage" in memory else None

    def work(self) -> tuple[float, int] | None:
        """Return processor time [s] and memory with page cache [bytes]; None where not known."""
        found = self._statistics()
        try:
            seconds = int(found["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
            return seconds, int(found["memory_stats"]["usage"])
        except KeyError:
            return None

    def _statistics(self) -> dict[str, Any]:
        """Return the daemon's statistics, nothing where it gives none."""
        from docker.errors import DockerException
        from requests import RequestException

        try:
            return dict(self.client.api.stats(self.container.id, stream=False, one_shot=True))
        except (DockerException, RequestException, ValueError):
            return {}

    def kills(self) -> int:
        """Return how many processes were killed for lack of memory so far, as far as known.

        The count is not readable once the container has ended; the last one read is kept.
        """
        found = self._group.kills() if self._group is not None else None
        self._kills = max(self._kills, found or 0)
        return self._kills

    def new_log(self) -> tuple[str, str]:
        """Return the output since the last call: all of it, and the last line of stderr.

        Returns
        -------
        text : str
            stdout and stderr in order of time, UTF-8 with replacement.
        line : str
            The last line of stderr that is not empty.
        """
        lines = [line.strip() for line in self._read(stdout=False) if line.strip()]
        return "".join(f"{line}\n" for line in self._read(stdout=True)), lines[-1] if lines else ""

    def end_of_log(self) -> str:
        """Return the last lines of stdout, nothing where the daemon does not give them."""
        from docker.errors import DockerException
        from requests import RequestException

        try:
            raw = self.container.logs(stdout=True, stderr=False, tail=LAST_LINES)
        except (DockerException, RequestException):
            return ""
        return str(raw[-END_BYTES:].decode("utf-8", errors="replace"))

    def _read(self, *, stdout: bool) -> list[str]:
        """Return the lines of stderr, or of both streams, that were written since the last call.

        The daemon selects by whole seconds, the resolution of podman's time stamps; so the lines of
        the last time stamp are counted.
        """
        last, count = self._seen.get(stdout, ("", 0))
        second = datetime.fromisoformat(last[:19] + "+00:00") if last else None
        since = {"since": int(second.timestamp())} if second else {}
        raw = self.container.logs(stdout=stdout, stderr=True, timestamps=True, **since)
        new: list[str] = []
        skip = count
        for line in raw.decode("utf-8", errors="replace").split("\n"):
            stamp, _, text = line.partition(" ")
            if not stamp or stamp < last:
                continue
            if stamp == last and skip:
                skip -= 1
                continue
            new.append(text)
            last, count = (stamp, count + 1) if stamp == last else (stamp, 1)
            skip = 0
        self._seen[stdout] = last, count
        return new


@contextmanager
def sandbox(
    client: Client,
    image: str,
    command: Sequence[str],
    folders: Mapping[str, Path],
    limits: Limits,
    chosen: Mapping[str, Any],
) -> Iterator[Sandbox]:
    """Create and start a container; remove it when the block ends, also after an error.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon.
    image : str
        Tag or id.
    command : sequence of str
        Arguments of the image's entry point; empty for its own.
    folders : mapping of str to Path
        Folders of the host by mount point; all but ``/output`` are read-only.
    limits : Limits
        Of the container.
    chosen : mapping
        Flags from `cytosuite.benchmark.engines.hardening.flags`.

    Yields
    ------
    Sandbox
        Running.
    """
    from docker.types import LogConfig, Mount, Ulimit

    mounts = [
        Mount(point, str(path.resolve()), type="bind", read_only=point != "/output")
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
        box.start()
        yield box
    finally:
        box.detach()
        _remove(container)


@contextmanager
def speaker(
    client: Client, image: str, box: Sandbox, chosen: Mapping[str, Any]
) -> Iterator[Sandbox]:
    """Start a container that makes the requests to the server in another one.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon.
    image : str
        An image of ours, with Python: the other one may have none.
    box : Sandbox
        The other container. Both have one loopback device, and nothing else in common.
    chosen : mapping
        Flags from `cytosuite.benchmark.engines.hardening.flags`.
    """
    own = {key: value for key, value in chosen.items() if key != "hostname"}
    own |= {"network_mode": f"container:{box.container.id}", "entrypoint": [*PYTHON, PAUSE]}
    with sandbox(client, image, (), {}, Limits(), own) as made:
        box.voice = made.container.id
        yield made


def watch(
    look: Callable[[], int | None], exceeded: Callable[[float], bool], begin: float
) -> int | None:
    """Return the first number of `look`, None once a limit is exceeded.

    Parameters
    ----------
    look : callable
        Returns the number, None before it is known. It is called every 20 ms, after 2 s every
        100 ms.
    exceeded : callable
        Returns whether a limit is exceeded, given the seconds since `begin`.
    begin : float
        Time of `time.perf_counter` [s].
    """
    while (found := look()) is None:
        seconds = time.perf_counter() - begin
        if exceeded(seconds):
            return None
        time.sleep(QUICK_S if seconds < QUICK_FOR_S else SLOW_S)
    return found


def remove_orphans(client: Client) -> int:
    """Remove containers that killed runners on this machine left; return their number."""
    found = client.containers.list(
        all=True, filters={"label": RUN_LABEL}, sparse=True, ignore_removed=True
    )
    orphans = [item for item in found if is_orphan(str(item.attrs["Labels"].get(RUN_LABEL, "")))]
    for container in orphans:
        _remove(container)
    return len(orphans)


def _remove(container: Any) -> None:  # noqa: ANN401 - of the SDK
    """Kill and remove a container; if the daemon fails, a later runner will."""
    from docker.errors import DockerException
    from requests import RequestException

    with contextlib.suppress(DockerException, RequestException):
        container.remove(force=True, v=True)
