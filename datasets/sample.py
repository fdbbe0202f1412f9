"""What a dataset generates: one case with its inputs, its truth and the drawn values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cytosuite.volume import Scalar, Volume


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated case.

    Parameters
    ----------
    inputs : mapping of str to Volume
        What an algorithm sees, by the slug of the input socket of its task.
    truth : mapping of str to Volume
        What is compared with the algorithm's output, by the slug of the output socket.
    metadata : mapping of str to str, int or float
        The physical truth behind the case, as flat scalars: drawn parameters with their unit in
        the name (``attenuation_um``) and what came of them (``n_nuclei``, ``snr``).
    companions : mapping of str to Volume
        What belongs to the case but is neither seen nor scored, by name: another channel, its
        labels, types of cells, the volumes after each stage (``step-1-dye``).
    conditions : mapping of str to str, int or float
        The few facts by which results are broken down: numbers, which a report cuts into ranges,
        or words, which are groups. A name may end with its unit: ``density [%]``. What is not
        known of a case is left out.
    """

    inputs: Mapping[str, Volume]
    truth: Mapping[str, Volume]
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    companions: Mapping[str, Volume] = field(default_factory=dict)
    conditions: Mapping[str, Scalar] = field(default_factory=dict)
