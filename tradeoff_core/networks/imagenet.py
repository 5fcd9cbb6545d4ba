"""Networks for photographs of 224 x 224: EfficientNet-Lite0, and any classifier of torchvision by its name."""

from difflib import get_close_matches
from typing import NamedTuple

from torch import Tensor, nn

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import import_torchvision
from tradeoff_core.networks.base import ImageShape, Network, Normalise, scaled
from tradeoff_core.networks.digits import Denoise
from tradeoff_core.networks.registry import PREFIX
from tradeoff_core.networks.residual import IMAGENET_MEAN, IMAGENET_STD

PHOTOGRAPH: ImageShape = (3, 224, 224)
BODY = "stages.penultimate.1."  # what our names of the tensors of torchvision's body begin with
STEM, HEAD = 32, 1280  # EfficientNet-Lite does not scale these


class Stage(NamedTuple):
    """Units of one kind in a row; the first one has the stride."""

    units: int
    kernel: int
    stride: int
    expansion: int
    channels: int


LITE0 = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)

DENOISED = ("stage2-unit2", "stage3-unit2", "stage5-unit3", "stage7-unit1")


class InvertedResidual(nn.Module):
    """Expand by a 1x1 convolution, filter every channel by itself, project; plus the input where it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.residual = nn.Sequential(
            *(_conv_norm(inputs, inner, 1) if expansion > 1 else ()),
            *_conv_norm(inner, inner, kernel, stride, groups=inner),
            *_conv_norm(inner, outputs, 1)[:-1],  # a projection is linear
        )
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        residual: Tensor = self.residual(x)
        return x + residual if self.adds_input else residual


class EfficientNetLite0(Network):
    """EfficientNet-Lite0 (Google 2020): EfficientNet-B0 without squeeze-and-excite, with ReLU6.

    TensorFlow's model, with its padding, its ε of batch norm and its scaling of pixels, (255 x - 127) / 128, so that
    its weights fit. They want images whose shorter side was resized (bicubic) to 256 and whose middle 224 x 224 was
    cut out. Without the dropout and the random depth of its training. `width` scales the seven stages.
    """

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        channels = scaled(width, *(stage.channels for stage in LITE0))
        normalise = Normalise((127 / 255,) * 3, (128 / 255,) * 3)
        chain: dict[str, nn.Module] = {"stem": nn.Sequential(normalise, *_conv_norm(3, STEM, 3, 2))}
        inputs = STEM
        for number, (stage, outputs) in enumerate(zip(LITE0, channels, strict=True), start=1):
            for unit in range(1, stage.units + 1):
                stride = stage.stride if unit == 1 else 1
                chain[f"stage{number}-unit{unit}"] = InvertedResidual(
                    inputs, outputs, stage.kernel, stride, stage.expansion
                )
                inputs = outputs
        chain["penultimate"] = nn.Sequential(
            *_conv_norm(inputs, HEAD, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        super().__init__(chain, nn.Linear(HEAD, classes), PHOTOGRAPH)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


class DenoisingEfficientNetLite0(Network):
    """EfficientNet-Lite0 with a denoising block after the last unit at each stride from 4 to 32, as Xie et al. place them.

    The blocks start as the identity, so that with the weights of EfficientNet-Lite0 it starts as that network.
    """

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        plain = EfficientNetLite0(width, classes)
        super().__init__({}, plain.head, PHOTOGRAPH)
        for name, stage in plain.stages.items():
            self.stages[name] = stage
            if name in DENOISED:
                projection = [part for part in stage.modules() if isinstance(part, nn.Conv2d)][-1]
                self.stages[f"denoise-{name}"] = Denoise(projection.out_channels)


class TorchvisionNetwork(Network):
    """A classifier of torchvision by its name there, with random weights; `features` is what its last layer takes.

    Nothing in it works in place, but some of its blocks (ResNet's) use one activation twice. Dropout and random
    depth, where it has them, draw from torch's global generator. Raises TradeoffError for an unknown name, for one
    without a linear head, and for a width other than 1.
    """

    def __init__(self, name: str, width: float = 1.0, classes: int = 1000) -> None:
        check_torchvision_name(name)
        if width != 1:
            raise TradeoffError(f"width {width:g} is out of range: a network of torchvision has width 1 only")
        from torchvision.models import get_model

        # the auxiliary heads of these two would make a tuple of what they return while they train
        options = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
        body = get_model(name, weights=None, num_classes=classes, **options)
        linear = [(path, part) for path, part in body.named_modules() if isinstance(part, nn.Linear)]
        if not linear:
            raise TradeoffError(
                f"torchvision's {name} has no linear layer at its end: choose another network"
            )
        head_name, head = linear[-1]
        body.set_submodule(head_name, nn.Identity())
        for part in body.modules():
            if hasattr(part, "inplace"):
                part.inplace = False
            part.folds = _convolutions_and_norms(part)
        normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        super().__init__({"penultimate": nn.Sequential(normalise, body)}, head, PHOTOGRAPH)
        self.head_name: str = head_name  # torchvision's

    def name_in_torchvision(self, name: str) -> str:
        """What torchvision's state dict calls the tensor that ours calls `name`."""
        if name.startswith(BODY):
            return name.removeprefix(BODY)
        return f"{self.head_name}.{name.removeprefix('head.')}"


def torchvision_names() -> list[str]:
    """The names of torchvision's classifiers."""
    import_torchvision()
    from torchvision import models

    names: list[str] = models.list_models(module=models)
    return names


def check_torchvision_name(name: str) -> None:
    """Raise TradeoffError if torchvision has no classifier of this name."""
    known = torchvision_names()
    if name not in known:
        near = get_close_matches(name, known) or ["resnet50", "vit_b_16"]
        raise TradeoffError(
            f"unknown network '{PREFIX}{name}': torchvision has no such classifier, but has {', '.join(near)}"
        )


def _convolutions_and_norms(module: nn.Module) -> tuple[tuple[str, str], ...]:
    """For folding: in torchvision's blocks conv1 is followed by bn1 and so on, wherever they have these names."""
    names = module._modules
    pairs = ((name, name.replace("conv", "bn")) for name in names if name.startswith("conv"))
    return tuple((convolution, norm) for convolution, norm in pairs if norm in names)


def _conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    """A convolution, its batch norm and a ReLU6; of an even side, a stride of 2 leaves exactly half.

    TensorFlow pads such a side more at its end than at its beginning.
    """
    padding = (kernel - 1) // 2
    pad: tuple[nn.Module, ...] = ()
    if stride > 1:
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        padding, pad = 0, (nn.ZeroPad2d((before, after, before, after)),)
    return (
        *pad,
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
        nn.ReLU6(),
    )
