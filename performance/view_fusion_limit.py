"""What limits N_SSIM: answers of those who know more than a network can, on simulated pairs.

``view_fusion_limit.py [scale]``. Answers are fused from the given view and the expected light of
the second one (its noise alone is unknown), and from the expected light of both (no noise at all).
"""

import sys

import numpy as np

from cytosuite.datasets.physics.camera import Detector
from cytosuite.datasets.views.fusion import fused
from cytosuite.datasets.views.generate import expected, pair_of
from cytosuite.datasets.views.parameters import Parameters, draw_values
from cytosuite.metrics.images.n_ssim import n_ssim

SEED, STRATA = 5, 10


def main(scale: float) -> int:
    """Print the table."""
    parameters = Parameters(scale=scale)
    camera = Detector(parameters.gain, parameters.offset, parameters.read_noise)
    print("| stratum | photons | second view without noise | both without noise |")
    print("|---|---|---|---|")
    rows = []
    for number, stream in enumerate(np.random.SeedSequence(SEED).spawn(STRATA)):
        for_values, *for_scene, first, second = np.random.default_rng(stream).spawn(5)
        drawn = draw_values(for_values, parameters, number)
        views = pair_of((for_scene[0], for_scene[1]), parameters, drawn)
        light = [expected(seen, parameters, drawn) for seen in views]
        left = [seen.passed for seen in views]
        counts = [
            camera.expose(own, each) for own, each in zip((first, second), light, strict=True)
        ]
        clean = [each * parameters.gain + parameters.offset for each in light]
        truth = fused(counts, left, parameters.preference)
        answers = [(counts[0], clean[1]), (clean[0], clean[1])]
        scores = [
            n_ssim(truth, fused(images, left, parameters.preference), counts[0])
            for images in answers
        ]
        rows.append(scores)
        shown = " | ".join(f"{score:.3f}" for score in scores)
        print(f"| {drawn.content} {drawn.study} | {drawn.photons:.0f} | {shown} |", flush=True)
    print(f"| mean | | {' | '.join(f'{score:.3f}' for score in np.mean(rows, 0))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.12))
