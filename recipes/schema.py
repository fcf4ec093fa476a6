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
Views = Literal["single_crop", "ten_crop", "dense", "crops_144", "crops_150"]


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
    frozen_epochs: for so many epochs at the end, running statistics normalize and nothing of the layer moves.
    reestimated_over: after training, with weights fixed, statistics become the plain average over so many
    training images, in micro-batches; None keeps the moving averages.
    """

    momentum: float
    eps: float
    images: int | None = None
    frozen_epochs: float = 0.0
    reestimated_over: int | None = None


@dataclass(frozen=True)
class AuxiliaryHeads:
    """Classifiers on the way, for training only: the network then returns (main, first head, ...).

    weights: of each head's loss beside the main one's 1. parameters: what all heads have together.
    """

    weights: tuple[float, ...]
    parameters: int


@dataclass(frozen=True)
class Normal:
    """Weights drawn from N(0, std)."""

    std: float


@dataclass(frozen=True)
class TruncatedNormal:
    """N(0, std) drawn anew beyond two deviations (TensorFlow's truncated_normal_initializer)."""

    std: float


@dataclass(frozen=True)
class Uniform:
    """Uniform in [-bound, bound]."""

    bound: float


@dataclass(frozen=True)
class He:
    """He initialization, N(0, 2/fan), deviation sqrt(2/fan).

    fan: "fan_in" counts a filter's inputs, "fan_out" kernel x outputs. per_group: outputs of one group only
    (Google's depthwise filters).
    """

    fan: Literal["fan_in", "fan_out"] = "fan_in"
    per_group: bool = False


@dataclass(frozen=True)
class Xavier:
    """Glorot initialization: uniform in +-sqrt(3/fan), variance 1/fan.

    fan: "fan_in" is Caffe's xavier filler, "average" Glorot's own (fan_in + fan_out) / 2.
    """

    fan: Literal["fan_in", "average"] = "average"


@dataclass(frozen=True)
class InverseInputs:
    """N(0, std) with std one over the input channels of a filter (megvii's ShuffleNets)."""


Distribution = Normal | TruncatedNormal | Uniform | He | Xavier | InverseInputs


@dataclass(frozen=True)
class LayerStart:
    """Another start for the layers whose module names match `layers` (shell patterns, `aux*.fc2`)."""

    layers: str
    weights: Distribution | None = None
    bias: float | None = None


@dataclass(frozen=True)
class Initialization:
    """How weights of convolutions and linear layers begin; normalization begins at weight 1, bias 0.

    linear: that of linear layers where it is another. bias: of convolutions and linear layers.
    ones_bias names the layers (module names) whose biases begin at 1. norm_bias: of normalization layers.
    zero_gamma: patterns of the normalization layers whose weights begin at 0.
    layers: exceptions, the last that matches wins.
    """

    weights: Distribution
    linear: Distribution | None = None
    bias: float = 0.0
    ones_bias: tuple[str, ...] = ()
    norm_bias: float = 0.0
    zero_gamma: tuple[str, ...] = ()
    layers: tuple[LayerStart, ...] = ()


@dataclass(frozen=True)
class Model:
    """A network: `constructor` is "timm:NAME", "torchvision:NAME", "top1:NAME" (pipeline/networks), or
    "path/to/file.py:NAME" of one's own, the path from the recipe's file.

    arguments: what the constructor is given besides the number of classes.
    parameters: exact count of trainable parameters with `num_classes` outputs, auxiliary heads left out.
    gmacs: 1e9 multiply-adds of convolutions and linear layers for one image of `gmacs_size` pixels.
    initialization: None leaves the constructor's own, which then is the paper's.
    narrow: arguments that make the same network with fewer channels or blocks; only `--tiny` uses them.
    least_size: the smallest image the network takes, pixels; `--tiny` goes down to 64 otherwise.
    """

    constructor: str
    parameters: int
    gmacs: float
    gmacs_size: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int = 1000
    batch_norm: BatchNorm | None = None
    initialization: Initialization | None = None
    auxiliary: AuxiliaryHeads | None = None
    narrow: Mapping[str, Any] = field(default_factory=dict)
    least_size: int = 32


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
    dataset: Literal["imagenet", "imagenet21k", "mnist"] = "imagenet"
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
    """The rate times `decay` every `every` epochs, counted from epoch 0, warm-up included.

    staircase: falls at once at the end of each period, else smoothly.
    """

    epochs: float
    decay: float
    every: float
    staircase: bool = True
    warmup: Warmup | None = None


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the rate to `end_lr`, beginning where the warm-up ends."""

    epochs: float
    end_lr: float = 0.0
    warmup: Warmup | None = None


@dataclass(frozen=True)
class Polynomial:
    """lr * (1 - t)^power, t the way from the warm-up's end to the last epoch; power 1 is a straight line."""

    epochs: float
    power: float = 1.0
    warmup: Warmup | None = None


@dataclass(frozen=True)
class InverseDecay:
    """lr * (1 + gamma * epoch)^-power (Caffe's "inv", whose gamma counts iterations)."""

    epochs: float
    gamma: float
    power: float
    warmup: Warmup | None = None


Schedule = Steps | Piecewise | Exponential | Cosine | Polynomial | InverseDecay


@dataclass(frozen=True)
class EMA:
    """Average of weights and batch-norm statistics, decay min(decay, (1+t)/(10+t)) at step t (TensorFlow)."""

    decay: float


@dataclass(frozen=True)
class Regularization:
    """What holds the network back. Weight decay is coupled (L2 in the loss) except under AdamW.

    decay_norm, decay_bias, decay_depthwise: whether normalization weights and biases, other biases, and
    filters of depthwise convolutions decay.
    drop_path: greatest probability of stochastic depth, linear over the blocks.
    clip_norm: greatest global norm of the gradient.
    """

    weight_decay: float = 0.0
    decay_norm: bool = True
    decay_bias: bool = True
    decay_depthwise: bool = True
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


@dataclass(frozen=True)
class StartFrom:
    """Begin with the final weights of a run of another recipe (its average where it keeps one).

    layers: this network's name of a layer (or a prefix of names) -> the other's, for networks that share only
    some; empty takes every tensor. new_head: the classifier begins afresh, for another number of classes.
    trained: patterns of the layers that are trained on; the others stay as they are, normalization included.
    Empty trains everything.
    """

    recipe: str
    layers: Mapping[str, str] = field(default_factory=dict)
    new_head: bool = False
    trained: tuple[str, ...] = ()


# ---------------------------------------------------------------- what is claimed


@dataclass(frozen=True)
class Evaluation:
    """How a number is measured.

    views: "single_crop"; "ten_crop", corners and centre and their mirrors; "dense", the whole image and its
    mirror at every short side, fully convolutional, scores averaged over positions; "crops_144" (GoogLeNet
    §7), of each short side three squares, of each square corners, centre and the square resized to the crop,
    and mirrors; "crops_150" (VGG §4.3), a 5 x 5 grid and mirrors at every short side.
    average: what is averaged over views, softmax probabilities or the scores before.
    pooling: "mean_max" is DPN's test: 7 x 7 mean pooling with stride 1, the classifier, then the mean of the
    average and the maximum over positions.
    without_blacklist: only the 48,238 images that the Inception papers keep.
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
    average: Literal["probabilities", "scores"] = "probabilities"
    pooling: Literal["mean", "mean_max"] = "mean"
    without_blacklist: bool = False

    @property
    def protocol(self) -> str:
        """One line that tells protocols apart, e.g. `single_crop 224/256 bilinear`."""
        parts = [self.views, f"{self.crop}/{','.join(map(str, self.resize))}", self.interpolation]
        parts += ["squash"] if self.squash else []
        parts += ["central_square"] if self.central_square else []
        margin = "" if self.window == "inception" else f"+{self.margin}"
        parts += [f"{self.window}_window{margin}"] if self.window else []
        parts += [] if self.antialias else ["no_antialias"]
        parts += ["mean_of_scores"] if self.average == "scores" else []
        parts += ["mean_max_pooling"] if self.pooling == "mean_max" else []
        parts += ["without_blacklist"] if self.without_blacklist else []
        parts += [] if self.ema else ["raw_weights"]
        return " ".join(parts)


@dataclass(frozen=True)
class Target:
    """One published number, in percent, under its own protocol.

    std: published standard deviation over runs. images: how many images the number is over.
    ensemble: how many independently trained networks are averaged (1 is a single network).
    members: the recipes of those networks, one entry a network; empty when all are this recipe's.
    extra_data: what else the authors' networks were trained on; a run here is compared only where it is
    "none" or the recipe begins with weights trained on it.
    note: what a reader of the number must know, e.g. that its recipe was never released.
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
    members: tuple[str, ...] = ()
    confidence: Literal["high", "medium"] = "high"
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
    report: which epochs the judged number is of: "last", or "median_of_last_five" (Goyal et al. 2017).
    curve: published points of the validation curve, (epoch, top-1 in percent); empty where there are none in
    numbers.
    skips: how often a run may go back before a step whose loss is not finite and leave it out, with the step
    before it, whose update may be what broke it; 0 ends the run.
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
    starts_from: StartFrom | None = None
    report: Literal["last", "median_of_last_five"] = "last"
    curve: tuple[tuple[float, float], ...] = ()
    skips: int = 0
    departures: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()  # what --set or --tiny changed; empty for a recipe of this book
