"""Run algorithms in containers: no network, a single writable folder, all resources limited."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.containers.built import is_built
from cytosuite.benchmark.containers.daemon import Client, daemon_errors, find_image, is_podman
from cytosuite.benchmark.containers.images import image_tag
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.engines.collect import clear
from cytosuite.benchmark.engines.docker_session import DockerSession
from cytosuite.benchmark.engines.gpu import Gpu, held, request, say
from cytosuite.benchmark.engines.gpu_use import metered
from cytosuite.benchmark.engines.guest import SHORT, Guest, user_of
from cytosuite.benchmark.engines.guest_session import GuestSession, start_errors
from cytosuite.benchmark.engines.hardening import Host, flags, owner_label
from cytosuite.benchmark.engines.outcome import Api, Limits
from cytosuite.benchmark.engines.packages import uses_gpu
from cytosuite.benchmark.engines.sandbox import remove_orphans
from cytosuite.benchmark.models import hand_over, identity_with, unpack
from cytosuite.errors import InputError

SMALL = Limits(memory_gib=0.25, cpus=1.0, pids=64, output_gib=0.001)  # of a speaker


@dataclass
class DockerEngine:
    """Algorithms in containers of a Docker daemon on this machine.

    Parameters
    ----------
    client : docker.DockerClient
        See `benchmark.containers.daemon.find_docker`. The daemon must see this machine's files.
    device : str
        ``cuda`` uses the images of that device, and gives each session of an algorithm that can use
        it a GPU of its own.
    image : callable
        Returns the tag of an algorithm's image, which must have been built here, or its id.
    models : mapping of str to Path
        Cards that the user names, by algorithm: mounted read-only at ``/opt/ml/model``.
    guests : mapping of str to Guest
        Containers that others built, by name.
    voice : str
        Image with Python for requests to servers of others, see
        `cytosuite.benchmark.engines.sandbox.speaker`.
    say : callable
        Gets a line while a session waits for a GPU.
    """

    client: Client
    device: Device = "cpu"
    image: Callable[[str, Device], str] = image_tag
    models: Mapping[str, Path] = field(default_factory=dict)
    name: str = "docker"
    guests: Mapping[str, Guest] = field(default_factory=dict)
    voice: str = ""
    say: Callable[[str], None] = say

    def identity(self, algorithm: str) -> str:
        """Return the id of the algorithm's image, which changes with its content, and model.

        Raises
        ------
        InputError
            If the image is missing or the daemon fails.
        """
        if algorithm in self.guests:
            return self.guests[algorithm].identity
        return identity_with(self.models, algorithm, str(self._image(algorithm).id))

    def _image(self, algorithm: str) -> Any:  # noqa: ANN401 - of the SDK
        """Return the algorithm's image, which must be there."""
        guest = self.guests.get(algorithm)
        tag = guest.image if guest else self.image(algorithm, self.device)
        found = find_image(self.client, tag)
        if found is None and guest:
            raise InputError(f"image {guest.word} ({tag}) is no longer there; run again")
        if found is None:
            raise InputError(f"image {tag} is missing; build it with `make build-{algorithm}`")
        if found.id != tag and not is_built(ROOT, tag, found.id):
            raise InputError(
                f"image {tag} ({found.id[:SHORT]}) is not the one that was built here; build it "
                f"again with `make build-{algorithm}`"
            )
        return found

    @contextmanager
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> Iterator[DockerSession | GuestSession]:
        """Start an algorithm; see `cytosuite.benchmark.engines.outcome.Engine`.

        Raises
        ------
        StartError
            If the server ends, or is not ready after 300 s.
        InputError
            If the image is missing, a limit is wrong, or the daemon refuses the container.
        """
        guest = self.guests.get(algorithm)
        with ExitStack() as stack:
            stack.callback(clear, workspace)
            on_gpu = self.device == "cuda" and (guest is not None or uses_gpu(algorithm))
            gpu = stack.enter_context(held(self.say)) if on_gpu else None
            with daemon_errors(f"start of {algorithm}"):
                remove_orphans(self.client)
                image, chosen = self.container(algorithm, limits, gpu)
                exchange, card = _exchange(workspace), self.models.get(algorithm)
                model = hand_over(card, exchange / "model") if card else None
                if guest and guest.models:
                    model = unpack(guest.models, exchange / "model")
                session = DockerSession(
                    self.client, algorithm, image, exchange, limits, api, chosen, model
                )
                session.meter = stack.enter_context(metered(gpu)) if gpu else None
                stack.callback(session.stop)
                if guest:
                    session.guest, session.voice = True, (self.voice, self._flags(SMALL, ""))
                if api == "invoke":
                    with start_errors(guest):
                        session.start()
            yield GuestSession(session, guest, workspace / "case") if guest else session

    def container(
        self, algorithm: str, limits: Limits, gpu: Gpu | None
    ) -> tuple[str, dict[str, Any]]:
        """Return the image of an algorithm, and the flags of a container with or without a GPU."""
        image = self._image(algorithm)
        chosen = self._flags(limits, user_of(image.attrs))
        if gpu is not None:
            from docker.types import DeviceRequest

            wanted = request(gpu, podman=is_podman(self.client))
            chosen["device_requests"] = [DeviceRequest(**wanted)]
        return str(image.id), chosen

    def _flags(self, limits: Limits, user: str) -> dict[str, Any]:
        """Return the flags of a container that this process owns; see `hardening.flags`."""
        return flags(limits, Host.of(self.client.info()), owner_label(), user)


def _exchange(workspace: Path) -> Path:
    """Make the folders that a container sees; other users of this machine cannot enter them."""
    clear(workspace)
    exchange = workspace / "exchange"
    for name, mode in (("input", 0o755), ("output", 0o777)):
        (exchange / name).mkdir(parents=True)
        (exchange / name).chmod(mode)
    exchange.chmod(0o700)
    return exchange
