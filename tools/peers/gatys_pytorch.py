"""Gatys' method as a plain PyTorch loop, with the settings that Gatys et al. published for theirs, written afresh.

Mean squared errors of the activations at block4_conv2 (weight 1) and of Gram matrices averaged over positions (1000 over the
square of the number of channels); PyTorch's own L-BFGS on the pixels, from the photograph, without bounds. On VGG16 instead
of VGG19, as every peer here. On a GPU, if there is one.

With the setting `tutorial`, the weights, the optimiser and the bounds are those of gatys_tensorflow.py, for machines that
have no TensorFlow.
"""

import numpy as np
import torch
from recorder import Recorder, read_task
from torch.nn.functional import conv2d, max_pool2d, relu

CONTENT_LAYER, STYLE_LAYERS = "block4_conv2", [f"block{block}_conv1" for block in range(1, 6)]

torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
content, style, weights, options = read_task()
mean_bgr = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
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
    return torch.tensor(picture[None]).permute(0, 3, 1, 2).flip(1).contiguous() * 255 - mean_bgr


def to_picture(x: torch.Tensor) -> np.ndarray:
    return ((x.detach() + mean_bgr) / 255).flip(1)[0].permute(1, 2, 0).cpu().numpy()


def loss_at(x: torch.Tensor) -> torch.Tensor:
    seen, grams = statistics(x)
    loss = content_weight * torch.mean((seen - content_target) ** 2)
    for gram, target, weight in zip(grams, style_targets, style_weights, strict=True):
        loss = loss + weight * torch.mean((gram - target) ** 2)
    return loss


with torch.no_grad():
    content_target, style_targets = statistics(to_network(content))[0], statistics(to_network(style))[1]
    deepest = statistics(to_network(content))[1][-1].diagonal().mean()  # the mean square of block5_conv1's activations
x = to_network(content).requires_grad_()
if options.settings.get("tutorial"):
    content_weight, style_weights = 1e4 * deepest / torch.mean(content_target**2), [1e-2 / len(STYLE_LAYERS)] * 5
    # The tutorial's picture is of a range of 1, and this of one of 255: the rate is scaled, and so is epsilon.
    optimizer: torch.optim.Optimizer = torch.optim.Adam([x], lr=255 * 0.02, betas=(0.99, 0.999), eps=1e-1 / 255)
else:
    content_weight, style_weights = torch.tensor(1.0), [1e3 / len(gram) ** 2 for gram in style_targets]
    optimizer = torch.optim.LBFGS([x])  # 20 evaluations in a `step`
loss_at(x).backward()  # the first pass takes memory, as the other peers' compilation does
recorder, evaluations = Recorder(options.out), 0


def closure() -> torch.Tensor:
    global evaluations
    optimizer.zero_grad()
    loss = loss_at(x)
    loss.backward()
    evaluations += 1
    if recorder.due(evaluations):
        recorder.keep(evaluations, loss.item(), to_picture(x))
    return loss


darkest, brightest = to_network(0 * content), to_network(0 * content + 1)
while evaluations < options.steps:
    optimizer.step(closure)
    if options.settings.get("tutorial"):
        with torch.no_grad():
            x.clamp_(darkest, brightest)
recorder.write()
