"""DPN: Chen, Li, Xiao, Jin, Yan, Feng 2017."""

from recipes.schema import (
    SGD,
    BatchNorm,
    ColorJitter,
    Data,
    Evaluation,
    He,
    HorizontalFlip,
    Initialization,
    Model,
    Normalize,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
)
from recipes.sources import CHEN_2017, DPNS, MEASURED

_BATCH_NORM = BatchNorm(
    momentum=0.9,  # dpns settings/symbol_basic.py
    eps=1e-3,  # dpns: MXNet's default
    images=32,  # chen2017 §4: per GPU
    reestimated_over=1_281_167,  # chen2017 §4: refined after training; over how many images is not given
)
_BATCH_NORM_131 = BatchNorm(
    momentum=0.9,  # dpns settings/symbol_basic.py
    eps=1e-3,  # dpns: MXNet's default
    images=24,  # dpns README.md: per GPU
    reestimated_over=1_281_167,  # chen2017 §4: refined after training; over how many images is not given
)
_BATCH_NORM_68 = BatchNorm(
    momentum=0.9,  # dpns settings/symbol_basic.py
    eps=1e-3,  # dpns: MXNet's default
    images=64,  # dpns README.md: per GPU
    reestimated_over=1_281_167,  # chen2017 §4: refined after training; over how many images is not given
)
_INITIALIZATION = Initialization(He())  # not in chen2017; the ResNet paper's
_AUGMENT = (
    RandomResizedCrop(
        size=224,  # dpns README.md
        area=(0.08, 1.0),  # dpns README.md
        ratio=(3 / 4, 4 / 3),  # dpns README.md
        interpolation="bicubic",
        antialias=False,
    ),
    HorizontalFlip(),
    ColorJitter(
        hue=20 / 180,  # dpns README.md: 20 of the 180 steps of MXNet's hue
        saturation=40 / 255,  # dpns README.md: 40 of 255
        brightness=50 / 255,  # dpns README.md: lightness, 50 of 255
    ),
)
# The README multiplies by 0.0167 after subtracting the mean.
_NORMALIZE = Normalize(
    mean=(124.0, 117.0, 104.0),  # dpns README.md
    std=(1 / 0.0167, 1 / 0.0167, 1 / 0.0167),  # dpns README.md
)
_SCHEDULE = Steps(
    epochs=100,  # not in chen2017; ResNeXt's
    milestones=(30, 60, 90),  # not in chen2017; ResNeXt's
    gamma=0.1,  # chen2017 §4
)
_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # not in chen2017; ResNeXt's
    decay_norm=False,  # not in chen2017; weights alone decay
    decay_bias=False,  # not in chen2017; weights alone decay
)
# score.py reads files as they are, and the augmenter of the authors' MXNet (image_aug_torch.cc) scales the
# short side to the crop's.
_SINGLE_CROP = Evaluation(
    resize=(224,),  # dpns score.py
    crop=224,  # dpns score.py
    interpolation="bicubic",
    antialias=False,
)
_SINGLE_CROP_320 = Evaluation(
    resize=(320,),  # dpns score.py
    crop=320,  # dpns score.py
    interpolation="bicubic",
    antialias=False,
)
_MEAN_MAX_320 = Evaluation(
    resize=(320,),  # dpns score.py
    crop=320,  # dpns score.py
    interpolation="bicubic",
    antialias=False,
    pooling="mean_max",
)
_DEPARTURES = (
    "The length, the epochs at which the rate falls, momentum and the rate of weight decay are ResNeXt's; "
    "the paper does not give them. Only weights decay; the authors' MXNet decays batch norm's gains too.",
    "Hue is turned, saturation and brightness are scaled by random factors; the authors add random numbers "
    "to hue, lightness and saturation.",
    "The area of a random crop is a share of the whole image and the logarithm of its aspect is uniform; the "
    "authors take the share of the square of the short side, and the aspect from a triangle.",
)

DPN68 = Recipe(
    name="dpn68",
    family="DPN",
    year=2017,  # dpns README.md
    sources=(DPNS, CHEN_2017, MEASURED),
    model=Model(
        "timm:dpn68",
        parameters=12_611_602,  # measured; dpns README.md: 49 MB
        gmacs=2.326,  # measured; dpns README.md: 2.5
        gmacs_size=224,  # dpns README.md
        batch_norm=_BATCH_NORM_68,
        initialization=_INITIALIZATION,
        narrow={"k_sec": (1, 1, 1, 1)},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=2560,  # dpns README.md: 64 on each of 40 GPUs
        augment=_AUGMENT,
        normalize=_NORMALIZE,
    ),
    optimizer=SGD(
        lr=0.316,  # not in chen2017; that of its DPN-92 and DPN-131, the square root of 0.1
        momentum=0.9,  # not in chen2017; ResNeXt's
    ),
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=76.43,  # dpns README.md: 23.57% error
            top5=93.07,  # dpns README.md: 6.93% error
            source=DPNS,
            where="README.md, 224x224",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=77.85,  # dpns README.md: 22.15% error
            top5=94.10,  # dpns README.md: 5.90% error
            source=DPNS,
            where="README.md, 320x320",
            evaluation=_SINGLE_CROP_320,
        ),
        Target(
            top1=78.49,  # dpns README.md: 21.51% error
            top5=94.48,  # dpns README.md: 5.52% error
            source=DPNS,
            where="README.md, 320x320 with mean-max pooling",
            evaluation=_MEAN_MAX_320,
        ),
    ),
    departures=(
        *_DEPARTURES,
        "The network is the README's alone, which gives no rate for it; that of two of the paper's is taken.",
    ),
)

DPN92 = Recipe(
    name="dpn92",
    family="DPN",
    year=2017,  # chen2017
    sources=(CHEN_2017, DPNS, MEASURED),
    model=Model(
        "timm:dpn92",
        parameters=37_668_392,  # measured; chen2017 Table 1: 37.8 million
        gmacs=6.502,  # measured; chen2017 Table 1: 6.5
        gmacs_size=224,  # chen2017 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={"k_sec": (1, 1, 1, 1)},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=1280,  # chen2017 §4: 32 on each of 40 GPUs
        augment=_AUGMENT,
        normalize=_NORMALIZE,
    ),
    optimizer=SGD(
        lr=0.316,  # chen2017 §4: the square root of 0.1
        momentum=0.9,  # not in chen2017; ResNeXt's
    ),
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=79.27,  # dpns README.md
            top5=94.63,  # dpns README.md
            source=DPNS,
            where="README.md, 224x224 (the paper's Table 2)",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=80.66,  # dpns README.md
            top5=95.34,  # dpns README.md
            source=DPNS,
            where="README.md, 320x320 (the paper's Table 2)",
            evaluation=_SINGLE_CROP_320,
        ),
        Target(
            top1=80.96,  # dpns README.md
            top5=95.47,  # dpns README.md
            source=DPNS,
            where="README.md, 320x320 with mean-max pooling",
            evaluation=_MEAN_MAX_320,
        ),
    ),
    departures=_DEPARTURES,
)

DPN98 = Recipe(
    name="dpn98",
    family="DPN",
    year=2017,  # chen2017
    sources=(CHEN_2017, DPNS, MEASURED),
    model=Model(
        "timm:dpn98",
        parameters=61_570_728,  # measured; chen2017 Table 1: 61.7 million
        gmacs=11.671,  # measured; chen2017 Table 1: 11.7
        gmacs_size=224,  # chen2017 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={"k_sec": (1, 1, 1, 1)},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=1280,  # chen2017 §4: 32 on each of 40 GPUs
        augment=_AUGMENT,
        normalize=_NORMALIZE,
    ),
    optimizer=SGD(
        lr=0.4,  # chen2017 §4
        momentum=0.9,  # not in chen2017; ResNeXt's
    ),
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=79.85,  # dpns README.md
            top5=94.85,  # dpns README.md
            source=DPNS,
            where="README.md, 224x224 (the paper's Table 2)",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=81.06,  # dpns README.md
            top5=95.56,  # dpns README.md
            source=DPNS,
            where="README.md, 320x320 (the paper's Table 2)",
            evaluation=_SINGLE_CROP_320,
        ),
        Target(
            top1=81.28,  # dpns README.md
            top5=95.60,  # dpns README.md
            source=DPNS,
            where="README.md, 320x320 with mean-max pooling",
            evaluation=_MEAN_MAX_320,
        ),
    ),
    departures=_DEPARTURES,
)

DPN131 = Recipe(
    name="dpn131",
    family="DPN",
    year=2017,  # chen2017
    sources=(CHEN_2017, DPNS, MEASURED),
    model=Model(
        "timm:dpn131",
        parameters=79_254_504,  # measured; dpns README.md: 304 MB
        gmacs=16.014,  # measured; dpns README.md: 16.0
        gmacs_size=224,  # dpns README.md
        batch_norm=_BATCH_NORM_131,
        initialization=_INITIALIZATION,
        narrow={"k_sec": (1, 1, 1, 1)},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=960,  # dpns README.md: 24 on each of 40 GPUs
        augment=_AUGMENT,
        normalize=_NORMALIZE,
    ),
    optimizer=SGD(
        lr=0.316,  # chen2017 §4: the square root of 0.1
        momentum=0.9,  # not in chen2017; ResNeXt's
    ),
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=80.07,  # dpns README.md
            top5=94.88,  # dpns README.md
            source=DPNS,
            where="README.md, 224x224 (the paper's Table 2)",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=81.38,  # dpns README.md
            top5=95.77,  # dpns README.md
            source=DPNS,
            where="README.md, 320x320 (the paper's Table 2)",
            evaluation=_SINGLE_CROP_320,
        ),
        Target(
            top1=81.45,  # dpns README.md
            top5=95.84,  # dpns README.md
            source=DPNS,
            where="README.md, 320x320 with mean-max pooling (the paper's Table 2, dagger)",
            evaluation=_MEAN_MAX_320,
        ),
    ),
    departures=_DEPARTURES,
)
