from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from cytosuite.benchmark.commands.console import names, numbers, pairs, several
from cytosuite.benchmark.commands.fields import Text, takes
from cytosuite.benchmark.commands.options import (
    BenchmarkOptions,
    DataOptions,
    RunOptions,
)
from cytosuite.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Toy:
    """Options of a toy command."""

    place: Annotated[Path, typer.Argument()]
    sizes: Annotated[tuple[float, ...] | None, Text(numbers, "Sizes.")] = None
    words: Annotated[list[str], Text(names, "Words.")] = ()
    settings: Annotated[list[str], Text(pairs, "Pairs.", "--set", repeatable=True)] = ()
    loud: Annotated[bool, typer.Option()] = False


@pytest.fixture
def run():
    """Return a function that gives the words of a command line to a command with these options."""
    app, seen = typer.Typer(), []
    app.command()(takes(Toy)(seen.append))

    def run(*words):
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        return (seen.pop() if seen else None), result

    return run


def test_every_field_is_an_option_with_its_default(run):
    found, _ = run("here")
    assert found == Toy(place=Path("here"), sizes=None, words=[], settings=[])


def test_texts_are_parsed(run):
    words = ("there", "--sizes", "2,0.5", "--words", "a, b", "--set", "x.y=1 z.w=2", "--loud")
    found, _ = run(*words)
    assert (found.sizes, found.words) == ((2.0, 0.5), ["a", "b"])
    assert found.settings == ["x.y=1", "z.w=2"]
    assert found.loud


def test_lists_are_written_with_commas_everywhere(run):
    found, _ = run("here", "--set", "x.y=[1, 2],z.w=2", "--words", "a,b")
    assert (found.settings, found.words) == (["x.y=[1, 2]", "z.w=2"], ["a", "b"])
    assert several(["role=a,other=b", "c"]) == ["role=a", "other=b", "c"]  # train --data
    assert several(None) == []


def test_a_missing_argument_is_refused(run):
    found, result = run()
    assert found is None
    assert result.exit_code == 2


def test_a_wrong_number_is_one_line(run):
    with pytest.raises(InputError, match="spacing must be numbers in µm like 2,0.5,0.5"):
        run("here", "--sizes", "2 um")


def test_a_dataset_is_asked_for_with_what_the_options_say():
    options = BenchmarkOptions(dataset="spheroid", size="mini", seed=3, settings=["camera.bits=8"])
    wanted = options.request(task="enhance")
    assert (wanted.dataset, wanted.size, wanted.seed) == ("spheroid", "mini", 3)
    assert (wanted.settings, wanted.task) == (("camera.bits=8",), "enhance")


def test_limits_are_the_users_or_the_algorithms(watershed):
    own = watershed.resources.memory_gib
    assert RunOptions().limits(watershed).memory_gib == own
    assert RunOptions(memory=1.5, timeout=9.0).limits(watershed).memory_gib == 1.5
    assert RunOptions(timeout=9.0).limits(watershed).timeout_s == 9.0


def test_results_lie_in_the_checkout_or_where_the_user_says(tmp_path):
    assert DataOptions(dataset="x").folder.name == "runs"
    assert DataOptions(dataset="x", runs=tmp_path).folder == tmp_path
    assert DataOptions(dataset="x", workers=3).processes == 3


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("scale=0.1,studies=[4, 2]", ["scale=0.1", "studies=[4, 2]"]),
        ("studies=[1] contents=['nucleus']", ["studies=[1]", "contents=['nucleus']"]),
        ("image={shape=[9, 5, 5], stretch=1}", ["image={shape=[9, 5, 5], stretch=1}"]),
        ("structure=tissue, falloff_um=2", ["structure=tissue", "falloff_um=2"]),
    ],
)
def test_settings_in_one_text_are_parted_between_keys_alone(text, settings):
    assert pairs([text]) == settings
