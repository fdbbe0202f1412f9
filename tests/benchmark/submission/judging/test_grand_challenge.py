"""The client that is written beside the inputs, with a platform in memory in place of gcapi's."""

import sys
from functools import partial

import pytest
import toys
from house import ran
from rows import columns

from cytosuite.benchmark.submission.judging.ground_truth import write_inputs
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json, write_json, write_text

PLATFORM = """
import json, os, pathlib, types
STATE = pathlib.Path(__file__).with_name("platform.json")
class SocketValueSpec:
    def __init__(self, *, socket_slug, file):
        self.slug, self.file = socket_slug, pathlib.Path(file)
thing = types.SimpleNamespace
class Client:
    def __init__(self):
        self.items = json.loads(STATE.read_text())
        self.again = os.environ.get("AGAIN", "")
        self.archives = self.algorithms = thing(detail=lambda slug: thing(pk=f"pk of {slug}"))
        self.archive_items = thing(iterate_all=self.titles)
        self.algorithm_jobs = thing(iterate_all=self.jobs)
        self.images = thing(detail=lambda api_url: thing(name=api_url), download=self.download)
    def titles(self, params):
        assert params == {"archive": "pk of cells"}
        return [thing(title=title, values=[*files]) for title, files in self.items.items()]
    def add_case_to_archive(self, *, archive_slug, values, title):
        assert archive_slug == "cells" and title not in self.items
        self.items[title] = {value.slug: value.file.name for value in values}
        assert all(value.file.is_file() for value in values)
        STATE.write_text(json.dumps(self.items))
    def jobs(self, params):
        assert params == {"algorithm_image__algorithm": "pk of net"}
        for number, (title, files) in enumerate([*self.items.items(), *self.items.items()]):
            inputs = [thing(image=files["microscopy-image"]), thing(image=None)]
            labels = thing(interface=thing(slug="instance-labels"), image=title, file=None)
            status = "Failed" if title == "c1" else "Succeeded"
            version = "new" if number < len(self.items) else "old"
            if title in self.again: number += 9
            yield thing(pk=str(number), status=status, exec_duration="PT3S", inputs=inputs,
                        outputs=[labels], algorithm_image=version)
    def download(self, *, url, output_directory, filename):
        output_directory.mkdir(parents=True, exist_ok=True)
        target = output_directory / f"{filename}.mha"
        assert not target.exists()
        target.write_text(url)
"""


@pytest.fixture
def call(dataset_of, tmp_path):
    """Return a function that calls the client with words; the platform holds what it was given."""
    dataset = dataset_of(**{"microscopy-image": toys.image, "instance-labels": toys.labels})
    write_inputs(dataset, TASKS["segment"], tmp_path / "inputs")
    (tmp_path / "gcapi.py").write_text(PLATFORM)
    (tmp_path / "platform.json").write_text("{}")

    words = (sys.executable, "-S", "inputs/grand_challenge.py")  # no package is there
    return partial(ran, *words, cwd=tmp_path, PYTHONPATH=".")


def test_each_case_goes_up_once_and_its_newest_answer_comes_down(call, tmp_path):
    state = tmp_path / "platform.json"
    done = call("upload", "cells")
    assert (done.returncode, done.stderr) == (0, "")
    items = read_json(state)
    assert items["c0"]["microscopy-image"] == "c0.tif"
    del items["c2"]  # as if the upload had been cut off
    write_json(state, items)
    write_text(tmp_path / "mine/instance-labels/c0.1.mha", "of another case")
    assert call("fetch", "net", "mine").returncode == 1  # a case without a job
    assert call("upload", "cells").stdout.splitlines()[-3:] == [
        "c0: there already, with 2 of 2 inputs",
        "c1: there already, with 2 of 2 inputs",
        "c2: added",
    ]
    done = call("fetch", "net", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    answers = {path.name: path.read_text() for path in (tmp_path / "mine").rglob("*.mha")}
    assert answers == {"c0.mha": "c0", "c0.1.mha": "of another case", "c2.mha": "c2"}
    assert columns(tmp_path / "mine/jobs.csv", "case", "status", "version") == [
        ("c0", "Succeeded", "new"),
        ("c1", "Failed", "new"),
        ("c2", "Succeeded", "new"),
    ]
    for name in ("c0", "c1", "c2"):
        write_text(tmp_path / f"mine/instance-labels/{name}.mha", "before")
        write_text(tmp_path / f"mine/labels/{name}.tif", "the truth")
    assert call("fetch", "net", "mine", AGAIN="c1 c2").returncode == 0
    answers = {path.name: path.read_text() for path in (tmp_path / "mine").rglob("*.mha")}
    assert answers == {"c0.mha": "before", "c0.1.mha": "of another case", "c2.mha": "c2"}
    assert len([*(tmp_path / "mine/labels").iterdir()]) == 3
    write_text(tmp_path / "mine/jobs.csv", "case;job\n")
    assert "jobs.csv: expected the columns case, status," in call("fetch", "net", "mine").stderr


def test_wrong_words_show_the_usage(call):
    done = call("download")
    assert done.returncode == 2
    assert "grand_challenge.py upload ARCHIVE" in done.stderr
