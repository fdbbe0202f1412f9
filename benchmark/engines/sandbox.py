"""One container, kept within bounds: started, asked, looked at, ended, always removed."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.containers.daemon import Client
from benchmark.engines.hardening import LOG_BYTES, RUN_LABEL, is_orphan, ulimits
from benchmark.engines.memory import Group
from benchmark.engines.outcome import Limits

GRACE_S = 5  # between SIGTERM and SIGKILL, as on the platform
QUICK_S, SLOW_S, QUICK_FOR_S = 0.02, 0.1, 2.0
# One HTTP request to the algorithm's server, from inside the container: exit code 0 for 200 and
# 201, else the number in the body, 1 without one. Sockets alone: whatever a client imports would
# count as the algorithm's memory (250 MB with the library) and time (0.5 s a case).
CLIENT = """
import socket, sys, time
request, patience = sys.argv[1], time.monotonic() + float(sys.argv[2])
while True:
    try:
        server = socket.create_connection(("127.0.0.1", 4743))
        break
    except ConnectionRefusedError:
        if time.monotonic() > patience:
            sys.exit(1)
        time.sleep(0.02)
server.sendall(f"{request} HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
answer = b""
while len(answer) < 65536 and (part := server.recv(4096)):
    answer += part
head, _, body = answer.partition(b"\\r\\n\\r\\n")
done = head.split()[1:2] in ([b"200"], [b"201"])
sys.exit(0 if done else int(body) if body.isdigit() and len(body) < 4 else 1)
"""
HEALTH, INVOKE = "GET /health", "POST /invoke"


@dataclass(frozen=True, slots=True)
class State:
    """What the daemon knows of a container."""

    running: bool
    exit_code: int
    oom_killed: bool
    pid: int


class Sandbox:
    """A container that was created with all its bounds; see `sandbox`."""

    def __init__(self, client: Client, container: Any) -> None:  # noqa: ANN401 - of the SDK
        self.client = client
        self.container = container
        self._group: Group | None = None
        self._seen: dict[bool, tuple[str, int]] = {}
        self._streams = ExitStack()

    def start(self) -> None:
        """Start it."""
        self.container.start()
        self._group = Group(self.state().pid, self.container.id)

    def state(self) -> State:
        """Return what the daemon knows of it now."""
        found = self.client.api.inspect_container(self.container.id)["State"]
        return State(
            running=bool(found["Running"]),
            exit_code=int(found["ExitCode"]),
            oom_killed=bool(found.get("OOMKilled", False)),
            pid=int(found.get("Pid") or 0),
        )

    def exit_code(self) -> int | None:
        """Return the exit code of its program, None while it runs."""
        state = self.state()
        return None if state.running else state.exit_code

    def ask(self, request: str, patience_s: float = 0.0) -> Callable[[], int | None]:
        """Send a request to the server and return a function that gives the answer, None before.

        A server that does not listen yet is waited for this long. The answer is 0, or the exit
        code a run would have had.
        """
        command = ["python3", "-I", "-S", "-c", CLIENT, request, str(patience_s)]
        made = self.client.api.exec_create(self.container.id, command)["Id"]
        # Attached but never read: podman does not tell the end of a detached program, and reading
        # would run into the connection's time limit when an algorithm is silent for long.
        stream = self._streams.enter_context(closing(_Attached(self.client, made)))

        def code() -> int | None:
            """Return the answer, None while there is none."""
            found = self.client.api.exec_inspect(made)
            if found["Running"] or found["ExitCode"] is None:
                return None
            stream.close()
            return int(found["ExitCode"])

        return code

    def detach(self) -> None:
        """Close the connections of programs that have not ended."""
        self._streams.close()

    def end(self) -> None:
        """Send SIGTERM, and SIGKILL 5 s later."""
        self.container.stop(timeout=GRACE_S)

    def used(self) -> int | None:
        """Return the memory in use in bytes; from the daemon where the host's files do not tell."""
        if self._group is not None and self._group.folder is not None:
            return self._group.used()
        from docker.errors import DockerException
        from requests import RequestException

        try:
            found = self.client.api.stats(self.container.id, stream=False, one_shot=True)
        except (DockerException, RequestException, ValueError):
            return None
        memory = found.get("memory_stats", {})
        stats = memory.get("stats", {})
        cache = stats.get("inactive_file", stats.get("total_inactive_file", 0))
        return max(0, int(memory["usage"]) - int(cache)) if "usage" in memory else None

    def kills(self) -> int:
        """Return how many processes were killed for want of memory so far, as far as known."""
        return (self._group.kills() if self._group is not None else None) or 0

    def said(self) -> tuple[str, str]:
        """Return what it wrote since the last call: all of it, and the last line of stderr.

        Returns
        -------
        text : str
            stdout and stderr as they came, UTF-8 with replacement, without NUL.
        line : str
            The last line of stderr that is not empty.
        """
        lines = [line.strip() for line in self._read(stdout=False) if line.strip()]
        return "".join(f"{line}\n" for line in self._read(stdout=True)), lines[-1] if lines else ""

    def _read(self, *, stdout: bool) -> list[str]:
        """Return the lines of stderr, or of both streams, that were written since the last call.

        The daemon selects by seconds and podman's time stamps have no more, so the lines of the
        last stamp are counted.
        """
        last, count = self._seen.get(stdout, ("", 0))
        since = {"since": _seconds(last)} if last else {}
        raw = self.container.logs(stdout=stdout, stderr=True, timestamps=True, **since)
        new: list[str] = []
        skip = count
        for line in raw.decode("utf-8", errors="replace").replace("\0", "").split("\n"):
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


class _Attached:
    """The connection to a program that was started in a container."""

    def __init__(self, client: Client, made: str) -> None:
        self._stream = client.api.exec_start(made, socket=True)

    def close(self) -> None:
        """Close it by way of the answer which the SDK hangs on it; twice is as good as once."""
        answer = getattr(self._stream, "_response", None)
        (self._stream if answer is None else answer).close()


@contextmanager
def sandbox(
    client: Client,
    image: str,
    command: Sequence[str],
    folders: Mapping[str, Path],
    limits: Limits,
    chosen: Mapping[str, Any],
) -> Iterator[Sandbox]:
    """Create a container, start it, and remove it when the block ends, however it ends.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon.
    image : str
        Tag or id.
    command : sequence of str
        Arguments of the image's entry point.
    folders : mapping of str to Path
        By mount point; all but ``/output`` are read-only.
    limits : Limits
        What it may use.
    chosen : mapping
        As from `benchmark.engines.hardening.flags`; the environment is added to.

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
    given = dict(chosen)
    given["environment"] = {**chosen["environment"], "CYTOSUITE_RECORD": "/output/record.json"}
    container = client.containers.create(
        image,
        list(command),
        mounts=mounts,
        ulimits=[Ulimit(name=name, soft=value, hard=value) for name, value in ulimits(limits)],
        log_config=LogConfig(
            type="json-file", config={"max-size": str(LOG_BYTES), "max-file": "1"}
        ),
        **given,
    )
    box = Sandbox(client, container)
    try:
        box.start()
        yield box
    finally:
        box.detach()
        _remove(container)


def watch(finished: Callable[[], bool], broken: Callable[[float], bool], begin: float) -> bool:
    """Wait until something has finished or a bound is broken.

    Parameters
    ----------
    finished : callable
        Whether it has.
    broken : callable
        Whether a bound is broken; gets the seconds since `begin`.
    begin : float
        As `time.perf_counter` counts.

    Returns
    -------
    bool
        Whether it finished within its bounds. It is looked at every 20 ms, after 2 s every 100 ms.
    """
    while not finished():
        seconds = time.perf_counter() - begin
        if broken(seconds):
            return False
        time.sleep(QUICK_S if seconds < QUICK_FOR_S else SLOW_S)
    return True


def remove_orphans(client: Client) -> int:
    """Remove containers whose runner on this machine was killed; return how many."""
    found = client.containers.list(
        all=True, filters={"label": RUN_LABEL}, sparse=True, ignore_removed=True
    )
    orphans = [item for item in found if is_orphan(str(item.attrs["Labels"].get(RUN_LABEL, "")))]
    for container in orphans:
        _remove(container)
    return len(orphans)


def _remove(container: Any) -> None:  # noqa: ANN401 - of the SDK
    """Kill and remove a container; what a failing daemon keeps, a later runner removes."""
    from docker.errors import DockerException
    from requests import RequestException

    with contextlib.suppress(DockerException, RequestException):
        container.remove(force=True, v=True)


def _seconds(stamp: str) -> int:
    """Return the whole seconds of a time stamp of the log."""
    from datetime import datetime

    return int(datetime.fromisoformat(stamp[:19] + "+00:00").timestamp())
