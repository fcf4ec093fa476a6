"""The vocabulary of a recipe: what a paper says about one training of one network.

Frozen data, standard library only. Nothing here knows GPUs, nodes, folders or libraries' objects.
Units: sizes in pixels, percentages as percent, pixel values on the 0..255 scale, epochs may be
fractional, `batch_size` is always the global batch. `None` means "the paper does not do this".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Interpolation = Literal["bilinear", "bicubic", "nearest"]
Views = Literal["single_crop", "ten_crop"]


@dataclass(frozen=True)
class Source:
    """One entry of the bibliography; `key` is what a citation comment begins with (`tan2021 §5.1`)."""

    key: str
    title: str
    where: str  # venue, arXiv number or repository:path


# ---------------------------------------------------------------- the network


@dataclass(frozen=True)
class BatchNorm:
    """Batch-norm constants in the papers' convention: `momentum` is the share of the old statistic kept.

    PyTorch calls 1 - momentum `momentum`; `pipeline.models` converts, once.
    images: over how many consecutive images of the global batch statistics are taken; None leaves it
    to the micro-batch, for papers that do not say.
    """

    momentum: float
    eps: float
    images: int | None = None


@dataclass(frozen=True)
class Normal:
    """Weights drawn from N(0, std)."""

    std: float


@dataclass(frozen=True)
class He:
    """He initialization, N(0, 2/fan); `fan` is "fan_in" or "fan_out"."""

    fan: Literal["fan_in", "fan_out"] = "fan_in"


@dataclass(frozen=True)
class Initialization:
    """How weights begin. `ones_bias` names the layers (module names) whose biases begin at 1, the rest 0."""

    weights: Normal | He
    ones_bias: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """A network: `constructor` is "timm:NAME", "torchvision:NAME" or "top1:NAME" (pipeline/networks).

    arguments: what the constructor is given besides the number of classes.
    parameters: exact count of trainable parameters with `num_classes` outputs.
    gmacs: 1e9 multiply-adds of convolutions and linear layers for one image of `gmacs_size` pixels.
    initialization: None leaves the constructor's own, which then is the paper's.
    narrow: arguments that make the same network with fewer channels or blocks; only `--tiny` uses them.
    """

    constructor: str
    parameters: int
    gmacs: float
    gmacs_size: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int = 1000
    batch_norm: BatchNorm | None = None
    initialization: Initialization | None = None
    narrow: Mapping[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------- what happens to an image


@dataclass(frozen=True)
class RandomResizedCrop:
    """A window of random area and aspect ratio, resized to a square (GoogLeNet's augmentation).

    area: least and greatest share of the image. ratio: least and greatest width/height.
    rule: whose sampler. "torchvision": log-uniform ratio, `attempts` tries, then the largest central
    window within `ratio`. "linear": the same with the ratio itself uniform, sides swapped in half of the
    tries, then the central square (DLA). "tensorflow": sample_distorted_bounding_box, whose window holds at
    least `covered` of the image, then what `fallback` says.
    fallback ("tensorflow" alone), where no attempt fits: "central_square", size/(size + 32) of the short
    side, also where the window is the whole image (EfficientNet's code); "whole", the image
    (EfficientNetV2's code, Inception's).
    """

    size: int
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    attempts: int = 10
    rule: Literal["torchvision", "tensorflow", "linear"] = "torchvision"
    covered: float = 0.1
    fallback: Literal["central_square", "whole"] = "central_square"


@dataclass(frozen=True)
class RandomCrop:
    """Short side to `resize`, then a random window of `size` x `size`.

    resize: least and greatest short side; one is drawn per image, integers, both ends included
    (VGG's scale jitter). central_square: crop from the central resize x resize square only (AlexNet).
    """

    size: int
    resize: tuple[int, int]
    central_square: bool = False
    interpolation: Interpolation = "bilinear"
    antialias: bool = True


@dataclass(frozen=True)
class CenterCrop:
    """Resize, then the central `size` x `size`; a size beyond the image is filled with black.

    squash: resize to resize x resize and let the aspect ratio go, else the short side to `resize`.
    """

    size: int
    resize: int
    squash: bool = False
    interpolation: Interpolation = "bilinear"
    antialias: bool = True


Geometry = RandomResizedCrop | RandomCrop | CenterCrop


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror left-right with this probability."""

    probability: float = 0.5


@dataclass(frozen=True)
class Lighting:
    """AlexNet's colour shift: principal components of RGB times N(0, std), one draw per image.

    Components and variances are on [0, 1] pixels, from facebookarchive/fb.resnet.torch:datasets/imagenet.lua.
    """

    std: float
    eigenvalues: tuple[float, float, float] = (0.2175, 0.0188, 0.0045)
    eigenvectors: tuple[tuple[float, float, float], ...] = (
        (-0.5675, 0.7192, 0.4009),
        (-0.5808, -0.0045, -0.8140),
        (-0.5836, -0.6948, 0.4203),
    )


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast, saturation factors in [1-x, 1+x] and a hue turn in [-hue, hue] of the circle."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


@dataclass(frozen=True)
class RandAugment:
    """`layers` random operations at one `magnitude`, on the scale of whoever defined it.

    "google": level/10 scale, 16 operations, each applied (google/automl:efficientnetv2/autoaugment.py).
    "timm": level/10 scale, applied with probability 0.5. "torchvision": 31 bins.
    translate, cutout: Google's shift and half the side of its box, in pixels at magnitude 10 whatever the
    image size; the other definitions have shares of the size instead, and no box.
    """

    magnitude: float
    layers: int = 2
    definition: Literal["google", "timm", "torchvision"] = "google"
    translate: float = 100.0
    cutout: float = 40.0


@dataclass(frozen=True)
class AutoAugment:
    """A learned policy: "google_v0" (EfficientNet's) or "original" (the paper's, torchvision's)."""

    policy: Literal["google_v0", "original"]


@dataclass(frozen=True)
class TrivialAugment:
    """One random operation at a random strength, torchvision's wide space."""


@dataclass(frozen=True)
class RandomErasing:
    """With `probability`, a box of `area` x image and `ratio` is replaced by zeros or per-pixel noise."""

    probability: float
    area: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: Literal["zero", "noise"] = "zero"


@dataclass(frozen=True)
class PixelJitter:
    """Add one number, uniform in [-shift, shift] of 0..255, to all channels of an image (SENet's README).

    The README gives the range only; one number for the whole image is our reading of it.
    """

    shift: float


@dataclass(frozen=True)
class Rotation:
    """Turn by a uniform angle in [-degrees, degrees], corners black."""

    degrees: float


Augment = (
    Geometry
    | HorizontalFlip
    | Lighting
    | ColorJitter
    | RandAugment
    | AutoAugment
    | TrivialAugment
    | RandomErasing
    | PixelJitter
    | Rotation
)


@dataclass(frozen=True)
class Normalize:
    """(pixel - mean) / std per channel, pixels on 0..255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Mixup:
    """Convex mix of two images and their labels, share ~ Beta(alpha, alpha)."""

    alpha: float


@dataclass(frozen=True)
class CutMix:
    """A random box of another image pasted in, labels mixed by area, share ~ Beta(alpha, alpha)."""

    alpha: float


@dataclass(frozen=True)
class MixupCutMixHalves:
    """EfficientNetV2's code: Mixup on the first half of a block of images, CutMix on the second."""

    mixup_alpha: float
    cutmix_alpha: float


@dataclass(frozen=True)
class Data:
    """What is learned from: the set, the global batch, and what is done to each image, in order.

    augment: exactly one geometry first, the rest after it in the order applied.
    """

    batch_size: int
    augment: tuple[Augment, ...]
    normalize: Normalize
    dataset: Literal["imagenet", "mnist"] = "imagenet"
    color: Literal["rgb", "gray"] = "rgb"
    mixing: Mixup | CutMix | MixupCutMixHalves | None = None

    @property
    def geometry(self) -> Geometry:
        first = self.augment[0]
        assert isinstance(first, Geometry)  # checked by recipes.checks
        return first


# ---------------------------------------------------------------- how it is optimized


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    form: where the rate stands. "torch": w -= lr * v, v = momentum * v + g.
    "caffe": w -= v, v = momentum * v + lr * g, as in AlexNet's paper; they differ when lr changes.
    """

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    form: Literal["torch", "caffe"] = "torch"


@dataclass(frozen=True)
class RMSProp:
    """TensorFlow 1's RMSProp: eps inside the root, mean square begins at 1, lr inside the momentum buffer."""

    lr: float
    decay: float
    momentum: float
    eps: float


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


Optimizer = SGD | RMSProp | AdamW


@dataclass(frozen=True)
class Warmup:
    """Linear from `start_lr` at epoch 0 to the optimizer's `lr` at `epochs`."""

    epochs: float
    start_lr: float = 0.0


@dataclass(frozen=True)
class Steps:
    """The rate times `gamma` at each milestone (epochs)."""

    epochs: float
    milestones: tuple[float, ...]
    gamma: float = 0.1
    warmup: Warmup | None = None


@dataclass(frozen=True)
class Piecewise:
    """The rate of each period: ((epochs, lr), ...) one after the other."""

    periods: tuple[tuple[float, float], ...]
    warmup: Warmup | None = None

    @property
    def epochs(self) -> float:
        return sum(length for length, _ in self.periods)


@dataclass(frozen=True)
class Exponential:
    """The rate times `decay` every `every` epochs, as a staircase counted from epoch 0, warm-up included."""

    epochs: float
    decay: float
    every: float
    warmup: Warmup | None = None


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the rate to `end_lr`, beginning where the warm-up ends."""

    epochs: float
    end_lr: float = 0.0
    warmup: Warmup | None = None


Schedule = Steps | Piecewise | Exponential | Cosine


@dataclass(frozen=True)
class EMA:
    """Average of weights and batch-norm statistics, decay min(decay, (1+t)/(10+t)) at step t (TensorFlow)."""

    decay: float


@dataclass(frozen=True)
class Regularization:
    """What holds the network back. Weight decay is coupled (L2 in the loss) except under AdamW.

    decay_norm, decay_bias: whether normalization weights and biases decay.
    drop_path: greatest probability of stochastic depth, linear over the blocks.
    clip_norm: greatest global norm of the gradient.
    """

    weight_decay: float = 0.0
    decay_norm: bool = True
    decay_bias: bool = True
    label_smoothing: float = 0.0
    dropout: float | None = None
    drop_path: float | None = None
    clip_norm: float | None = None


@dataclass(frozen=True)
class Ramp:
    """A value that climbs over M stages; stage i of 0..M-1 gets a point of the line from start to end.

    includes_start: True gives start + (end - start) * i / (M - 1) (EfficientNetV2's Algorithm 1),
    False gives start + (end - start) * (i + 1) / M, cut to an integer (its code's image sizes).
    """

    start: float
    end: float
    includes_start: bool = True


@dataclass(frozen=True)
class Progressive:
    """Progressive learning: `stages` parts of equal length, image size and regularization climbing together.

    What is None keeps the recipe's own value in every stage.
    """

    stages: int
    image_size: Ramp
    randaugment: Ramp | None = None
    mixup: Ramp | None = None
    cutmix: Ramp | None = None
    dropout: Ramp | None = None


# ---------------------------------------------------------------- what is claimed


@dataclass(frozen=True)
class Evaluation:
    """How a number is measured.

    resize: short sides in pixels (one per scale). squash: to resize x resize instead.
    crop: side of what the network sees. central_square: ten crops come from the central square.
    window: the part of the source that is resized, straight to resize x resize; None is all of it.
    "efficientnet", "efficientnet_v2": the central square, crop/(crop + margin) of the short side; where its
    place is half a pixel, their codes round up and down. "inception": the central 87.5% of both sides.
    ema: measure the averaged weights where the recipe keeps them.
    """

    crop: int
    resize: tuple[int, ...]
    views: Views = "single_crop"
    squash: bool = False
    central_square: bool = False
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    ema: bool = True
    window: Literal["efficientnet", "efficientnet_v2", "inception"] | None = None
    margin: int = 32

    @property
    def protocol(self) -> str:
        """One line that tells protocols apart, e.g. `single_crop 224/256 bilinear`."""
        parts = [self.views, f"{self.crop}/{','.join(map(str, self.resize))}", self.interpolation]
        parts += ["squash"] if self.squash else []
        parts += ["central_square"] if self.central_square else []
        margin = "" if self.window == "inception" else f"+{self.margin}"
        parts += [f"{self.window}_window{margin}"] if self.window else []
        parts += [] if self.antialias else ["no_antialias"]
        parts += [] if self.ema else ["raw_weights"]
        return " ".join(parts)


@dataclass(frozen=True)
class Target:
    """One published number, in percent, under its own protocol.

    std: published standard deviation over runs. images: how many images the number is over.
    ensemble: how many independently trained networks are averaged (1 is a single network).
    """

    source: Source
    where: str
    evaluation: Evaluation
    top1: float | None = None
    top5: float | None = None
    std: float | None = None
    images: int = 50_000
    extra_data: str = "none"
    ensemble: int = 1
    note: str = ""

    @property
    def metric(self) -> Literal["top1", "top5"]:
        return "top1" if self.top1 is not None else "top5"

    @property
    def value(self) -> float:
        value = self.top1 if self.top1 is not None else self.top5
        assert value is not None  # checked by recipes.checks
        return value


@dataclass(frozen=True)
class Recipe:
    """One published training of one network.

    departures: what we knowingly do differently, one plain sentence each.
    validation: the protocol that is run after each epoch; only a view of progress, never judged.
    """

    name: str
    family: str
    year: int
    sources: tuple[Source, ...]
    model: Model
    data: Data
    optimizer: Optimizer
    schedule: Schedule
    regularization: Regularization
    validation: Evaluation
    targets: tuple[Target, ...]
    ema: EMA | None = None
    progressive: Progressive | None = None
    departures: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()  # what --set or --tiny changed; empty for a recipe of this book
