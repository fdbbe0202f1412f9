"""Scores of view fusion by content and study: cards of any method on held-out simulated pairs.

``view_fusion_scores.py CASES CARD...``: the ``cases`` folder of a generated set of ``views``, and
cards of ``view_fusion``, each beside its weights. With ``chosen`` in place of a card each image
takes the one that the automatic choice gives it. Prints Markdown, a table per metric. With
``--picture FILE --shown CASE...`` it draws view, answer of the last card, truth and opposite view
of some cases, each scaled by its own percentiles, the middle planes across z and y.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cytosuite.algorithms.view_fusion.intensity import units_of
from cytosuite.algorithms.view_fusion.predict import predict
from cytosuite.formats import read
from cytosuite.manifest import read_algorithm, read_card
from cytosuite.metrics.images.intensity import nrmse, psnr
from cytosuite.metrics.images.n_ssim import n_ssim
from cytosuite.metrics.images.ssim import ssim
from cytosuite.select import describe, select
from cytosuite.tasks import VIEW
from cytosuite.training.images import joined
from cytosuite.volume import Volume
from cytosuite.weights import Model, open_model, read_cards

ROOT = Path(__file__).parents[1]
METRICS = ("N_SSIM", "SSIM", "PSNR", "NRMSE")
CHOSEN = "chosen"
Scores = dict[str, float]


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", type=Path, help="folder of the cases")
    parser.add_argument("cards", nargs="+", help="model cards, or the word chosen")
    parser.add_argument("--picture", type=Path, help="PNG file of the cases in --shown")
    parser.add_argument("--shown", nargs="+", default=[], help="names of cases")
    given = parser.parse_args(arguments)
    rows = []
    found: dict[str, dict[str, list[Scores]]] = defaultdict(lambda: defaultdict(list))
    for case in sorted(path for path in given.cases.iterdir() if path.is_dir()):
        images = {slug: _image(case, slug) for slug in (VIEW, f"fused-{VIEW}")}
        view, truth = images.values()
        stratum = f"{view.metadata['channel']} {view.metadata['study']}"
        for card in given.cards:
            model = _model(card, view)
            made = predict({VIEW: view}, model)[f"fused-{VIEW}"]
            scores = _scores(truth, made, view)
            found[stratum][card].append(scores)
            values = ", ".join(f"{name} {scores[name]:.4g}" for name in METRICS)
            print(f"{case.name}, {stratum}, {model.card.name}: {values}", file=sys.stderr)
        if case.name in given.shown:
            row = (view, made, truth, _image(case, f"second-{VIEW}"))
            rows.append(joined([_planes(image) for image in row], 1))
    for metric in METRICS:
        _table(metric, found, given.cards)
    if given.picture is not None and rows:
        Image.fromarray(joined(rows, 0)).reduce(2).save(given.picture, optimize=True)
    return 0


def _image(case: Path, slug: str) -> Volume:
    """Return an image of a case."""
    return read(case / "sockets" / "images" / slug / f"{case.name}.tif")


def _model(card: str, view: Volume) -> Model:
    """Return the named model, or that which the automatic choice gives an image."""
    if card != CHOSEN:
        path = Path(card)
        return open_model(path.parent, read_card(path))
    folder = ROOT / "weights" / "view_fusion"
    policy = read_algorithm(ROOT / "algorithms" / "view_fusion" / "algorithm.toml").select
    chosen = select(read_cards(folder, "view_fusion"), describe(view), policy)
    return open_model(folder, chosen.card)


def _scores(truth: Volume, made: Volume, view: Volume) -> Scores:
    """Return the scores of an image; all but N_SSIM in units of each image's percentiles."""
    target, answer = (_scaled(volume) for volume in (truth, made))
    pair_metrics = {"SSIM": ssim, "PSNR": psnr, "NRMSE": nrmse}
    scores = {name: of(target, answer, data_range=1.0) for name, of in pair_metrics.items()}
    return {"N_SSIM": n_ssim(truth.array, made.array, view.array), **scores}


def _scaled(volume: Volume) -> NDArray[np.float32]:
    """Return an image as N_SSIM scales it, float32."""
    units = units_of(volume.array)
    return (volume.array.astype(np.float32) - np.float32(units.low)) / np.float32(units.scale)


def _planes(volume: Volume) -> NDArray[np.uint8]:
    """Return the middle plane across z, and below it that across y, as N_SSIM scales them."""
    light = np.clip(_scaled(volume), 0, 1) * 255
    planes = (light[light.shape[0] // 2], light[:, light.shape[1] // 2])
    return joined([plane.astype(np.uint8) for plane in planes], 0)


def _table(metric: str, found: dict[str, dict[str, list[Scores]]], cards: Sequence[str]) -> None:
    """Print the means of a metric, a row per stratum and one of their mean."""
    names = [Path(card).stem for card in cards]
    print(f"\n| {metric} | cases | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    rows = []
    for stratum, scores in sorted(found.items(), key=lambda item: (item[0][0] != "n", item[0])):
        means = [fmean(each[metric] for each in scores[card]) for card in cards]
        rows.append(means)
        count = len(next(iter(scores.values())))
        print(f"| {stratum} | {count} | {' | '.join(f'{value:.3f}' for value in means)} |")
    print(f"| mean | | {' | '.join(f'{value:.3f}' for value in np.mean(rows, 0))} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
