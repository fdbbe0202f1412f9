"""Run algorithms in containers: no network, a single writable folder, all resources limited."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest

from cytosuite.benchmark.catalog.models import hand_over, identity_with
from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.catalog.places import ROOT, program_of
from cytosuite.benchmark.engines.collect import clear
from cytosuite.benchmark.engines.docker_session import DockerSession
from cytosuite.benchmark.engines.external import SHORT, ExternalSession, start_errors, user_of
from cytosuite.benchmark.engines.gpu import PROBE, PROBE_S, REMEDY, Gpu, held, metered
from cytosuite.benchmark.engines.hardening import Host, flags
from cytosuite.benchmark.engines.images.blueprints import image_tag
from cytosuite.benchmark.engines.images.build import Builder, is_built, made_from
from cytosuite.benchmark.engines.images.daemon import (
    Client,
    daemon_errors,
    find_image,
    is_podman,
    need_docker,
)
from cytosuite.benchmark.engines.outcome import Engine, Limits
from cytosuite.benchmark.engines.sandbox import remove_orphans, sandbox
from cytosuite.contract.words import Api, Say
from cytosuite.errors import InputError, plain
from cytosuite.files import Json
from cytosuite.files.tarball import unpack
from cytosuite.files.working import owner_label

SMALL = Limits(memory_gib=0.25, cpus=1.0, pids=64, output_gib=0.001)  # of a speaker


@dataclass
class DockerEngine(Engine):
    """Algorithms in containers of a Docker daemon, which must see this machine's files."""

    client: Client
    _: KW_ONLY
    image: Callable[[str, Device], str] = image_tag  # tag of an image built here, or its id
    name: str = "docker"

    def prepare(self, algorithms: Collection[str], base_image: str | None) -> None:
        """Build the images of algorithms that are missing or stale."""
        Builder(self.client, ROOT, self.device, base_image, self.say, self.name).ensure(algorithms)

    def check_gpu(self, algorithm: str) -> None:
        """Let torch compute on a GPU in a container of an algorithm; InputError if it cannot."""
        limits = Limits(timeout_s=PROBE_S)
        with held(self.say) as gpu, ExitStack() as stack, daemon_errors("a container with a GPU"):
            image, chosen = self.container(algorithm, limits, gpu)
            words = {**chosen, "entrypoint": ["python3", "-c", PROBE]}
            box = stack.enter_context(sandbox(self.client, image, (), {}, limits, words))
            code, line = box.end(PROBE_S)
        if code == 0:
            return
        reason = plain(line) or f"no answer within {PROBE_S:g} s"
        tool = "podman (a version whose service knows CDI)" if "podman" in self.name else "Docker"
        raise InputError(
            f"DEVICE=cuda: torch in the image of {algorithm} finds no GPU ({reason}) although the "
            f"machine has {gpu.name}; update the NVIDIA driver or {tool}, {REMEDY}"
        )

    def identity(self, algorithm: str) -> str:
        """Return the origin of the image, the same when it is built again, and of the model."""
        if algorithm in self.externals:
            return self.externals[algorithm].identity
        return identity_with(self.models, algorithm, made_from(self._image(algorithm)))

    def _image(self, algorithm: str) -> Any:  # noqa: ANN401 - of the SDK
        """Return the algorithm's image; InputError if it is missing or was not built here."""
        external = self.externals.get(algorithm)
        algorithm = program_of(algorithm)
        tag = external.image if external else self.image(algorithm, self.device)
        image = find_image(self.client, tag)
        if image is None and external:
            raise InputError(f"image {external.word} ({tag}) is no longer there; run again")
        if image is None:
            raise InputError(f"image {tag} is missing; build it with `make build-{algorithm}`")
        if image.id != tag and not is_built(ROOT, tag, image.id):
            raise InputError(
                f"image {tag} ({image.id[:SHORT]}) is not the one that was built here; build it "
                f"again with `make build-{algorithm}`"
            )
        return image

    @contextmanager
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> Iterator[DockerSession | ExternalSession]:
        """Start an algorithm; InputError also if the daemon refuses the container."""
        external = self.externals.get(algorithm)
        with ExitStack() as stack:
            stack.callback(clear, workspace)
            meter = stack.enter_context(metered(self.say)) if self.on_gpu(algorithm) else None
            with daemon_errors(f"start of {algorithm}"):
                remove_orphans(self.client)
                image, chosen = self.container(algorithm, limits, meter.gpu if meter else None)
                exchange = _exchange(workspace)
                card = self.models.get(algorithm)
                model = hand_over(card, exchange / "model") if card else None
                if external and external.models:
                    model = unpack(external.models, exchange / "model")
                session = DockerSession(
                    self.client, algorithm, image, exchange, limits, api, chosen, model
                )
                session.meter = meter
                stack.callback(session.stop)
                if external:
                    session.external = True
                    session.voice = (self.voice, self._flags(SMALL, ""))
                if api == "invoke":
                    with start_errors(external):
                        session.start()
            yield ExternalSession(session, external, workspace / "case") if external else session

    def container(self, algorithm: str, limits: Limits, gpu: Gpu | None) -> tuple[str, Json]:
        """Return the image of an algorithm, and the flags of a container with or without a GPU."""
        image = self._image(algorithm)
        chosen = self._flags(limits, user_of(image.attrs))
        if gpu is not None:
            # Podman's service knows only names of CDI, and ignores any other request.
            cdi = {"driver": "cdi", "device_ids": [f"nvidia.com/gpu={gpu.uuid}"]}
            request = {"device_ids": [gpu.uuid], "capabilities": [["gpu"]]}
            chosen["device_requests"] = [
                DeviceRequest(**(cdi if is_podman(self.client) else request))
            ]
        return str(image.id), chosen

    def _flags(self, limits: Limits, user: str) -> Json:
        """Return the flags of a container that this process owns; see `hardening.flags`."""
        return flags(limits, Host.of(self.client.info()), owner_label(), user)


def start(name: str, device: Device, say: Say) -> DockerEngine:
    """Return the engine of Docker or podman, after removal of containers of killed runners."""
    client = need_docker(name)
    with daemon_errors("removal of containers that a killed run left"):
        remove_orphans(client)
    return DockerEngine(client, device=device, name=name, say=say)


def _exchange(workspace: Path) -> Path:
    """Make the folders that a container sees; other users of this machine cannot enter them."""
    clear(workspace)
    exchange = workspace / "exchange"
    for name, mode in (("input", 0o755), ("output", 0o777)):
        (exchange / name).mkdir(parents=True)
        (exchange / name).chmod(mode)
    exchange.chmod(0o700)
    return exchange
