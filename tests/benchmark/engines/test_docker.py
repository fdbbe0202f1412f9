import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.built import remember
from cytosuite.benchmark.containers.daemon import find_docker
from cytosuite.benchmark.containers.images import image_digest, image_tag
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.docker_session import Bounds
from cytosuite.benchmark.engines.hardening import RUN_LABEL, owner_label
from cytosuite.benchmark.engines.outcome import Limits, StartError
from cytosuite.benchmark.engines.sandbox import remove_orphans
from cytosuite.errors import InputError

ROOT = Path(__file__).parents[3]
CARDS = ROOT / "weights" / "watershed"


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


def test_without_a_daemon_the_reason_comes_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    begin = time.perf_counter()
    reason = find_docker()
    assert isinstance(reason, str)
    assert reason == f"unix://{tmp_path}/none.sock: No such file or directory"
    assert time.perf_counter() - begin < 2


def test_importing_the_engine_imports_no_sdk():
    code = (
        "import sys, cytosuite.benchmark.engines.docker; sys.exit('docker.client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_image_that_took_the_tag_of_ours_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.docker.ROOT", tmp_path)
    image = SimpleNamespace(id="sha256:2")
    engine = DockerEngine(SimpleNamespace(images=SimpleNamespace(get=lambda _: image)))
    with pytest.raises(InputError, match="not the one that was built here; .*`make build-x`"):
        engine.identity("x")
    remember(tmp_path, image_tag("x"), image.id)
    assert engine.identity("x") == image.id


@pytest.mark.docker
@pytest.mark.slow
class TestWithDaemon:
    def test_a_missing_image_says_how_to_build_it(self, client):
        engine = DockerEngine(client, image=lambda name, _: f"cytosuite/no-{name}:0")
        with pytest.raises(InputError, match="missing; build it with `make build-other`"):
            engine.identity("other")

    def test_the_identity_is_the_id_of_the_image(self, client, puppet):
        engine = DockerEngine(client, image=lambda *_: puppet)
        assert engine.identity("puppet") == client.images.get(puppet).id

    def test_a_server_without_room_says_why(self, client, puppet, tmp_path, monkeypatch):
        # Whether it is killed or crawls at its limit is the kernel's choice; both must end.
        monkeypatch.setattr("cytosuite.benchmark.engines.docker_session.HEALTH_S", 10.0)
        engine = DockerEngine(client, image=lambda *_: puppet)
        session = engine.session("puppet", tmp_path / "s", Limits(memory_gib=0.0065), "invoke")
        reason = "(memory limit of 0.0065 GiB exceeded|.* after 10 s)"
        with pytest.raises(StartError, match=f"puppet did not start: {reason}"):
            session.__enter__()
        assert not client.containers.list(
            all=True, filters={"label": f"{RUN_LABEL}={owner_label()}"}
        )

    def test_an_image_without_entry_point_does_not_start(self, client, base, tmp_path):
        session = DockerEngine(client, image=lambda *_: base).session(
            "other", tmp_path / "s", Limits(memory_gib=0.5), "invoke"
        )
        with pytest.raises(StartError, match="^other did not start: .*exec"):
            session.__enter__()

    def test_the_server_is_started_once(self, sandboxed):
        act = sandboxed("invoke")
        started = act.session.startup_seconds
        pid = "import os\nopen('/output/pid', 'w').write(str(os.getpid()))"
        first, second = act(pid, "a"), act(pid, "b")
        assert (first.output / "pid").read_text() == (second.output / "pid").read_text()
        assert act.session.startup_seconds == started > 0
        assert second.outcome.seconds < started + 1

    @pytest.mark.parametrize("api", ["invoke", "exec"])
    def test_the_peak_of_memory_is_that_of_the_case(self, sandboxed, api):
        act = sandboxed(api)
        hold = "import time\nb = b'x' * ({0} * 2**20)\ntime.sleep(0.3)\nopen('/output/f', 'w')"
        large, small = (act(hold.format(mib), str(mib)).outcome for mib in (120, 40))
        assert 120 * 2**20 < large.peak_memory < 160 * 2**20
        assert 40 * 2**20 < small.peak_memory < 80 * 2**20

    def test_each_log_holds_its_own_case(self, sandboxed):
        act = sandboxed("invoke")
        logs = [act(f"print('case {i}', flush=True)", str(i)).log.read_text() for i in range(3)]
        assert logs == ["case 0\n", "case 1\n", "case 2\n"]

    def test_containers_of_a_killed_runner_are_removed(self, client, puppet):
        orphan = client.containers.create(puppet, labels={RUN_LABEL: _label_of_a_dead_process()})
        assert remove_orphans(client) >= 1
        assert orphan.id not in {found.id for found in client.containers.list(all=True)}

    def test_an_interruption_leaves_no_container(self, client, puppet, tmp_path, tiny):
        engine = DockerEngine(client, image=lambda *_: puppet)
        with (
            pytest.raises(KeyboardInterrupt),
            engine.session("puppet", tmp_path / "s", tiny, "invoke") as session,
        ):
            box = session._box.container.id
            raise KeyboardInterrupt
        assert box not in {found.id for found in client.containers.list(all=True)}
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize("api", ["invoke", "exec"])
    def test_a_named_model_is_mounted_alone_and_read_only(
        self, client, puppet, tiny, tmp_path, api
    ):
        home = tmp_path / "models"
        home.mkdir()
        (home / "mine.json").write_bytes((CARDS / "nuclei-2d.json").read_bytes())
        card = json.loads((home / "mine.json").read_text()) | {
            "name": "mine",
            "description": "pass",
        }
        (home / "mine.json").write_text(json.dumps(card))
        (home / "private.txt").write_text("not for the container")
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "in" / "act.py").write_text(
            "import os, pathlib\n"
            "print(os.listdir('/opt/ml/model'), flush=True)\n"
            "pathlib.Path('/output/card').write_text(open('/opt/ml/model/mine.json').read())\n"
            "(mount,) = [line for line in open('/proc/mounts') if ' /opt/ml/model ' in line]\n"
            "print(mount.split()[3].split(',')[0], flush=True)\n"
        )
        engine = DockerEngine(
            client, image=lambda *_: puppet, models={"puppet": home / "mine.json"}
        )
        with engine.session("puppet", tmp_path / "session", tiny, api) as session:
            outcome = session.predict(tmp_path / "in", tmp_path / "out", tmp_path / "log")
        assert outcome.status == "ok"
        assert (tmp_path / "out" / "card").read_text() == (home / "mine.json").read_text()
        lines = (tmp_path / "log").read_text().splitlines()
        assert lines == ["['mine.json']", "ro"]
        assert not (tmp_path / "session").exists()

    def test_a_container_that_vanishes_is_an_error_of_the_engine(self, sandboxed):
        act = sandboxed("invoke")
        act.session._box.container.remove(force=True)
        assert act("pass").outcome.status == "engine error"
        assert act("open('/output/f', 'w')", "next").outcome.status == "ok"


@pytest.mark.docker
@pytest.mark.slow
def test_the_image_of_an_algorithm_segments(client, base, tmp_path):
    from cytosuite.interface import write_case
    from cytosuite.tasks import TASKS
    from cytosuite.volume import Volume

    lines = []
    builder = Builder(client, ROOT, say=lines.append)
    tag = builder.build("watershed")
    assert tag == image_tag("watershed")
    assert builder.state("watershed") == "current"
    labels = client.images.get(tag).labels
    assert labels["org.cytosuite.source-digest"] == image_digest(ROOT, "watershed")
    assert labels["org.grand-challenge.api-method"] == "exec"
    z, y, x = np.mgrid[:16, :48, :48]
    image = np.full((16, 48, 48), 100, np.uint16)
    for cy, cx in ((12, 12), (34, 30)):
        image[4 * (z - 8) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 64] = 1000
    volume = Volume(image, (1.0, 0.5, 0.5))
    write_case(tmp_path / "case", TASKS["segment"], "two", {"microscopy-image": volume})
    limits = replace(Limits(), memory_gib=2.0, timeout_s=60.0)
    for api in ("invoke", "exec"):
        output = tmp_path / api
        output.mkdir()
        with DockerEngine(client).session("watershed", tmp_path / "s", limits, api) as session:
            outcome = session.predict(tmp_path / "case", output, tmp_path / "log.txt")
        assert (outcome.status, outcome.message) == ("ok", "")
        assert [path.name for path in (output / "images" / "instance-labels").iterdir()] == [
            "two.tif"
        ]
        record = json.loads((output / "record.json").read_text())
        assert record["model"] == "spheroid-nuclei-3d"
    output = tmp_path / "named"
    output.mkdir()
    engine = DockerEngine(client, models={"watershed": CARDS / "embryo-nuclei-3d.json"})
    with engine.session("watershed", tmp_path / "s", limits, "invoke") as session:
        assert session.predict(tmp_path / "case", output, tmp_path / "log").status == "ok"
    assert json.loads((output / "record.json").read_text())["model"] == "embryo-nuclei-3d"


def _label_of_a_dead_process():
    code = "from cytosuite.benchmark.engines.hardening import owner_label; print(owner_label())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode().strip()
