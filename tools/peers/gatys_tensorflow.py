"""Gatys' method as TensorFlow's tutorial "Neural style transfer" describes it, written afresh; without its total variation.

Mean squared errors of activations (weight 10,000) and of Gram matrices averaged over positions (0.01, shared by the layers);
Adam at 0.02 with beta_1 0.99 and epsilon 0.1; clipped to [0, 1] after every step. On VGG16 instead of VGG19, with the content
at block4_conv2 instead of block5_conv2, as every peer here. Activations are so much larger there that the weight of 10,000
would leave the photograph as it is; it is scaled by the mean square of block5_conv1's over block4_conv2's.
"""

import keras
import tensorflow as tf
from recorder import Recorder, read_task

CONTENT_WEIGHT, STYLE_WEIGHT = 1e4, 1e-2
STYLE_LAYERS = [f"block{block}_conv1" for block in range(1, 6)]

content, style, weights, options = read_task()
vgg = keras.applications.VGG16(include_top=False, weights=None)
for layer in vgg.layers:
    if f"{layer.name}/kernel" in weights:
        layer.set_weights([weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]])
extractor = keras.Model(vgg.input, [vgg.get_layer(name).output for name in ["block4_conv2", *STYLE_LAYERS]])
extractor.trainable = False


def activations_of(picture: tf.Tensor) -> list[tf.Tensor]:
    return extractor(keras.applications.vgg16.preprocess_input(picture * 255.0))


def statistics(picture: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    activations = activations_of(picture)
    grams = [
        tf.einsum("bijc,bijd->bcd", a, a) / tf.cast(tf.shape(a)[1] * tf.shape(a)[2], tf.float32)
        for a in activations[1:]
    ]
    return activations[0], grams


content_target, style_targets = statistics(tf.constant(content[None]))[0], statistics(tf.constant(style[None]))[1]
first, *_, last = (float(tf.reduce_mean(a**2)) for a in activations_of(tf.constant(content[None])))
content_weight = CONTENT_WEIGHT * last / first
image = tf.Variable(content[None])
optimizer = keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)
optimizer.build([image])
untouched = [variable.numpy() for variable in optimizer.variables]


@tf.function
def train_step() -> tf.Tensor:
    with tf.GradientTape() as tape:
        seen, grams = statistics(image)
        style_errors = [tf.reduce_mean((gram - target) ** 2) for gram, target in zip(grams, style_targets, strict=True)]
        loss = content_weight * tf.reduce_mean((seen - content_target) ** 2)
        loss += STYLE_WEIGHT / len(STYLE_LAYERS) * tf.add_n(style_errors)
    optimizer.apply_gradients([(tape.gradient(loss, image), image)])
    image.assign(tf.clip_by_value(image, 0.0, 1.0))
    return loss


train_step()  # compiles; what it did is undone
image.assign(content[None])
for variable, value in zip(optimizer.variables, untouched, strict=True):
    variable.assign(value)
recorder = Recorder(options.out)
for step in range(1, options.steps + 1):
    before = image.numpy()[0] if recorder.due(step) else None
    loss = train_step()
    if before is not None:
        recorder.keep(step, float(loss), before)  # the loss is that of the picture before the step
recorder.write()
