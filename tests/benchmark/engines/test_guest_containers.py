"""Containers of others for real: as the platform's templates make them, and as they should not."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from rich.console import Console

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands.guests import take_in
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.containers.context import by_name, pack
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.hardening import RUN_LABEL, owner_label
from cytosuite.benchmark.engines.outcome import Limits, StartError
from cytosuite.errors import InputError
from cytosuite.files import visible_files
from cytosuite.formats import read, write
from cytosuite.interface import write_case
from cytosuite.tasks import TASKS
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
    handler = {SLUGS: handle}[get_interface_key()]
    return handler()

def handle():
    image = load_image_file_as_array(location=INPUT_PATH / "images/SLUG")
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
SERVER = """
import re, zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

def segment():
    (path,) = Path("/input/images/microscopy-image").glob("*.mha")
    head, _, pixels = path.read_bytes().partition(b"LOCAL\\n")
    if b"CompressedData = True" in head:
        pixels = zlib.decompress(pixels)
    ones = b"".join(b"\\1\\0" if pixels[n] > 50 else b"\\0\\0" for n in range(0, len(pixels), 2))
    head = re.sub(rb"CompressedData.*\\n", b"", head)
    place = Path("/output/images/instance-labels")
    place.mkdir(parents=True)
    (place / "any.mha").write_bytes(head + b"LOCAL\\n" + ones)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        segment()
        self.send_response(201)
        self.end_headers()

HTTPServer(("127.0.0.1", 4743), Handler).serve_forever()
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
RECIPES = {
    "template": (
        "COPY SimpleITK/ /opt/app/SimpleITK/\nUSER 1000\n",
        "inference.py",
        "python3",
        TEMPLATE,
    ),
    "server": (f"USER 1000\n{INVOKE}", "server.py", "python3", SERVER),
    "two-hundred": (
        f"USER 1000\n{INVOKE}",
        "server.py",
        "python3",
        SERVER.replace("send_response(201)", "send_response(200)"),
    ),
    "perl": (
        f"RUN rm -rf /usr/bin/python3* /usr/lib/python3*\nUSER 1000\n{INVOKE}",
        "a.pl",
        "perl",
        PERL,
    ),
    "shell": ("RUN rm -f /usr/bin/python3*\nUSER 1000:1000\n", "run.sh", "sh", COPY),
    "arguments": ("USER 1000\n", "run.sh", "sh", f'[ $# -eq 0 ] && {COPY} || echo "got $*" >&2'),
    "root": ("", "run.sh", "sh", f"set -e; touch /root/state; {COPY}"),
    "layer": ("USER 1000\n", "run.sh", "sh", f"set -e; touch /var/tmp/cache; {COPY}"),
    "crash": ("USER 1000\n", "run.sh", "sh", "echo warming up; echo no weights >&2; exit 7"),
    "dies": (f"USER 1000\n{INVOKE}", "run.sh", "sh", "echo no weights >&2; exit 7"),
    "ends": (f"USER 1000\n{INVOKE}", "run.sh", "sh", "exit 0"),
    "label": ('USER 1000\nLABEL org.grand-challenge.api-method="rest"\n', "a", "sh", ""),
    "unknown": ("USER 1000\n", "a", "/no/such/program", ""),
    "unknown-server": (f"USER 1000\n{INVOKE}", "a", "/no/such/program", ""),
}


@pytest.fixture(scope="module")
def image(client, base):
    """Return a function that builds an image of others and returns its tag."""
    made = []

    def image(kind, slug="microscopy-image"):
        setup, file, program, text = RECIPES[kind]
        slugs = ("acquisition-metadata", slug) if slug == "microscopy-image" else (slug,)
        text = text.replace("SLUGS", repr(slugs)).replace("SLUG", slug)
        recipe = f"FROM {base}\nUSER root\nCOPY {file} /opt/app/{file}\n{setup}WORKDIR /opt/app\n"
        recipe += f'ENTRYPOINT ["{program}", "{file}"]\nCMD []\n'
        tag = f"cytosuite-guest/{kind}:test"
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
        made.append(tag)
        return tag

    yield image
    for tag in set(made):
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
    own = {"label": f"{RUN_LABEL}={owner_label()}"}
    before = {found.id for found in client.containers.list(all=True, filters=own)}

    def take(word, **options):
        engine = DockerEngine(client)
        given = BenchmarkOptions(dataset="spheroid", **options)
        said = Console(file=StringIO())
        (manifest,) = take_in([str(word)], ["watershed"], SEGMENT, engine, given, said)
        return engine, engine.guests[manifest.name]

    yield take
    assert {found.id for found in client.containers.list(all=True, filters=own)} <= before


@pytest.fixture
def run(take, image, case, tmp_path):
    """Return a function that runs an image twice on the case, and gives the last outcome."""

    def run(kind, slug="microscopy-image", times=2, **options):
        engine, guest = take(image(kind, slug), **options)
        with engine.session(guest.name, tmp_path / "s", LIMITS, guest.api) as session:
            for number in range(times):
                output = tmp_path / f"out-{number}"
                output.mkdir()
                outcome = session.predict(case[0], output, tmp_path / "log")
        return guest, outcome, output / "images" / "instance-labels"

    return run


@pytest.mark.parametrize("kind", ["template", "server", "perl", "shell", "arguments"])
@pytest.mark.parametrize("given", ["mha", "tif"])
def test_a_container_of_others_segments(run, case, kind, given):
    if (kind, given) in {
        ("perl", "mha"),
        ("server", "tif"),
        ("shell", "tif"),
        ("arguments", "tif"),
    }:
        pytest.skip("it reads one format alone")
    guest, outcome, place = run(kind, input_format=given)
    assert (outcome.status, outcome.message) == ("ok", "")
    assert guest.api == ("invoke" if kind in {"server", "perl"} else "exec")
    (path,) = place.iterdir()
    np.testing.assert_array_equal(read(path).array > 0, case[1])


def test_the_names_of_its_sockets_come_from_a_file(run, case, tmp_path):
    sockets = tmp_path / "sockets.toml"
    sockets.write_text('[inputs]\nmicroscopy-image = { slug = "their-image", format = "mha" }\n')
    _, outcome, place = run("template", "their-image", sockets=sockets)
    assert outcome.status == "ok"
    np.testing.assert_array_equal(read(place / "output.mha").array > 0, case[1])


def test_the_user_may_name_the_api(run):
    with pytest.raises(StartError, match="no weights"):
        run("crash", api="invoke")
    _, outcome, _ = run("dies", api="exec")
    assert (outcome.status, outcome.exit_code, outcome.message) == (
        "non-zero exit",
        7,
        "no weights",
    )


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("crash", "non-zero exit", "no weights"),
        ("root", "non-zero exit", "the image has no USER other than root, which the platform ref"),
        ("layer", "non-zero exit", "Read-only file system (only /output and /tmp can be written"),
        ("unknown", "non-zero exit", "/no/such/program"),
    ],
)
def test_a_container_that_fails_says_why(run, kind, status, message):
    _, outcome, _ = run(kind, times=1)
    assert outcome.status == status
    assert message in outcome.message


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("dies", "dies_test did not start: no weights (expected a server on 127.0.0.1:4743; API="),
        ("ends", "exit code 0 and without a message (expected a server on 127.0.0.1:4743; API="),
        (
            "unknown-server",
            "unknown_server_test did not start: .*failed: No such file or directory",
        ),
    ],
)
def test_a_server_that_does_not_start_says_why(run, kind, message):
    with pytest.raises(StartError, match=message.replace("(", r"\(")):
        run(kind)


def test_a_wrong_label_and_an_image_without_program_are_refused(take, image, client, base):
    with pytest.raises(InputError, match="label org.grand-challenge.api-method must be exec or"):
        take(image("label"))
    recipe = f"FROM {base}\nENTRYPOINT []\nCMD []\n"
    with pack({"Dockerfile": recipe.encode()}) as context:
        named = {"tag": "cytosuite-guest/none:test", "network_mode": "none"}
        made, _ = client.images.build(fileobj=context, custom_context=True, **named)
    try:
        with pytest.raises(InputError, match="expected an image with ENTRYPOINT or CMD"):
            take("cytosuite-guest/none:test")
    finally:
        client.images.remove(made.id, force=True)


def test_an_answer_that_the_platform_does_not_expect_is_a_failure(run):
    _, outcome, _ = run("two-hundred", input_format="mha", times=1)
    assert outcome.status == "non-zero exit"
    assert "does not answer POST /invoke with 201" in outcome.message


def test_an_image_that_nobody_has_is_one_line(take):
    with pytest.raises(InputError, match="^no image cytosuite-guest/nowhere:1 on this machine"):
        take("cytosuite-guest/nowhere:1")


def test_it_is_held_as_tightly_as_ours(take, image, client, case, tmp_path):
    engine, guest = take(image("perl"))
    with engine.session(guest.name, tmp_path / "s", LIMITS, "invoke") as session:
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
    engine, guest = take(image("perl"))
    with engine.session(guest.name, tmp_path / "s", LIMITS, "invoke") as session:
        first = session.inner._box.voice
        session.inner._box.container.unpause()
        session.inner._box.container.kill()
        output = tmp_path / "out"
        output.mkdir()
        assert session.predict(case[0], output, tmp_path / "log").status == "ok"
        assert session.inner._box.voice != first
        assert first not in {found.id for found in client.containers.list(all=True)}


def test_processes_refuse_images_of_others():
    from cytosuite.benchmark.engines.process import ProcessEngine

    given = BenchmarkOptions(dataset="spheroid")
    with pytest.raises(InputError, match=r"team:v1: an image .* found the engine process"):
        take_in(["team:v1"], [], SEGMENT, ProcessEngine(), given, Console(file=StringIO()))


def test_limits_hold(take, image, case, tmp_path):
    engine, guest = take(image("shell"), input_format="mha")
    tiny = replace(LIMITS, output_gib=1e-7)
    output = tmp_path / "out"
    output.mkdir()
    with engine.session(guest.name, tmp_path / "s", tiny, "exec") as session:
        outcome = session.predict(case[0], output, tmp_path / "log")
    assert (outcome.status, outcome.message) == ("killed", "ended by SIGXFSZ")


@pytest.mark.slow
def test_the_command_compares_images_of_others(image, tmp_path, client):
    """One that serves, one that fails alike on all cases: it is given up after the third."""
    words = ["server", "crash"]
    tags = ",".join(image(kind) for kind in words)
    own = ["--size", "mini", "--cases", "5", "--seed", "918273645", "--input-format", "mha"]
    own += ["--runs", str(tmp_path), "--run", "here", "--engine", "docker", "--blind"]
    command = [sys.executable, "-m", "cytosuite.benchmark", "benchmark", "spheroid", *own]
    given = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 300, "check": False}
    done = subprocess.run([*command, "--algorithm", tags], **given)
    assert done.returncode == 1, done.stderr
    home = tmp_path / "here"
    records = [json.loads(path.read_text()) for path in sorted(home.glob("*/*/record.json"))]
    statuses = Counter((record["algorithm"], record["status"]) for record in records)
    assert statuses == {("server_test", "ok"): 5, ("crash_test", "non-zero exit"): 5}
    left = "crash_test: 2 cases were not run and count as failed, since its first cases all failed"
    assert f"note: {left}" in done.stdout.replace("\n", " ").replace("  ", " ")
    report = (home / "report" / "report.md").read_text()
    assert client.images.get("cytosuite-guest/server:test").id in report
    assert "Which model was used" not in report
    again = subprocess.run([*command, "--algorithm", tags], **given)
    assert "10 results are there already" in again.stdout
    shown = [path for path in (home / "blind").rglob("*") if path.is_file()]
    assert "918273645" not in "".join(path.read_text() for path in shown)
    refused = subprocess.run(
        [*command, "--algorithm", tags, "--engine", "process", "--run", "b"], **given
    )
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "an image of others runs with Docker or podman alone" in refused.stderr
