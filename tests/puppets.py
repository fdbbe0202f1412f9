"""Images of puppets, which run the program of a case or an attack by its name, and their limits."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from cytosuite.benchmark.engines.hardening import RUN_LABEL
from cytosuite.benchmark.engines.images.blueprints import by_name, pack
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.files import digest
from cytosuite.files.working import owner_label

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "tests/hostile"
BOOTSTRAPPED = "cytosuite/debian:bookworm"
TINY = Limits(memory_gib=0.2, timeout_s=20.0, cpus=1.0, pids=64, output_gib=2 / 1024)
SECONDS = {
    **dict.fromkeys(
        ("sleep_for_ever", "compute_for_ever", "stop_itself", "ignore_the_request_to_end"), 1.0
    ),
    **dict.fromkeys(("a_million_files", "five_gb_of_words", "a_million_lines"), 4.0),
    **dict.fromkeys(BOMBS := ("fork_bomb", "thread_bomb"), 60.0),  # they live on in the server
}


def base(client):
    """Return the tag of the base image, built if it is not there; InputError if it cannot be."""
    bootstrapped = bool(client.api.images(BOOTSTRAPPED))
    return Builder(client, ROOT, base_image=BOOTSTRAPPED if bootstrapped else None).base()


def image(client, base):
    """Return the id of an image of puppets."""
    sources = [HOME / "puppet.py", *sorted((HOME / "attacks").glob("*.py"))]
    label = {"org.cytosuite.test": f"{digest(sources, HOME)}{base.rpartition('-')[2]}"}
    built = client.api.images(filters={"label": [f"{k}={v}" for k, v in label.items()]})
    if built:
        return built[0]["Id"]
    entry = '"python3", "-m", "puppet"'
    recipe = f'FROM {base}\nCOPY . /opt/app/\nENTRYPOINT [{entry}]\nCMD ["exec"]\n'
    with pack({"Dockerfile": recipe.encode(), **by_name(sources, HOME)}) as context:
        built, _ = client.images.build(
            fileobj=context,
            custom_context=True,
            tag="cytosuite/test-puppet:exec",
            labels=label,
            network_mode="none",
            rm=True,
            forcerm=True,
        )
    return built.id


def containers(client):
    """Return the ids of the containers of this program."""
    label = f"{RUN_LABEL}={owner_label()}"
    listed = client.containers.list(all=True, sparse=True, filters={"label": label})
    return {container.id for container in listed}


def played(session, folder, program):
    """Return a case of which a session ran the program, with its outcome."""
    case = SimpleNamespace(input=folder / "in", output=folder / "out", log=folder / "log")
    case.input.mkdir(parents=True)
    case.output.mkdir()
    (case.input / "act.py").write_text(program)
    case.outcome = session.predict(case.input, case.output, case.log)
    return case


def limits_of(attack):
    """Return limits that an attack reaches soon."""
    usual = 3.0 if attack.module == "servers" else TINY.timeout_s
    return replace(TINY, timeout_s=SECONDS.get(attack.name, usual))
