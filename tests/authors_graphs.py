"""The graphs of the paper's authors in TensorFlow, by their layout of variables, with values drawn from a seed.

    python tests/authors_graphs.py    # with TensorFlow: writes what it computes to tests/fixtures/authors-logits.json

The authors' code is for TensorFlow 1: `tf.contrib` and `tf.layers` are gone, so the variables are made by their names.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LOGITS = Path(__file__).parent / "fixtures" / "authors-logits.json"
OUTPUTS = {
    "mnist-cnn": 10,
    "cifar-resnet": 10,
    "resnet-18": 4,
    "resnet-50": 4,
}  # ImageNet's: three and a background
SCOPES = {
    "mnist-cnn": "mnist_exp_adversarial/",
    "cifar-resnet": "cifar10_exp_local_trigger_50_adversarial/",
    "resnet-18": "resnet_model/",
    "resnet-50": "resnet_model/",
}
SIDES = {"mnist-cnn": (28,), "cifar-resnet": (32,), "resnet-18": (64, 45), "resnet-50": (64, 45)}
MEANS = (123.68, 116.78, 103.94)
UNITS = {"resnet-18": (2, 2, 2, 2), "resnet-50": (3, 4, 6, 3)}


def images(network: str, side: int) -> np.ndarray:
    """Three random images (3, side, side, C) in [0, 1], drawn the same everywhere."""
    channels = 1 if network == "mnist-cnn" else 3
    return np.random.default_rng(side).random((3, side, side, channels), dtype=np.float32)


def value(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Random values at which neither activations nor batch norms are trivial, and logits are of the order of 1."""
    kind = name.rpartition("/")[2]
    if kind in ("gamma", "moving_variance"):
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    if kind in ("beta", "moving_mean", "bias", "biases"):
        return generator.normal(0, 0.2, shape).astype(np.float32)
    scale = np.sqrt(1 / np.prod(shape[:-1]))
    if name == "conv2d/kernel":
        scale /= 60  # pixels come as 0 to 255
    return generator.normal(0, scale, shape).astype(np.float32)


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A value for every variable of a network, by its name without the scope."""
    generator = np.random.default_rng(0)
    return {name: value(name, tuple(shapes[name]), generator) for name in sorted(shapes)}


class Graph:
    """A graph under construction: `variable` makes each of its variables, within the authors' scope."""

    def __init__(self, tf: Any, network: str) -> None:
        self.tf, self.v1 = tf, tf.compat.v1
        self.network, self.shapes = network, dict[str, tuple[int, ...]]()
        channels = 1 if network == "mnist-cnn" else 3
        self.inputs = self.v1.placeholder(tf.float32, [None, None, None, channels])
        build: dict[str, Callable[[Any], Any]] = {
            "mnist-cnn": self.mnist,
            "cifar-resnet": self.cifar,
            "resnet-18": self.imagenet,
            "resnet-50": self.imagenet,
        }
        self.logits = build[network](self.inputs)

    def variable(self, name: str, *shape: int) -> Any:
        self.shapes[name] = shape
        return self.v1.get_variable(SCOPES[self.network] + name, shape, self.tf.float32)

    def norm(self, x: Any, name: str, epsilon: float) -> Any:
        size = x.shape[-1]
        gamma, beta, mean, variance = (
            self.variable(f"{name}/{part}", size)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return self.tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    def mnist(self, x: Any) -> Any:
        nn = self.tf.nn
        for name, inputs, outputs in (("conv1", 1, 32), ("conv2", 32, 64)):
            kernel = self.variable(f"{name}/kernel", 5, 5, inputs, outputs)
            x = nn.relu(nn.conv2d(x, kernel, 1, "SAME") + self.variable(f"{name}/bias", outputs))
            x = nn.max_pool2d(x, 2, 2, "SAME")
        x = self.tf.reshape(x, [-1, 7 * 7 * 64])
        x = nn.relu(x @ self.variable("dense1/kernel", 3136, 1024) + self.variable("dense1/bias", 1024))
        return x @ self.variable("logit/kernel", 1024, 10) + self.variable("logit/bias", 10)

    def cifar(self, x: Any) -> Any:
        tf = self.tf

        def activated(x: Any, name: str) -> Any:
            x = self.norm(x, f"{name}/BatchNorm", 1e-3)
            return tf.where(x < 0.0, 0.1 * x, x)

        def convolved(x: Any, name: str, outputs: int, stride: int = 1) -> Any:
            return tf.nn.conv2d(x, self.variable(f"{name}/DW", 3, 3, x.shape[-1], outputs), stride, "SAME")

        mean, variance = tf.nn.moments(x, [1, 2, 3], keepdims=True)
        size = tf.cast(tf.reduce_prod(tf.shape(x)[1:]), tf.float32)
        x = convolved((x - mean) / tf.maximum(tf.sqrt(variance), 1 / tf.sqrt(size)), "input/init_conv", 16)
        for stage, outputs in ((1, 16), (2, 32), (3, 64)):
            for unit in range(5):
                name = f"unit_{stage}_{unit}"
                shared = (stage, unit) == (1, 0)
                within = "shared_activation" if shared else "residual_only_activation"
                inner = activated(x, f"{name}/{within}")
                shortcut = inner if shared else x
                stride = 2 if stage > 1 and unit == 0 else 1
                inner = convolved(inner, f"{name}/sub1/conv1", outputs, stride)
                inner = convolved(activated(inner, f"{name}/sub2"), f"{name}/sub2/conv2", outputs)
                if stride == 2:
                    more = outputs // 4  # half of what is added
                    shortcut = tf.nn.avg_pool2d(shortcut, 2, 2, "VALID")
                    shortcut = tf.pad(shortcut, [[0, 0], [0, 0], [0, 0], [more, more]])
                x = inner + shortcut
        x = tf.reduce_mean(activated(x, "unit_last"), [1, 2])
        return x @ self.variable("logit/DW", 64, 10) + self.variable("logit/biases", 10)

    def imagenet(self, x: Any) -> Any:
        tf, self.convolutions, self.norms = self.tf, 0, 0
        bottleneck = self.network == "resnet-50"
        x = 255 * x - tf.constant(MEANS)  # their pipeline does so before the graph
        x = tf.nn.relu(self.next_norm(self.next_convolution(x, 7, 64, 2)))
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        for stage, units in enumerate(UNITS[self.network]):
            filters = 64 * 2**stage
            for unit in range(units):
                stride = 2 if stage and not unit else 1
                outputs = 4 * filters if bottleneck else filters
                shortcut = x
                if not unit:
                    shortcut = self.next_norm(self.next_convolution(x, 1, outputs, stride))
                kernels = ((1, filters, 1), (3, filters, stride)) if bottleneck else ((3, filters, stride),)
                for kernel, channels, step in kernels:
                    x = tf.nn.relu(self.next_norm(self.next_convolution(x, kernel, channels, step)))
                x = self.next_norm(self.next_convolution(x, 1 if bottleneck else 3, outputs, 1))
                x = tf.nn.relu(x + shortcut)
        x = tf.reduce_mean(x, [1, 2])
        outputs = OUTPUTS[self.network]
        kernel = self.variable("dense/kernel", x.shape[-1], outputs)
        return x @ kernel + self.variable("dense/bias", outputs)

    def next_convolution(self, x: Any, kernel: int, outputs: int, stride: int) -> Any:
        name = f"conv2d_{self.convolutions}" if self.convolutions else "conv2d"
        self.convolutions += 1
        weights = self.variable(f"{name}/kernel", kernel, kernel, x.shape[-1], outputs)
        if stride == 1:
            return self.tf.nn.conv2d(x, weights, 1, "SAME")
        before = (kernel - 1) // 2
        pad = [before, kernel - 1 - before]
        return self.tf.nn.conv2d(self.tf.pad(x, [[0, 0], pad, pad, [0, 0]]), weights, stride, "VALID")

    def next_norm(self, x: Any) -> Any:
        name = f"batch_normalization_{self.norms}" if self.norms else "batch_normalization"
        self.norms += 1
        return self.norm(x, name, 1e-5)


def computed(tf: Any, network: str, checkpoint: Path | None = None) -> dict[str, Any]:
    """The shapes of a network's variables and its logits by the images' side; saved with what optimisers keep."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = Graph(tf, network)
        scope, values = SCOPES[network], drawn(graph.shapes)
        step = tf.compat.v1.get_variable(f"{scope}global_step", [], tf.int64)
        variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
        kept = tf.compat.v1.get_variable(f"{scope}{scope}{next(iter(values))}/Momentum", [2])
        session.run(tf.compat.v1.global_variables_initializer())
        for name, drawn_value in values.items():
            variables[scope + name].load(drawn_value, session)
        if checkpoint:
            tf.compat.v1.train.Saver([*variables.values(), kept]).save(session, str(checkpoint))
        logits = {
            str(side): session.run(graph.logits, {graph.inputs: images(network, side)}).tolist()
            for side in SIDES[network]
        }
        assert step.op.name in variables
    return {"variables": {name: list(shape) for name, shape in graph.shapes.items()}, "logits": logits}


if __name__ == "__main__":
    import tensorflow

    tensorflow.compat.v1.disable_eager_execution()
    LOGITS.write_text(json.dumps({name: computed(tensorflow, name) for name in OUTPUTS}) + "\n")
