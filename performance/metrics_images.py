"""Measure the scores of image pairs against scikit-image, MONAI, torchmetrics, pytorch-msssim.

Peak memory is the growth of the process, so that torch's is seen too (Linux only; 0 elsewhere).
The programs take turns; those that need many seconds run once.
"""

import statistics
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Row, table

from cytosuite.metrics import mae, n_ssim, nrmse, nrmse_mean, nrmse_range, pearson, psnr, ssim
from cytosuite.metrics.images.pair import pair
from cytosuite.metrics.percentiles import percentiles

SHAPE = (64, 512, 512)
TURNS = 5
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

Programs = dict[str, tuple[Callable[[], Any], int]]  # and how often to run


def rows() -> list[Row]:
    """Return the rows of a pair of float32 volumes."""
    rng = np.random.default_rng(0)
    truth = rng.random(SHAPE, np.float32)
    truth += np.sin(np.arange(SHAPE[2], dtype=np.float32) / 20)
    prediction = truth + np.float32(0.1) * rng.standard_normal(SHAPE, np.float32)
    image = truth + np.float32(0.3) * rng.standard_normal(SHAPE, np.float32)
    size = "x".join(map(str, SHAPE))
    return [
        *_measure(f"SSIM 3D {size} float32", _similarity(truth, prediction)),
        *_measure(f"SSIM 3D {size} uint16", _similarity_uint16(truth, prediction)),
        *_measure(f"N_SSIM {size}", _n_ssim(truth, prediction, image)),
        *_measure(f"percentiles 2, 99.8 {size}", _percentiles(truth)),
        *_measure(f"PSNR {size}", _psnr(truth, prediction)),
        *_measure(f"PSNR, NRMSE, Pearson, MAE {size}", _all_intensity(truth, prediction)),
    ]


def _similarity(truth: Any, prediction: Any) -> Programs:  # noqa: ANN401
    """Return the programs for the similarity, checking included."""
    programs: Programs = {"cytosuite": (lambda: ssim(truth, prediction, data_range=1.0), TURNS)}
    theirs = _module("skimage.metrics")
    programs["scikit-image float32"] = (
        lambda: theirs.structural_similarity(truth, prediction, data_range=1.0, **GAUSSIAN),
        TURNS,
    )
    torch = _module("torch")
    if torch is None:
        return programs | {"torch is not installed": (lambda: "left out", 1)}
    torch.set_num_threads(2)
    t, p = (torch.from_numpy(volume)[None, None] for volume in (truth, prediction))
    if monai := _module("monai.metrics"):
        measure = monai.SSIMMetric(spatial_dims=3, data_range=1.0)
        programs["MONAI"] = (lambda: float(measure(p, t)), 1)
    if functional := _module("torchmetrics.functional.image"):
        index = functional.structural_similarity_index_measure
        programs["torchmetrics (pads)"] = (lambda: float(index(p, t, data_range=1.0)), 1)
    if separable := _module("pytorch_msssim"):
        programs["pytorch-msssim"] = (lambda: float(separable.ssim(p, t, data_range=1.0)), 2)
    return programs


def _similarity_uint16(truth: Any, prediction: Any) -> Programs:  # noqa: ANN401
    """Return the programs for integers, which scikit-image computes in double precision."""
    t, p = ((1000 * volume + 3000).astype(np.uint16) for volume in (truth, prediction))
    theirs = _module("skimage.metrics")
    return {
        "cytosuite": (lambda: ssim(t, p, data_range=1000), TURNS),
        "scikit-image float64": (
            lambda: theirs.structural_similarity(t, p, data_range=1000, **GAUSSIAN),
            2,
        ),
    }


def _n_ssim(truth: Any, prediction: Any, image: Any) -> Programs:  # noqa: ANN401
    """Return the programs for N_SSIM; the other is written with NumPy and scikit-image."""
    theirs = _module("skimage.metrics")

    def composed() -> float:
        normal = []
        for volume in (truth, prediction, image):
            low, high = np.percentile(volume, (2, 99.8))
            normal.append(((volume - low) / (high - low)).astype(np.float32))
        before, after = (
            theirs.structural_similarity(normal[0], normal[k], data_range=1.0, **GAUSSIAN)
            for k in (2, 1)
        )
        return float((after - before) / (1 - before))

    return {
        "cytosuite": (lambda: n_ssim(truth, prediction, image), TURNS),
        "NumPy and scikit-image": (composed, 2),
    }


def _percentiles(truth: Any) -> Programs:  # noqa: ANN401
    """Return the programs for percentiles."""
    return {
        "cytosuite": (lambda: percentiles(truth, (2, 99.8)), TURNS),
        "NumPy": (lambda: tuple(np.percentile(truth, (2, 99.8)).tolist()), TURNS),
    }


def _psnr(truth: Any, prediction: Any) -> Programs:  # noqa: ANN401
    """Return the programs for one score, checking included."""
    theirs = _module("skimage.metrics")
    return {
        "cytosuite": (lambda: psnr(truth, prediction, data_range=1.0), TURNS),
        "scikit-image": (
            lambda: theirs.peak_signal_noise_ratio(truth, prediction, data_range=1.0),
            TURNS,
        ),
    }


def _all_intensity(truth: Any, prediction: Any) -> Programs:  # noqa: ANN401
    """Return the programs for all scores of differences."""
    theirs, stats = _module("skimage.metrics"), _module("scipy.stats")
    scores = (psnr, nrmse, nrmse_range, nrmse_mean, pearson, mae)

    def ours() -> str:
        checked = pair(truth, prediction, data_range=1.0)
        return _short(score.of(checked) for score in scores)

    def others() -> str:
        names = ("euclidean", "min-max", "mean")
        values = [
            theirs.peak_signal_noise_ratio(truth, prediction, data_range=1.0),
            *(theirs.normalized_root_mse(truth, prediction, normalization=n) for n in names),
            stats.pearsonr(truth.ravel(), prediction.ravel()).statistic,
            np.abs(truth - prediction).mean(),
        ]
        return _short(values)

    return {"cytosuite": (ours, TURNS), "scikit-image and SciPy": (others, TURNS)}


def _short(values: Any) -> str:  # noqa: ANN401
    """Return numbers as one text."""
    return " ".join(f"{value:.7g}" for value in values)


def _measure(work: str, programs: Programs) -> list[Row]:
    """Return a row per program."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    peaks, values = dict.fromkeys(programs, 0.0), {}
    next(iter(programs.values()))[0]()  # compiles
    for turn in range(TURNS):
        for name, (run, turns) in programs.items():
            if turn < turns:
                held = _reset_peak()
                begin = time.perf_counter()
                values[name] = run()
                seconds[name].append(time.perf_counter() - begin)
                peaks[name] = max(peaks[name], _memory("VmHWM") - held)
    return [
        Row(work, name, statistics.median(seconds[name]), peaks[name], str(values[name]))
        for name in programs
    ]


def _memory(key: str) -> float:
    """Return a line of the process's status in MiB."""
    if not STATUS.exists():
        return 0.0
    (line,) = (x for x in STATUS.read_text().splitlines() if x.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024


def _reset_peak() -> float:
    """Begin a new peak and return the memory held now, in MiB."""
    if CLEAR.exists():
        CLEAR.write_text("5")
    return _memory("VmRSS")


def _module(name: str) -> Any:  # noqa: ANN401
    """Return a module, None where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


if __name__ == "__main__":
    print(table(rows()))
