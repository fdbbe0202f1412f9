"""The published 3D CycleGAN in plain torch layers: what `cyclegan3d.py` compares ours with.

Source: Bruch et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828: architecture, losses,
pools and optimisers, float32 throughout.
"""

import random
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

WIDTH, BLOCKS, CYCLE, IDENTITY, POOL = 64, 9, 10.0, 0.5, 50
WEIGHTS = (34_111_489, 11_047_873)  # of generator and judge at this width


class Block(nn.Module):
    """Two padded convolutions whose result is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        pad, norm = nn.ReplicationPad3d(1), nn.InstanceNorm3d(width)
        self.body = nn.Sequential(
            *(pad, nn.Conv3d(width, width, 3), norm, nn.ReLU(inplace=True)),
            *(pad, nn.Conv3d(width, width, 3), norm),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return (N, C, Z, Y, X) values and their change."""
        return values + self.body(values)


def generator(width: int = WIDTH) -> nn.Sequential:
    """Return a generator with random weights."""
    layers: list[nn.Module] = [nn.ReplicationPad3d(3), nn.Conv3d(1, width, 7)]
    layers += [nn.InstanceNorm3d(width), nn.ReLU(inplace=True)]
    for inputs in (width, 2 * width):
        layers.append(nn.Conv3d(inputs, 2 * inputs, 3, stride=2, padding=1))
        layers += [nn.InstanceNorm3d(2 * inputs), nn.ReLU(inplace=True)]
    layers += [Block(4 * width) for _ in range(BLOCKS)]
    for inputs in (4 * width, 2 * width):
        up = nn.ConvTranspose3d(inputs, inputs // 2, 3, stride=2, padding=1, output_padding=1)
        layers += [up, nn.InstanceNorm3d(inputs // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ReplicationPad3d(3), nn.Conv3d(width, 1, 7), nn.Tanh())


def judge(width: int = WIDTH) -> nn.Sequential:
    """Return a PatchGAN with random weights."""
    layers: list[nn.Module] = [nn.Conv3d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for inputs, stride in ((width, (1, 2, 2)), (2 * width, (1, 2, 2)), (4 * width, (1, 1, 1))):
        layers.append(nn.Conv3d(inputs, 2 * inputs, 4, stride=stride, padding=1))
        layers += [nn.InstanceNorm3d(2 * inputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv3d(8 * width, 1, 4, padding=1))


class CycleGan:
    """Both generators, both judges, pools and optimisers of the published training."""

    def __init__(self, width: int = WIDTH) -> None:
        self.to_a, self.to_b = generator(width), generator(width)
        self.judge_a, self.judge_b = judge(width), judge(width)
        self.parts = (self.to_a, self.to_b, self.judge_a, self.judge_b)
        self.pools: tuple[list[Tensor], list[Tensor]] = ([], [])
        generators = [*self.to_a.parameters(), *self.to_b.parameters()]
        judges = [*self.judge_a.parameters(), *self.judge_b.parameters()]
        self.generators, self.judges = (
            torch.optim.Adam(weights, lr=2e-4, betas=(0.5, 0.999))
            for weights in (generators, judges)
        )

    def step(self, a: Tensor, b: Tensor) -> None:
        """Take one step with a real and a simulated crop (1, 1, Z, Y, X)."""
        for weight in self._judged():
            weight.requires_grad_(requires_grad=False)
        fake_a, fake_b = self.to_a(b), self.to_b(a)
        lost = CYCLE * (l1_loss(self.to_a(fake_b), a) + l1_loss(self.to_b(fake_a), b))
        lost = lost + _to(self.judge_a(fake_a), 1.0) + _to(self.judge_b(fake_b), 1.0)
        lost = lost + CYCLE * IDENTITY * (l1_loss(self.to_a(a), a) + l1_loss(self.to_b(b), b))
        self.generators.zero_grad()
        lost.backward()
        self.generators.step()
        for weight in self._judged():
            weight.requires_grad_(requires_grad=True)
        old_a, old_b = (_exchange(p, f) for p, f in zip(self.pools, (fake_a, fake_b), strict=True))
        lost = 0.5 * (_to(self.judge_a(a), 1.0) + _to(self.judge_a(old_a), 0.0))
        lost = lost + 0.5 * (_to(self.judge_b(b), 1.0) + _to(self.judge_b(old_b), 0.0))
        self.judges.zero_grad()
        lost.backward()
        self.judges.step()

    def _judged(self) -> Iterator[nn.Parameter]:
        """Return the weights of both judges."""
        yield from self.judge_a.parameters()
        yield from self.judge_b.parameters()


def _to(answers: Tensor, value: float) -> Tensor:
    """Return the mean squared distance of answers from a value."""
    return mse_loss(answers, torch.full_like(answers, value))


def _exchange(pool: list[Tensor], made: Tensor) -> Tensor:
    """Return a new crop, or from a full pool in half of the cases an old one."""
    made = made.detach()
    if len(pool) < POOL:
        pool.append(made)
        return made
    if random.random() < 0.5:
        return made
    place = random.randrange(POOL)
    pool[place], made = made, pool[place]
    return made
