"""Gatys' method as a plain PyTorch loop, with the settings that Gatys et al. published for theirs, written afresh.

Mean squared errors of the activations at block4_conv2 (weight 1) and of Gram matrices averaged over positions (1000 over the
square of the number of channels); PyTorch's own L-BFGS on the pixels, from the photograph, without bounds. On VGG16 instead
of VGG19, as every peer here.
"""

import numpy as np
import torch
from recorder import Recorder, read_task
from torch.nn.functional import conv2d, max_pool2d, relu

CONTENT_LAYER, STYLE_LAYERS = "block4_conv2", [f"block{block}_conv1" for block in range(1, 6)]
MEAN_BGR = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)

content, style, weights, options = read_task()
layers = sorted({name.partition("/")[0] for name in weights if name <= "block5_conv1/kernel"})
kernels = {layer: torch.tensor(weights[f"{layer}/kernel"].transpose(3, 2, 0, 1)).contiguous() for layer in layers}
biases = {layer: torch.tensor(weights[f"{layer}/bias"]) for layer in layers}


def statistics(x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    grams, seen = [], x
    for layer in layers:
        if layer.endswith("_conv1") and layer != "block1_conv1":
            x = max_pool2d(x, 2)
        x = relu(conv2d(x, kernels[layer], biases[layer], padding=1))
        if layer in STYLE_LAYERS:
            flat = x[0].flatten(1)
            grams.append(flat @ flat.T / flat.shape[1])
        if layer == CONTENT_LAYER:
            seen = x
    return seen, grams


def to_network(picture: np.ndarray) -> torch.Tensor:
    return torch.tensor(picture[None]).permute(0, 3, 1, 2).flip(1).contiguous() * 255 - MEAN_BGR


def to_picture(x: torch.Tensor) -> np.ndarray:
    return ((x.detach() + MEAN_BGR) / 255).flip(1)[0].permute(1, 2, 0).numpy()


with torch.no_grad():
    content_target, style_targets = statistics(to_network(content))[0], statistics(to_network(style))[1]
x = to_network(content).requires_grad_()
optimizer = torch.optim.LBFGS([x])  # 20 evaluations in a `step`
statistics(x)[0].sum().backward()  # the first pass takes memory, as the other peers' compilation does
recorder, evaluations = Recorder(options.out), 0


def closure() -> torch.Tensor:
    global evaluations
    optimizer.zero_grad()
    seen, grams = statistics(x)
    loss = torch.mean((seen - content_target) ** 2)
    for gram, target in zip(grams, style_targets, strict=True):
        loss = loss + 1e3 / len(gram) ** 2 * torch.mean((gram - target) ** 2)
    loss.backward()
    evaluations += 1
    if recorder.due(evaluations):
        recorder.keep(evaluations, loss.item(), to_picture(x))
    return loss


while evaluations < options.steps:
    optimizer.step(closure)
recorder.write()
