"""Inputs and outputs of a network in the words of the MONAI bundle: tensors and their channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

Range = tuple[float, float]
MODALITY = "fluorescence microscopy"


@dataclass(frozen=True, slots=True)
class NetworkFormat:
    """A network as other programs see it; ``network_format`` in ``training/bundle.py`` gives it.

    Parameters
    ----------
    arguments : BaseModel
        Of ``build`` in the algorithm's ``network.py``.
    multiple : sequence of int
        Numbers that the sides of an image must be multiples of, z, y, x.
    inputs, outputs : sequence of str
        Channels of the image and of the answer.
    input_range, output_range : (float, float), optional
        Bounds of their values; None where there are none.
    patches : bool
        Whether a part of an image has the answer of the whole, away from its faces.
    options : mapping
        Further arguments of ``build``.
    others : mapping of str to mapping
        Further inputs of the network, see `tensor`.
    socket : str, optional
        Slug of the input of the task that the model is for, where it is not the main one.
    """

    arguments: BaseModel
    multiple: Sequence[int]
    inputs: Sequence[str]
    outputs: Sequence[str]
    input_range: Range | None = None
    output_range: Range | None = None
    patches: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    socket: str | None = None

    @property
    def data_format(self) -> dict[str, Any]:
        """``network_data_format`` of a bundle."""
        shape = [side(step) for step in self.multiple]
        image = tensor(self.inputs, shape, self.input_range, patches=self.patches)
        pred = tensor(self.outputs, shape, self.output_range, patches=self.patches)
        return {"inputs": {"image": image, **self.others}, "outputs": {"pred": pred}}

    def definition(self, module: str) -> dict[str, Any]:
        """Return the network, without weights, as MONAI's ``ConfigParser`` builds it.

        Parameters
        ----------
        module : str
            Holds ``build``.
        """
        kind = type(self.arguments)
        given = self.arguments.model_dump(mode="json")
        return {
            "_target_": f"{module}.build",
            "arguments": {"_target_": f"{kind.__module__}.{kind.__qualname__}", **given},
            **self.options,
        }


def tensor(
    channels: Sequence[str],
    shape: Sequence[str | int],
    bounds: Range | None = None,
    *,
    kind: str = "image",
    content: str = "magnitude",
    patches: bool = True,
) -> dict[str, Any]:
    """Return the format of a float32 tensor.

    Parameters
    ----------
    channels : sequence of str
        Their content, in order.
    shape : sequence of str or int
        Sides z, y, x, see `side`.
    bounds : (float, float), optional
        Lowest and highest value.
    kind, content : str
        ``type`` and ``format`` of the specification.
    patches : bool
        Whether it may be a part of an image.

    References
    ----------
    MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html.
    """
    return {
        "type": kind,
        "format": content,
        "modality": MODALITY if kind == "image" else "n/a",
        "num_channels": len(channels),
        "spatial_shape": list(shape),
        "dtype": "float32",
        "value_range": list(bounds or ()),
        "is_patch_data": patches,
        "channel_def": {str(number): text for number, text in enumerate(channels)},
    }


def side(multiple: int) -> str:
    """Return the length of a side that must be a multiple of a number.

    MONAI knows the variables n and p alone, too few for three sides: all have n, though it may
    differ from side to side.

    Examples
    --------
    >>> side(16), side(1)
    ('16*n', '*')
    """
    return "*" if multiple == 1 else f"{multiple}*n"
