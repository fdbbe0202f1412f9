"""Metrics of an image against its paired truth: similarity, and differences voxel by voxel."""

from cytosuite.metrics.images.intensity import mae, nrmse, nrmse_mean, nrmse_range, pearson, psnr
from cytosuite.metrics.images.n_ssim import (
    TRIPLE,
    ImageTriple,
    n_ssim,
    n_ssim_2d,
    n_ssim_tf10,
    triple,
)
from cytosuite.metrics.images.pair import PAIR, ImagePair, pair, percentiles
from cytosuite.metrics.images.ssim import mean_ssim, ssim, ssim2d, ssim_map
from cytosuite.metrics.images.ssim_window import gaussian_window, sigmas_from_um, uniform_window

__all__ = [
    "PAIR",
    "TRIPLE",
    "ImagePair",
    "ImageTriple",
    "gaussian_window",
    "mae",
    "mean_ssim",
    "n_ssim",
    "n_ssim_2d",
    "n_ssim_tf10",
    "nrmse",
    "nrmse_mean",
    "nrmse_range",
    "pair",
    "pearson",
    "percentiles",
    "psnr",
    "sigmas_from_um",
    "ssim",
    "ssim2d",
    "ssim_map",
    "triple",
    "uniform_window",
]
