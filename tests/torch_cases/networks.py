"""Small networks in the idioms of well-known ones; each function returns the module and the shape of a sample."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Case = tuple[nn.Module, tuple[int, ...]]


class Residual(nn.Module):
    """Adds what its body makes of the input to the input."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Permuted(nn.Module):
    """Runs its body with the channels last."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelNorm(nn.Module):
    """ConvNeXt's own layer normalization over the channels of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - mean) / torch.sqrt(variance + 1e-6)) + self.bias[:, None, None]


class Mean(nn.Module):
    """The mean over the map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def convnext() -> Case:
    def block(width: int) -> nn.Module:
        wide = (nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        return Residual(nn.Conv2d(width, width, 7, padding=3, groups=width), Permuted(*wide))

    stem = (nn.Conv2d(3, 8, 4, 4), ChannelNorm(8), block(8), Permuted(nn.LayerNorm(8)), nn.Conv2d(8, 16, 2, 2))
    return nn.Sequential(*stem, block(16), Mean(), nn.LayerNorm(16), nn.Linear(16, 10)), (3, 64, 64)


def unit(channels: int, filters: int, size: int = 1, stride: int = 1) -> nn.Module:
    """Return what YOLO is made of: convolution, norm, SiLU."""
    convolution = nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.SiLU())


class Stage(nn.Module):
    """YOLOv8's C2f: half of the channels goes through a chain, and all of its steps are joined."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.split, self.join = unit(width, width), unit(2 * width, width)
        self.steps = nn.ModuleList(Residual(unit(half, half // 2), unit(half // 2, half, 3)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.split(x).chunk(2, 1))
        for step in self.steps:
            parts.append(step(parts[-1]))
        return self.join(torch.cat(parts, 1))


class Pyramid(nn.Module):
    """YOLO's SPPF: the same pooling three times, and all of it joined."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce, self.join, self.pool = unit(width, width // 2), unit(2 * width, width), nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.reduce(x)
        second = self.pool(first)
        third = self.pool(second)
        return self.join(torch.cat([first, second, third, self.pool(third)], 1))


class Detector(nn.Module):
    """Two scales, one upsampled to the other, and a head on each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(unit(3, 8, 3, 2), unit(8, 16, 3, 2), Stage(16))
        self.deep = nn.Sequential(unit(16, 32, 3, 2), Stage(32), Pyramid(32))
        self.up, self.mix = nn.Upsample(scale_factor=2), unit(48, 16, 3)
        self.heads = nn.ModuleList([nn.Conv2d(16, 21, 1), nn.Conv2d(32, 21, 1)])

    def forward(self, x: Tensor) -> Tensor:
        fine = self.stem(x)
        coarse = self.deep(fine)
        fine = self.mix(torch.cat([self.up(coarse), fine], 1))
        maps = [head(value) for head, value in zip(self.heads, (fine, coarse), strict=True)]
        return torch.cat([value.flatten(2) for value in maps], 2)


def detector() -> Case:
    return Detector(), (3, 64, 64)


class Shuffled(nn.Module):
    """ShuffleNet V2's unit: half of the channels passes by, then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(
            *(nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()),
            *(nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half)),
            *(nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, used = x.chunk(2, 1)
        both = torch.cat([kept, self.body(used)], 1)
        batch, channels, rows, columns = both.shape
        return both.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).reshape(batch, channels, rows, columns)


def shuffle() -> Case:
    stem = (nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*stem, Shuffled(16), Shuffled(16), Mean(), nn.Linear(16, 10)), (3, 64, 64)


class Gate(nn.Module):
    """Squeeze and excitation, by convolutions as in MobileNetV3 or by dense layers as in the paper."""

    def __init__(self, width: int, *, dense: bool) -> None:
        super().__init__()
        self.dense = dense
        self.squeeze = nn.Linear(width, width // 4) if dense else nn.Conv2d(width, width // 4, 1)
        self.excite = nn.Linear(width // 4, width) if dense else nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.dense:
            return x * torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))[:, :, None, None]
        pooled = functional.adaptive_avg_pool2d(x, 1)
        return x * functional.hardsigmoid(self.excite(functional.relu(self.squeeze(pooled))))


def mobile() -> Case:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()),
        *(nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32), nn.Hardswish()),
        *(nn.Conv2d(32, 32, 5, 2, 2, groups=32, bias=False), nn.BatchNorm2d(32), nn.Hardswish()),
        *(Gate(32, dense=False), Gate(32, dense=True), nn.Conv2d(32, 12, 1, bias=False), nn.BatchNorm2d(12)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 32), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(32, 10)),
    ), (3, 64, 64)


class UNet(nn.Module):
    """Group and instance norms, a transposed convolution, an interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([self.double(3, 8), self.double(8, 16), self.double(16, 32)])
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.join = nn.ModuleList([self.double(32, 16), self.double(24, 8)])
        self.mask = nn.Conv2d(8, 2, 1)

    @staticmethod
    def double(channels: int, filters: int) -> nn.Module:
        first = (nn.Conv2d(channels, filters, 3, padding=1), nn.GroupNorm(4, filters), nn.ReLU())
        second = (nn.Conv2d(filters, filters, 3, padding=1), nn.InstanceNorm2d(filters), nn.LeakyReLU(0.1))
        return nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down[0](x)
        second = self.down[1](functional.max_pool2d(first, 2))
        third = self.up(self.down[2](functional.max_pool2d(second, 2)))
        second = self.join[0](torch.cat([third, second], 1))
        wide = functional.interpolate(second, scale_factor=2, mode="bilinear", align_corners=False)
        return self.mask(self.join[1](torch.cat([wide, first], 1)))


def u_net() -> Case:
    return UNet(), (3, 64, 64)


def waveform() -> Case:
    return nn.Sequential(
        *(nn.Conv1d(1, 16, 9, 4, 4), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(16, 32, 3, padding=1), nn.PReLU(32), nn.AvgPool1d(2)),
        *(nn.Conv1d(32, 32, 3, padding=2, dilation=2, groups=32), nn.Conv1d(32, 64, 1), nn.ELU()),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 10)),
    ), (1, 800)


def volumes() -> Case:
    return nn.Sequential(
        *(nn.Conv3d(3, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d((1, 2, 2))),
        *(nn.Conv3d(8, 16, 3, padding=1, groups=2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
        nn.Linear(16, 5),
    ), (3, 8, 16, 16)


class TextLines(nn.Module):
    """Convolutions, then recurrent cells along the columns."""

    def __init__(self) -> None:
        super().__init__()
        first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        second = (nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 1)))
        self.maps = nn.Sequential(*first, *second)
        self.cells = nn.LSTM(16 * 4, 12, 2, bidirectional=True, batch_first=True)
        self.letters = nn.Linear(24, 37)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        batch, channels, rows, columns = maps.shape
        steps, _ = self.cells(maps.permute(0, 3, 1, 2).reshape(batch, columns, channels * rows))
        return self.letters(steps).log_softmax(2)


def text_lines() -> Case:
    return TextLines(), (1, 16, 60)


class Attended(nn.Module):
    """CBAM: attention to channels, then to places."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 16, 3, padding=1)
        self.channels = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))
        self.places = nn.Conv2d(2, 1, 7, padding=3)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maps(x)
        gate = self.channels(x.mean((2, 3))) + self.channels(x.amax((2, 3)))
        x = x * torch.sigmoid(gate)[..., None, None]
        places = self.places(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1))
        return self.head((x * torch.sigmoid(places)).flatten(2).mean(-1))


def attention() -> Case:
    return Attended(), (3, 32, 32)


def subpixel() -> Case:
    body = (nn.Conv2d(3, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 8, 3, padding=1), nn.Tanh())
    return nn.Sequential(*body, nn.Conv2d(8, 27, 3, padding=1), nn.PixelShuffle(3)), (3, 32, 32)


NETWORKS: dict[str, Callable[[], Case]] = {
    function.__name__: function
    for function in (
        convnext, detector, shuffle, mobile, u_net, waveform, volumes, text_lines, attention, subpixel,
    )
}  # fmt: skip
