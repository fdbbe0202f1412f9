"""Containers of others for real: as the platform's templates make them, and as they should not."""

from pathlib import Path

import numpy as np
import puppets
import pytest
import SimpleITK
from mistakes import refused
from rich.console import Console

from cytosuite.benchmark.commands.external import take_in
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.images.blueprints import by_name, pack
from cytosuite.benchmark.engines.outcome import Limits, StartError
from cytosuite.contract.interface import write_case
from cytosuite.contract.tasks import TASKS
from cytosuite.files import visible_files
from cytosuite.formats import read, write
from cytosuite.volume import Volume

pytestmark = pytest.mark.docker
LIMITS = Limits(memory_gib=0.5, timeout_s=60.0, cpus=1.0)
SEGMENT = TASKS["segment"]
INVOKE = 'LABEL org.grand-challenge.api-method="invoke"\n'

# The functions are those of the platform's example algorithm (grand-challenge-forge 0.7.5).
TEMPLATE = """
import json
from glob import glob
from pathlib import Path
import numpy, SimpleITK
INPUT_PATH, OUTPUT_PATH = Path("/input"), Path("/output")

def run():
    handler = {("acquisition-metadata", "microscopy-image"): handle}[get_interface_key()]
    return handler()

def handle():
    image = load_image_file_as_array(location=INPUT_PATH / "images/microscopy-image")
    labels = (image > 50).astype(numpy.int64)
    write_array_as_image_file(location=OUTPUT_PATH / "images/instance-labels", array=labels)
    return 0

def get_interface_key():
    inputs = json.loads((INPUT_PATH / "inputs.json").read_text())
    return tuple(sorted(sv["interface"]["slug"] for sv in inputs))

def load_image_file_as_array(*, location):
    input_files = glob(str(location / "*.tif")) + glob(str(location / "*.tiff")) + glob(str(location / "*.mha"))
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(input_files[0]))

def write_array_as_image_file(*, location, array):
    location.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), location / "output.mha", useCompression=True)

if __name__ == "__main__":
    raise SystemExit(run())
"""
# Perl stands for any program without Python: each request copies the image.
PERL = r"""
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:4743", Listen => 5, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    my $line = <$client>;
    while (my $head = <$client>) { last if $head =~ /^\r?\n$/ }
    my $status = "200 OK";
    if ($line =~ /^POST/) {
        system("mkdir -p /output/images/instance-labels && cp /input/images/microscopy-image/*.tif /output/images/instance-labels/a.tif");
        $status = "201 Created";
    }
    print $client "HTTP/1.0 $status\r\n\r\n";
    close $client;
}
"""
COPY = "mkdir -p /output/images/instance-labels && cp /input/images/*/*.mha /output/images/instance-labels"
RECIPES = {  # lines of the Dockerfile, file, program, text
    "template": ("COPY SimpleITK/ /opt/app/SimpleITK/\nUSER 1000\n", "a.py", "python3", TEMPLATE),
    "two-hundred": (f"USER 1000\n{INVOKE}", "a", "perl", PERL.replace("201 Created", "200 OK")),
    "perl": (
        f"RUN rm -rf /usr/bin/python3* /usr/lib/python3*\nUSER 1000\n{INVOKE}",
        "a",
        "perl",
        PERL,
    ),
    "shell": ("USER 1000:1000\n", "a", "sh", f'[ $# -eq 0 ] && {COPY} || echo "got $*" >&2'),
    "root": ("", "a", "sh", f"set -e; touch /root/state; {COPY}"),
    "crash": ("USER 1000\n", "a", "sh", "echo warming up; echo no weights >&2; exit 7"),
    "dies": (f"USER 1000\n{INVOKE}", "a", "sh", "echo no weights >&2; exit 7"),
    "unknown": ("USER 1000\n", "a", "/no/such/program", ""),
}


@pytest.fixture(scope="module")
def image(client, base):
    """Return a function that builds an image of others and returns its tag."""
    tags = []

    def image(kind):
        tag = f"cytosuite-external/{kind}:test"
        if tag in tags:
            return tag
        setup, file, program, text = RECIPES[kind]
        recipe = f"FROM {base}\nUSER root\nCOPY {file} /opt/app/{file}\n{setup}WORKDIR /opt/app\n"
        recipe += f'ENTRYPOINT ["{program}", "{file}"]\nCMD []\n'
        files = {"Dockerfile": recipe.encode(), file: text.encode()}
        if "SimpleITK" in setup:  # of this Python: the build has no network
            package = Path(SimpleITK.__file__).parent
            files |= by_name(visible_files(package), package.parent)
        with pack(files) as context:
            client.images.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                network_mode="none",
                rm=True,
                forcerm=True,
            )
        tags.append(tag)
        return tag

    yield image
    for tag in set(tags):
        client.images.remove(tag, force=True)


@pytest.fixture
def case(tmp_path):
    """Return the input of a case with a bright box, and the box."""
    box = np.zeros((3, 12, 10), np.uint16)
    box[1:, 2:6, 3:8] = 100
    image = Volume(box, (2.0, 0.5, 0.5))
    write(tmp_path / "image.tif", image)
    write_case(tmp_path / "case", SEGMENT, "a", {"microscopy-image": image})
    return tmp_path / "case", box > 0


@pytest.fixture
def take(client, base, tmp_path):
    """Return a function that takes in an image, and leaves no container."""
    before = puppets.containers(client)

    def take(word, **options):
        engine = DockerEngine(client)
        settings = BenchmarkOptions(dataset="spheroid", **options)
        (manifest,) = take_in(
            [str(word)], ["watershed"], SEGMENT, engine, settings, Console(quiet=True)
        )
        return engine, engine.externals[manifest.name]

    yield take
    assert puppets.containers(client) <= before


@pytest.fixture
def run(take, image, case, tmp_path):
    """Return a function that runs an image twice on the case, and gives the last outcome."""

    def run(kind, times=2, **options):
        engine, external = take(image(kind), **options)
        with engine.session(external.name, tmp_path / "s", LIMITS, external.api) as session:
            for number in range(times):
                output = tmp_path / f"out-{number}"
                output.mkdir()
                outcome = session.predict(case[0], output, tmp_path / "log")
        return external, outcome, output / "images/instance-labels"

    return run


@pytest.mark.parametrize("kind, suffix", {"template": "mha", "perl": "tif", "shell": "mha"}.items())
def test_a_container_of_others_segments(run, case, kind, suffix):
    external, outcome, place = run(kind, input_format=suffix)
    assert (outcome.status, outcome.message) == ("ok", "")
    assert external.api == ("invoke" if kind == "perl" else "exec")
    (path,) = place.iterdir()
    np.testing.assert_array_equal(read(path).array > 0, case[1])


def test_the_user_may_name_the_api(run):
    expected = r"crash_test did not start: no weights \(expected a server on 127.0.0.1:4743; API="
    with pytest.raises(StartError, match=expected):
        run("crash", api="invoke")
    _, outcome, _ = run("dies", api="exec")
    assert (outcome.status, outcome.exit_code, outcome.message) == (
        "non-zero exit",
        7,
        "no weights",
    )


@pytest.mark.parametrize(
    "kind, message",
    {
        "crash": "no weights",
        "root": "the image has no USER other than root, which the platform ref",
        "unknown": "/no/such/program",
        "two-hundred": "does not answer POST /invoke with 201",
    }.items(),
)
def test_a_container_that_fails_says_why(run, kind, message):
    _, outcome, _ = run(kind, times=1)
    assert outcome.status == "non-zero exit"
    assert message in outcome.message


def test_an_image_that_nobody_has_is_one_line(take):
    refused(
        "^no image cytosuite-external/nowhere:1 on this machine",
        take,
        "cytosuite-external/nowhere:1",
    )


def test_it_is_held_as_tightly_as_ours(take, image, client, case, tmp_path):
    engine, external = take(image("perl"))
    with engine.session(external.name, tmp_path / "s", LIMITS, "invoke") as session:
        box = session.inner._box
        voice = client.containers.get(box.voice)
        for container in (box.container, voice):
            container.reload()
            held = container.attrs["HostConfig"]
            assert held["ReadonlyRootfs"]
            assert held["CapDrop"] == ["ALL"]
            assert held["SecurityOpt"] == ["no-new-privileges"]
            assert held["PidsLimit"] > 0
            assert held["Memory"] > 0
            assert container.attrs["Config"]["User"] not in {"", "0", "root"}
        assert box.container.attrs["HostConfig"]["NetworkMode"] == "none"
        assert voice.attrs["HostConfig"]["NetworkMode"] == f"container:{box.container.id}"
        assert voice.attrs["Mounts"] == []
        assert box.container.attrs["State"]["Status"] == "paused"


def test_a_server_that_ends_gets_a_new_container_and_voice(take, image, case, tmp_path, client):
    engine, external = take(image("perl"))
    with engine.session(external.name, tmp_path / "s", LIMITS, "invoke") as session:
        first = session.inner._box.voice
        session.inner._box.thaw()
        session.inner._box.container.kill()
        output = tmp_path / "out"
        output.mkdir()
        assert session.predict(case[0], output, tmp_path / "log").status == "ok"
        assert session.inner._box.voice != first
        assert first not in {box.id for box in client.containers.list(all=True, sparse=True)}
