"""Sessions for tests with a Docker daemon; without one they are skipped."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.containers.context import pack
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.hardening import RUN_LABEL, owner_label
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.files import digest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def tiny():
    """Return limits that a hostile program reaches soon."""
    return Limits(memory_gib=0.2, timeout_s=20.0, cpus=1.0, pids=64, output_gib=2 / 1024)


@pytest.fixture(scope="session")
def puppet(client, base):
    """Return an image that runs the program ``act.py`` of a case."""
    source = Path(__file__).with_name("puppet.py")
    label = {"org.cytosuite.test": digest([source], source.parent) + base.rpartition("-")[2]}
    found = client.images.list(filters={"label": [f"{k}={v}" for k, v in label.items()]})
    if not found:
        recipe = (
            f"FROM {base}\nCOPY cytosuite /opt/app/cytosuite\n"
            'ENTRYPOINT ["python3", "-m", "cytosuite.container"]\nCMD ["run"]\n'
        )
        files = {
            "Dockerfile": recipe.encode(),
            "cytosuite/__init__.py": b"",
            "cytosuite/container.py": source,
        }
        with pack(files) as context:
            client.images.build(
                fileobj=context,
                custom_context=True,
                tag="cytosuite/test-puppet",
                labels=label,
                network_mode="none",
                rm=True,
                forcerm=True,
            )
    return "cytosuite/test-puppet"


@pytest.fixture
def sandboxed(client, puppet, tiny, tmp_path):
    """Return a function that starts a session and gives a function which runs a program in it.

    Whatever the program does, no container may be left.
    """
    with ExitStack() as stack:

        def starter(api="serve", limits=tiny):
            engine = DockerEngine(client, image=lambda *_: puppet)
            session = stack.enter_context(
                engine.session("puppet", tmp_path / f"session-{api}", limits, api)
            )

            def act(program, name="case"):
                folder = tmp_path / name
                case = SimpleNamespace(
                    input=folder / "in", output=folder / "out", log=folder / "log"
                )
                case.input.mkdir(parents=True)
                case.output.mkdir()
                (case.input / "act.py").write_text(program)
                case.outcome = session.predict(case.input, case.output, case.log)
                return case

            act.session = session
            return act

        yield starter
    label = f"{RUN_LABEL}={owner_label()}"
    assert client.containers.list(all=True, filters={"label": label}) == []
