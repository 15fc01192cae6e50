"""The network of Johnson et al. 2016 as PyTorch's example "fast neural style" describes it, written afresh; random weights.

Prints the milliseconds that a frame takes, with the way to a GPU and back if there is one: the median of 20.
"""

import sys
import time

import torch
from torch import nn


class Convolution(nn.Sequential):
    """Reflected padding, a convolution after optional enlargement, instance normalisation, and a ReLU where wanted."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, enlarge: int = 1, ending: str = "relu"):
        parts: list[nn.Module] = [nn.Upsample(scale_factor=enlarge)] if enlarge > 1 else []
        parts += [nn.ReflectionPad2d(size // 2), nn.Conv2d(inputs, outputs, size, stride)]
        parts += [nn.InstanceNorm2d(outputs, affine=True)] if ending else []
        parts += [nn.ReLU()] if ending == "relu" else []
        super().__init__(*parts)


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(Convolution(channels, channels, 3), Convolution(channels, channels, 3, ending="norm"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


network = nn.Sequential(
    Convolution(3, 32, 9), Convolution(32, 64, 3, 2), Convolution(64, 128, 3, 2), *(Residual(128) for _ in range(5)),
    Convolution(128, 64, 3, enlarge=2), Convolution(64, 32, 3, enlarge=2), Convolution(32, 3, 9, ending=""),
).eval()  # fmt: skip
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
network.to(device)
width, height = int(sys.argv[1]), int(sys.argv[2])
frame = 255 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
times = []
with torch.inference_mode():
    for _ in range(23):
        start = time.perf_counter()
        assert network(frame.to(device)).cpu().shape == frame.shape
        times.append(time.perf_counter() - start)
print(1000 * sorted(times[3:])[10])
