"""A pool of earlier translations, which judges see again so that they do not forget."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Earlier translations, as buffers: a checkpoint holds them.

    Parameters
    ----------
    size : int
        How many are kept; 0: none, and each translation is seen once.
    shape : sequence of int
        Of a translation, C Z Y X.
    dtype : torch.dtype
        Of the copies.

    References
    ----------
    Shrivastava et al., CVPR (2017), doi:10.1109/CVPR.2017.241.
    """

    kept: Tensor
    count: Tensor

    def __init__(self, size: int, shape: Sequence[int], dtype: torch.dtype = torch.float16) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros((size, *shape), dtype=dtype))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, images: Tensor) -> Tensor:
        """Return images for the judge: while the pool fills the given ones, then half are old.

        Parameters
        ----------
        images : (N, C, Z, Y, X) tensor
            New translations; each takes the place of the one that it is exchanged for.

        Returns
        -------
        (N, C, Z, Y, X) tensor
            Without gradient.
        """
        found = []
        for image in images.detach():
            count = int(self.count)
            if count < len(self.kept):
                self.kept[count] = image
                self.count += 1
                found.append(image)
            elif count and float(torch.rand(())) < 0.5:
                place = int(torch.randint(count, ()))
                found.append(self.kept[place].to(image.dtype))
                self.kept[place] = image
            else:
                found.append(image)
        return torch.stack(found)
