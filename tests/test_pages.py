"""The pages' commands: rows of README.md and docs/published.md, lines of algorithms' READMEs."""

import os
from pathlib import Path

import layouts
import pages
import pytest
from house import ROOT
from layouts import PLANE, PLANES, VOLUMES
from pages import Row

CHAIN, TWO, MINI = "--cases 1 --algorithm watershed", "--cases 2", "--size mini --cases 1"
TOOLS = "a container of another tool (pytest -m rivals)"
THEIRS = f"""
cytosuite model add {ROOT}/weights/cellpose3d/spheroid-nuclei-3d.safetensors \
  --like cellpose3d:spheroid-nuclei-3d --name theirs
cytosuite model pack theirs --out theirs.zip
cytosuite model remove theirs
"""
RUNS = "cytosuite benchmark path/to/folder --algorithm watershed --run old; cp -r runs/old runs/new"
LISTS = [f"files_{part}.csv" for part in ("train", "val", "test")]
NETWORKS = {"models.pth": (layouts.published_networks,)}
MASKED = (layouts.simulator, layouts.cellular, layouts.bbbc, layouts.cellpose, layouts.coco)
READ = {
    "README.md": [
        Row("stack.tif folder/", {"stack.tif": (layouts.image,), "folder": (layouts.images, PLANE)}),
        Row("DATASET=path/to/folder", {"path/to/folder": (layouts.annotated, PLANE)}),
        Row("compare-methods", needs="hours"),
        Row("napari", needs="a window (tests/cytosuite/napari)"),
        Row("score", "cp -r labels results"),
        Row("compare RUN", RUNS),
        Row("rehearse", small="--cases 1", needs="docker"),
        Row("export", needs="docker"),
        Row("build-evaluation", small="--size mini", needs="docker"),
        Row("OUT=data", small="--size mini --cases 2"),
        Row("mouse_embryo_realistic", small=CHAIN),
        Row("IMAGES=spots/", "mkdir spots; cp folder/*.tif spots"),
        Row("TASK=track", small="--cases 1 --set shape=[384,384] --set n_nuclei=4"),
        Row("FROM=planes-nuclei-2d", needs="networks"),
        Row("install", THEIRS, needs="networks"),
        Row("mouse_embryo_realistic", small=TWO, needs="networks"),
        Row("CLUSTER=site.toml", {"site.toml": (layouts.site,)}, MINI, "cluster"),
        Row("nuclei/large", small="--set shape=[16,96,96] --set n_nuclei=4"),
    ],
    "docs/published.md": [
        Row("params.json", {"params.json": (layouts.parameters,)}),
        Row("DATASET=mine.toml", small="--cases 1"),
        Row("DATASET=that_folder", {"that_folder": (MASKED[0],)}),
        Row("stack.tif", {"stack.tif": (layouts.image,)}),
        Row(
            "settings.hjson",
            {"folder": (layouts.translation,), "settings.hjson": (layouts.settings, "folder")},
        ),
        Row("models.pth", NETWORKS),
        Row("painter", {"folder": (layouts.listed, ["image_files_3D.csv"], "distance", VOLUMES)}),
        Row("masks.csv", "ls folder/masks/*.h5 > masks.csv"),
        Row("sketches", small=MINI),
        Row("nuclei", {"folder": (layouts.listed, LISTS)}),
        Row("DATASET=that_folder", {"that_folder": (MASKED[1],)}),
        Row("--from planes-nuclei-2d", {"that_folder": (layouts.excluding,)}),
        Row("copy-images", "rm -r folder"),
        Row("cells/clouds", small="--cases 1"),
        Row("combine", {"cells": (layouts.images, PLANE), "spots": (layouts.images, PLANE)}),
        *(Row("DATASET=that_folder", {"that_folder": (write,)}) for write in MASKED[2:4]),
        Row("requests", {"requests": (layouts.request,)}),
        Row("cellsynthesis", {n: (getattr(layouts, k), VOLUMES) for n, k in
                              {"real": "images", "labels": "labels"}.items()}),
        Row("planes.toml", {"that_folder": (layouts.pix2pix,)}),
        Row("cellgen.toml", {"that_folder": (layouts.channels,)}),
        Row("DATASET=that_folder", {"that_folder": (MASKED[4],)}),
        Row("study1_train", {"data": (layouts.studies,)}),
        Row("views", {"views": (layouts.views,)}),
        Row(
            "card-a",
            {
                "folder": (layouts.annotated,),
                **{f"weights/cellpose3d/card-{n}.json": (layouts.card,) for n in "ab"},
            },
        ),
        Row("net.pt", {"net.pt": (layouts.weights, "cellpose3d/tissue-nuclei-3d")}),
        Row("--ctc", dict.fromkeys(("labels", "truth"), (layouts.labels, (24, 96, 64))) | {"folder": (lambda _: None,)}),
        Row("edge_degradation", dict.fromkeys(("real", "made"), (layouts.images, VOLUMES))),
    ],
    "algorithms/cellpose3d/README.md": [
        Row("my_folder/", {"my_stack.tif": (layouts.image,), "my_folder": (layouts.images,)}),
        Row("DATASET=my_folder", {"my_folder": (layouts.annotated,)}),
        Row("embryo_training", small=TWO),
    ],
    "algorithms/cyclegan3d/README.md": [
        Row("my_simulation", {"my_simulation": (layouts.images,)}),
        Row("make benchmark DATASET=spheroid/mouse_embryo_realistic", small=CHAIN),
        Row("mouse_embryo_realistic", small=TWO),
        Row("REFERENCE", {"my_stacks": (layouts.images, VOLUMES, "abcd")}, TWO),
        Row("STEPS=0", small=TWO),
        Row("REAL=my_stacks NAME=mine", small=TWO),
        Row(
            "DATASET=my_folder",
            {
                "my_folder": (layouts.translation, VOLUMES),
                "settings.hjson": (layouts.settings, "my_folder"),
            },
        ),
        Row("published.toml", needs="minutes and memory"),
        Row("models.pth", NETWORKS),
    ],
    "algorithms/diffusion/README.md": [
        Row("membrane/ovule", small="--cases 1 --set shape=[16,64,64]"),
        Row("benchmark", small=f"{CHAIN} --set shape=[128,128] --set n_nuclei=6"),
        Row("my_labels", {"my_labels": (layouts.labels, PLANE)}),
        Row("FRAMES", small="--cases 1 --set shape=[96,96] --set n_nuclei=4"),
        Row("my_pairs", {"my_pairs": (layouts.annotated, VOLUMES)}),
        Row("my_stacks", {"my_stacks": (layouts.images, VOLUMES, "abcd")}),
        Row("my_planes", {"my_planes": (layouts.annotated, PLANES)}),
        Row("taught", {"my_pairs": (layouts.annotated, PLANES)}),
        Row(
            "unpaired",
            {
                "real_images": (layouts.images, VOLUMES, "abcd"),
                "labels_of_others": (layouts.labels, VOLUMES),
            },
        ),
    ],
    "algorithms/harmonicnet/README.md": [
        Row("volumes", {"volumes": (layouts.images,)}),
        Row("spheroid_training", small=TWO),
        Row("embryo_training", small=TWO),
    ],
    "algorithms/linking/README.md": [
        Row("nuclei/gowt1", small="--cases 1 --set shape=[128,128] --set n_nuclei=4 --set frames=3"),
        Row("Fluo", {"Fluo-N2DH-GOWT1": (layouts.sequences,)}),
    ],
    "algorithms/masks/README.md": [
        Row("echo", "mkdir -p requests"),
        Row("benchmark", small="--cases 1"),
        Row("simulate", small="--cases 1"),
        Row("train", needs="minutes: eight images are simulated"),
    ],
    "algorithms/spots/README.md": [
        Row("cells/spots", small="--cases 1"),
        Row("my_images", {"my_images": (layouts.images, PLANE)}),
    ],
    "algorithms/u2net/README.md": [
        Row("train", small=TWO),
        Row("planes", {"planes": (layouts.images, PLANES)}),
    ],
    "algorithms/view_fusion/README.md": [
        Row("my_views", {"my_views": (layouts.views,)}),
        Row("DATASET=views", small=MINI),
        Row("FuseMyCells/Study1", {"FuseMyCells/Study1": (layouts.views, VOLUMES)}),
        Row("--cases 100", small="--cases 1"),
        Row("MEMBRANE", {"NUCLEUS": (layouts.views, VOLUMES), "MEMBRANE": (layouts.views, VOLUMES, "membrane")}),
        Row("--cases 36", small="--cases 1"),
        Row("STUDY", {"STUDY": (layouts.views, VOLUMES)}),
    ],
    "algorithms/watershed/README.md": [Row("segment", {"my_stack.tif": (layouts.image,)})],
}  # fmt: skip
for name in ("cellpose", "stardist", "nnunet"):
    READ[f"algorithms/{name}/README.md"] = [Row(word, needs=TOOLS) for word in ("train", "MODEL=")]
ALGORITHMS = sorted(
    path.relative_to(ROOT).as_posix() for path in ROOT.glob("algorithms/*/README.md")
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a copy of the checkout, or the one of $PLAIN, which `make` alone has set up."""
    plain = os.environ.get("PLAIN")
    return pages.checkout(Path(plain) if plain else tmp_path_factory.mktemp("pages") / "checkout")


def text(page):
    """Return a page, of README.md the table of tasks."""
    return (ROOT / page).read_text().rpartition("## I want to")[2].partition("## Install")[0]


@pytest.mark.slow
@pytest.mark.long  # .ci/users runs them each time, with containers
def test_the_rows_of_the_readme_run_as_written(checkout):
    assert (
        pages.follow(text("README.md"), READ["README.md"], checkout, {"networks"}, **pages.PLAIN)
        == []
    )


@pytest.mark.slow
@pytest.mark.skipif("PLAIN" not in os.environ, reason="needs an environment of make (.ci/users)")
def test_the_rows_of_the_readme_run_in_the_environment_of_make(checkout):
    assert pages.follow(text("README.md"), READ["README.md"], checkout, {"docker"}) == []


@pytest.mark.cluster
@pytest.mark.usefixtures("slurm")
def test_the_row_of_a_cluster_runs_as_written(checkout):
    line = next(line for line in text("README.md").splitlines() if "CLUSTER=site.toml" in line)
    rows = [row for row in READ["README.md"] if row.needs == "cluster"]
    assert pages.follow(line, rows, checkout, {"cluster"}, **pages.PLAIN) == []


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("page", ["docs/published.md", *ALGORITHMS])
def test_the_commands_of_a_page_run_as_written(checkout, page):
    assert pages.follow(text(page), READ.get(page, []), checkout, **pages.PLAIN) == []
