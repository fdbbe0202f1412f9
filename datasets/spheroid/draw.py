"""One value from every range, for one case."""

import numpy as np

from datasets.spheroid.parameters import Parameters
from datasets.spheroid.sections import Kind

Drawn = dict[str, float]

TYPICAL = 20  # nuclei, whose diameter is that of the recipe
LOGARITHMIC = {"n_nuclei", "photons", "attenuation_um"}  # drawn log-uniformly
WHOLE = {"bodies", "blobs"}  # numbers of things
PER_OBJECT = {  # ranges from which every single object draws
    *("fragments", "fragment_brightness", "body_diameter", "body_brightness"),
    *("blob_sigma_z_um", "blob_sigma_xy_um", "blob_brightness"),
}


def draw_values(rng: np.random.Generator, parameters: Parameters) -> Drawn:
    """Return one value from each range of the parameters that holds for a whole case.

    Returns
    -------
    dict of str to float
        Uniform in the range; `n_nuclei` (rounded), `photons` and `attenuation_um` log-uniform.
    """
    values: Drawn = {}
    for name, low, high in parameters.ranges():
        share = rng.random()
        if name in PER_OBJECT:
            continue
        if name in WHOLE:
            values[name] = int(low) + int(share * (high - low + 1) * (1 - 1e-12))
        elif name in LOGARITHMIC:
            values[name] = float(low * (high / low) ** share)
        else:
            values[name] = float(low + (high - low) * share)
    if "n_nuclei" in values:
        values["n_nuclei"] = round(values["n_nuclei"])
        crowd = (values["n_nuclei"] / TYPICAL) ** -parameters.tissue.shrinkage
        for name in values:
            if name.endswith("diameter_um"):
                values[name] *= crowd
    return values


def of_kind(drawn: Drawn, parameters: Parameters, kind: Kind, name: str) -> float:
    """Return the value drawn for a kind of cells and a range of its `Nucleus` section."""
    return drawn[f"{kind.name}_{name}" if parameters.kinds else name]
