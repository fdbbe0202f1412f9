from types import SimpleNamespace

import puppets
import pytest
from house import ROOT
from mistakes import refused

from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.docker_session import Bounds
from cytosuite.benchmark.engines.hardening import RUN_LABEL
from cytosuite.benchmark.engines.images.blueprints import image_tag
from cytosuite.benchmark.engines.images.build import (
    FOREIGN_LABEL,
    FROM_ID_LABEL,
    SOURCE_LABEL,
    made_from,
    remember,
)
from cytosuite.benchmark.engines.outcome import Limits, StartError
from cytosuite.benchmark.engines.sandbox import remove_orphans
from cytosuite.files import read_json, write_json
from cytosuite.files.working import owner_label

CARDS = ROOT / "weights/watershed"


def test_time_and_size_are_limited(tmp_path):
    bounds = Bounds(Limits(timeout_s=10, output_gib=2**-20), tmp_path)
    assert not bounds.exceed(0.1)
    (tmp_path / "large").write_bytes(bytes(5000))
    assert not bounds.exceed(0.2)  # the size is determined once a second
    assert bounds.exceed(1.5)
    assert bounds.exceeded == ("bad output", "output limit of 9.53674e-07 GiB exceeded")
    late = Bounds(Limits(timeout_s=10), tmp_path)
    assert late.exceed(10.1)
    assert late.exceeded == ("time-out", "time limit of 10 s exceeded")


def test_an_image_that_took_the_tag_of_ours_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.docker.ROOT", tmp_path)
    image = SimpleNamespace(id="sha256:2", labels={})
    engine = DockerEngine(SimpleNamespace(images=SimpleNamespace(get=lambda _: image)))
    refused("not the one that was built here; .*`make build-x`", engine.identity, "x")
    remember(tmp_path, image_tag("x"), image.id)
    assert engine.identity("x") == image.id


def test_an_image_is_its_sources_and_the_images_under_it():
    def origin(identity, source="s", base="b", foreign=None):
        labels = {SOURCE_LABEL: source, FROM_ID_LABEL: base, FOREIGN_LABEL: foreign}
        present = {name: value for name, value in labels.items() if value}
        return made_from(SimpleNamespace(id=identity, labels=present))

    first = origin("sha256:1")
    assert origin("sha256:2") == first
    assert (
        len({first, origin("1", "other"), origin("1", base="other"), origin("1", foreign="other")})
        == 4
    )
    assert origin("sha256:3", base=None) == "sha256:3"  # the system is not known


@pytest.mark.docker
@pytest.mark.slow
class TestWithDaemon:
    def test_a_server_without_room_says_why(self, client, puppet, tmp_path, monkeypatch):
        # Whether it is killed or crawls at its limit is the kernel's choice; both must end.
        monkeypatch.setattr("cytosuite.benchmark.engines.docker_session.PATIENCE_S", 10.0)
        session = DockerEngine(client, image=lambda *_: puppet).session(
            "puppet", tmp_path / "s", Limits(memory_gib=0.0065), "invoke"
        )
        with pytest.raises(
            StartError,
            match="puppet did not start: (memory limit of 0.0065 GiB exceeded|.* after 10 s)",
        ):
            session.__enter__()
        assert not puppets.containers(client)

    def test_the_server_is_started_once(self, sandboxed):
        act = sandboxed("invoke")
        started = act.session.startup_seconds
        pid = (
            "import os\nprint('here', flush=True)\nopen('/output/pid', 'w').write(str(os.getpid()))"
        )
        first = act(pid, "a")
        second = act(pid, "b")
        assert (first.output / "pid").read_text() == (second.output / "pid").read_text()
        assert first.log.read_text() == second.log.read_text() == "here\n"  # each its own
        assert act.session.startup_seconds == started > 0

    @pytest.mark.parametrize("api", ["invoke", "exec"])
    def test_the_peak_of_memory_is_that_of_the_case(self, sandboxed, api):
        act = sandboxed(api)
        hold = "import time\nb = b'x' * ({0} * 2**20)\ntime.sleep(1.5)\nopen('/output/f', 'w')"
        large, small = (act(hold.format(mib), str(mib)).outcome for mib in (120, 40))
        assert 120 * 2**20 < large.peak_memory < 160 * 2**20
        assert 40 * 2**20 < small.peak_memory < 80 * 2**20

    def test_containers_of_a_killed_runner_are_removed(self, client, puppet):
        dead = f"{owner_label().partition(':')[0]}:4194305:1"  # no process has this number
        orphan = client.containers.create(puppet, labels={RUN_LABEL: dead})
        assert remove_orphans(client) >= 1
        assert orphan.id not in {
            container.id for container in client.containers.list(all=True, sparse=True)
        }

    def test_a_named_model_is_mounted_alone_and_read_only(self, client, puppet, tiny, tmp_path):
        home = tmp_path / "models"
        card = {"name": "mine", "description": "pass"}  # a program of the puppet
        write_json(home / "mine.json", read_json(CARDS / "nuclei-2d.json") | card)
        (home / "private.txt").write_text("not for the container")
        program = (
            "import os, pathlib\n"
            "print(os.listdir('/opt/ml/model'), flush=True)\n"
            "pathlib.Path('/output/card').write_text(open('/opt/ml/model/mine.json').read())\n"
            "(mount,) = [line for line in open('/proc/mounts') if ' /opt/ml/model ' in line]\n"
            "print(mount.split()[3].split(',')[0], flush=True)\n"
        )
        engine = DockerEngine(
            client, image=lambda *_: puppet, models={"puppet": home / "mine.json"}
        )
        with engine.session("puppet", tmp_path / "session", tiny, "exec") as session:
            case = puppets.played(session, tmp_path / "case", program)
        assert (case.outcome.status, case.outcome.message) == ("ok", "")
        assert (case.output / "card").read_text() == (home / "mine.json").read_text()
        assert case.log.read_text().splitlines() == ["['mine.json']", "ro"]
        assert not (tmp_path / "session").exists()

    def test_a_container_that_vanishes_is_an_error_of_the_engine(self, sandboxed):
        act = sandboxed("invoke")
        act.session._box.container.remove(force=True)
        assert act("pass").outcome.status == "engine error"
        assert act("open('/output/f', 'w')", "next").outcome.status == "ok"
