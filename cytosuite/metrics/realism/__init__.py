"""Metrics of images without a paired truth: against a set of real images, or under known labels."""

from cytosuite.metrics.realism.edges import (
    EDGES,
    EdgeSettings,
    edge_curve,
    edge_curves,
    edge_degradation,
    edge_degradation_lower,
    edge_degradation_middle,
    edge_degradation_upper,
)
from cytosuite.metrics.realism.features import (
    FEATURE_DISTANCES,
    feature_distance,
    feature_distances,
    object_features,
)
from cytosuite.metrics.realism.patch_statistics import Extractor
from cytosuite.metrics.realism.patches import (
    PATCHES,
    kid_interval,
    patch_features,
    patch_fid,
    patch_kid,
)
from cytosuite.metrics.realism.regions import (
    REGION_SCORES,
    gap_similarity,
    object_similarity,
    outside_similarity,
    region_scores,
    region_similarity,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.metrics.realism.spectrum import (
    AXIAL,
    LATERAL,
    axial_spectra,
    axial_spectrum_distance,
    lateral_spectra,
    lateral_spectrum_distance,
)
from cytosuite.metrics.realism.structure import (
    STRUCTURE,
    label_auc,
    label_auc_change,
    structure,
    structure_correlation,
)
from cytosuite.metrics.realism.wasserstein import TRANSPORT, transport, w1, w1_by_range, w1_by_std

__all__ = [
    "AXIAL",
    "EDGES",
    "FEATURE_DISTANCES",
    "LATERAL",
    "PATCHES",
    "REGION_SCORES",
    "STRUCTURE",
    "TRANSPORT",
    "EdgeSettings",
    "Extractor",
    "Scene",
    "axial_spectra",
    "axial_spectrum_distance",
    "edge_curve",
    "edge_curves",
    "edge_degradation",
    "edge_degradation_lower",
    "edge_degradation_middle",
    "edge_degradation_upper",
    "feature_distance",
    "feature_distances",
    "gap_similarity",
    "kid_interval",
    "label_auc",
    "label_auc_change",
    "lateral_spectra",
    "lateral_spectrum_distance",
    "object_features",
    "object_similarity",
    "outside_similarity",
    "patch_features",
    "patch_fid",
    "patch_kid",
    "region_scores",
    "region_similarity",
    "structure",
    "structure_correlation",
    "transport",
    "w1",
    "w1_by_range",
    "w1_by_std",
]
