"""The published generator of 3D CycleGAN in plain torch layers, a peer of ours."""

from torch import nn

BLOCKS = 9


class Block(nn.Module):
    """Two padded convolutions whose result is added to their input."""

    def __init__(self, width, pad, convolution, norm):
        super().__init__()
        self.conv_block = nn.Sequential(
            pad(1),
            convolution(width, width, 3),
            norm(width),
            nn.ReLU(),
            pad(1),
            convolution(width, width, 3),
            norm(width),
        )

    def forward(self, values):
        """Return (N, C, [Z,] Y, X) values and their change."""
        return values + self.conv_block(values)


class Generator(nn.Module):
    """The published generator, of planes or volumes, with random weights."""

    def __init__(self, width, dimensions=3):
        super().__init__()
        names = ("Conv", "InstanceNorm", "ConvTranspose")
        conv, norm, wide = (getattr(nn, f"{name}{dimensions}d") for name in names)
        pad = nn.ReplicationPad3d if dimensions == 3 else nn.ReflectionPad2d
        layers = [pad(3), conv(1, width, 7), norm(width), nn.ReLU()]
        for inputs in (width, 2 * width):
            down = conv(inputs, 2 * inputs, 3, stride=2, padding=1)
            layers += [down, norm(2 * inputs), nn.ReLU()]
        layers += [Block(4 * width, pad, conv, norm) for _ in range(BLOCKS)]
        for inputs in (4 * width, 2 * width):
            up = wide(inputs, inputs // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, norm(inputs // 2), nn.ReLU()]
        self.model = nn.Sequential(*layers, pad(3), conv(width, 1, 7), nn.Tanh())

    def forward(self, image):
        """Return (N, 1, [Z,] Y, X) answers in [-1, 1]."""
        return self.model(image)
