"""SENet: Hu, Shen, Albanie, Sun, Wu 2018, the networks of Table 2, SENet-154 and the longer trainings."""

from recipes.schema import (
    SGD,
    BatchNorm,
    Data,
    Evaluation,
    He,
    HorizontalFlip,
    Initialization,
    Model,
    Normalize,
    PixelJitter,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Rotation,
    Steps,
    Target,
    Warmup,
)
from recipes.sources import HU_2018, MEASURED, SENET

# What the trainings have in common. The bottlenecks are timm's `legacy` ones: stride on the first 1x1, as the
# author says (hujie-frank/SENet issue 9); timm's other seresnets have it on the 3x3, another network.
_BATCH_NORM = BatchNorm(
    momentum=0.9,  # not in hu2018; PyTorch's default
    eps=1e-5,  # not in hu2018; PyTorch's default
    images=32,  # senet README.md: 1024 images on 4 servers; hu2018 appendix: 2048 on 64 GPUs of 8 servers
)
_INITIALIZATION = Initialization(He())  # hu2018 §5.1: as He et al. 2015
_NARROW = {"layers": (1, 1, 1, 1)}  # measured: small enough for --tiny
_CROP = RandomResizedCrop(
    size=224,  # hu2018 §5.1
    area=(0.08, 1.0),  # senet README.md
    ratio=(3 / 4, 4 / 3),  # senet README.md
)
# The mean is subtracted, pixels are not divided (hu2018 §5.1).
_NORMALIZE = Normalize(
    mean=(123.675, 116.28, 103.53),  # not in hu2018; torchvision's channel means
    std=(1.0, 1.0, 1.0),  # hu2018 §5.1
)
_SINGLE_CROP = Evaluation(
    resize=(256,),  # hu2018 §5.1
    crop=224,  # hu2018 §5.1
)
_SINGLE_CROP_320 = Evaluation(
    resize=(365,),  # not in hu2018; the ratio of 224 to 256
    crop=320,  # hu2018 Table 8
)

# The training of Table 2.
_DATA = Data(
    batch_size=1024,  # hu2018 §5.1
    augment=(_CROP, HorizontalFlip()),
    normalize=_NORMALIZE,
)
_OPTIMIZER = SGD(
    lr=0.6,  # hu2018 §5.1
    momentum=0.9,  # hu2018 §5.1
)
_SCHEDULE = Steps(
    epochs=100,  # hu2018 §5.1
    milestones=(30, 60, 90),  # hu2018 §5.1: every 30 epochs
    gamma=0.1,  # hu2018 §5.1
    warmup=Warmup(epochs=5),  # not in hu2018; GluonCV's and NVIDIA's SE-ResNeXts
)
_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # not in hu2018; the ResNet paper's, of convolutions and linear layers
    decay_norm=False,  # not in hu2018; weights alone decay
    decay_bias=False,  # not in hu2018; weights alone decay
)
_WARMUP = "The rate climbs over five epochs from 0; the paper mentions no warm-up."
_DECAY = "Weight decay is 1e-4 on convolutions and linear layers; the paper does not give it."
_DEPARTURES = (
    _WARMUP,
    _DECAY,
    "Images are shuffled; the conference paper balances the classes of each batch.",
)

SE_RESNET50 = Recipe(
    name="se_resnet50",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_seresnet50",
        parameters=28_088_024,  # measured; hu2018 Table 10: 28.1 million
        gmacs=3.860,  # measured; hu2018 Table 2: 3.87
        gmacs_size=224,  # hu2018 §5.1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=76.71,  # hu2018 Table 2
            top5=93.38,  # hu2018 Table 2
            source=HU_2018,
            where="Table 2, SENet column",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SE_RESNET101 = Recipe(
    name="se_resnet101",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_seresnet101",
        parameters=49_326_872,  # measured; not in hu2018
        gmacs=7.575,  # measured; hu2018 Table 2: 7.60
        gmacs_size=224,  # hu2018 §5.1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.62,  # hu2018 Table 2
            top5=93.93,  # hu2018 Table 2
            source=HU_2018,
            where="Table 2, SENet column",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SE_RESNET152 = Recipe(
    name="se_resnet152",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_seresnet152",
        parameters=66_821_848,  # measured; not in hu2018
        gmacs=11.289,  # measured; hu2018 Table 2: 11.32
        gmacs_size=224,  # hu2018 §5.1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.43,  # hu2018 Table 2
            top5=94.27,  # hu2018 Table 2
            source=HU_2018,
            where="Table 2, SENet column",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SE_RESNEXT50 = Recipe(
    name="se_resnext50_32x4d",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_seresnext50_32x4d",
        parameters=27_559_896,  # measured; not in hu2018
        gmacs=4.233,  # measured; hu2018 Table 2: 4.25
        gmacs_size=224,  # hu2018 §5.1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.90,  # hu2018 Table 2
            top5=94.51,  # hu2018 Table 2
            source=HU_2018,
            where="Table 2, SENet column",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SE_RESNEXT101 = Recipe(
    name="se_resnext101_32x4d",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_seresnext101_32x4d",
        parameters=48_955_416,  # measured; not in hu2018
        gmacs=7.975,  # measured; hu2018 Table 2: 8.00
        gmacs_size=224,  # hu2018 §5.1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=79.30,  # hu2018 Table 2
            top5=94.99,  # hu2018 Table 2
            source=HU_2018,
            where="Table 2, SENet column",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SE_RESNET50_270EP = Recipe(
    name="se_resnet50@270ep",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_seresnet50",
        parameters=28_088_024,  # measured; hu2018 Table 10: 28.1 million
        gmacs=3.860,  # measured; hu2018 Table 2: 3.87
        gmacs_size=224,  # hu2018 §5.1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=256,  # not in hu2018 footnote 2; senet README.md, which has the same rate
        augment=(_CROP, HorizontalFlip()),
        normalize=_NORMALIZE,
    ),
    optimizer=SGD(
        lr=0.1,  # hu2018 §6
        momentum=0.9,  # hu2018 §5.1
    ),
    schedule=Steps(
        epochs=270,  # hu2018 footnote 2
        milestones=(125, 200, 250),  # hu2018 footnote 2
        gamma=0.1,  # hu2018 §5.1
    ),
    regularization=Regularization(
        weight_decay=1e-4,  # not in hu2018; the ResNet paper's, of convolutions and linear layers
        decay_norm=False,  # not in hu2018; weights alone decay
        decay_bias=False,  # not in hu2018; weights alone decay
        label_smoothing=0.1,  # hu2018 §6: label smoothing; its value is not given
    ),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.80,  # hu2018 footnote 2
            top5=94.00,  # hu2018 footnote 2
            source=HU_2018,
            where="footnote 2 of §6: 270 epochs, divided at 125, 200 and 250",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=77.72,  # hu2018 Table 10
            top5=93.97,  # hu2018 Table 10
            source=HU_2018,
            where="Table 10, r = 16",
            evaluation=_SINGLE_CROP,
            note="There the rate fell whenever the loss stood still; here it falls where footnote 2 says.",
        ),
    ),
    departures=(
        _DECAY,
        "The batch of 256 and the smoothing of 0.1 are assumed; the paper gives neither.",
        "The layers of the excitation have biases, as in the authors' released networks; for these results "
        "§6 leaves them out.",
    ),
)

# The training of SENet-154. The paper's number is that of the released weights, so their augmentation holds.
_SENET154_BATCH_NORM = BatchNorm(
    momentum=0.9,  # not in hu2018; PyTorch's default
    eps=1e-5,  # not in hu2018; PyTorch's default
    images=32,  # hu2018 appendix: 2048 images on 64 GPUs
    frozen_epochs=5,  # not in hu2018: "the last few epochs"
)
_SENET154_OPTIMIZER = SGD(
    lr=1.0,  # hu2018 appendix
    momentum=0.9,  # hu2018 §5.1
)
_SENET154_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # not in hu2018; the ResNet paper's, of convolutions and linear layers
    decay_norm=False,  # not in hu2018; weights alone decay
    decay_bias=False,  # not in hu2018; weights alone decay
    label_smoothing=0.1,  # hu2018 appendix: label smoothing; its value is not given
    dropout=0.2,  # hu2018 appendix
)
_SENET154_DEPARTURES = (
    _WARMUP,
    _DECAY,
    "The schedule is that of the other networks; the appendix gives none.",
    "Batch norm is frozen for five epochs at the end; the appendix says the last few.",
    "Pixel jitter adds one number to all channels of an image; the README gives the range only.",
)

SENET154 = Recipe(
    name="senet154",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_senet154",
        parameters=115_088_984,  # measured; not in hu2018
        gmacs=20.688,  # measured; hu2018 Table 8: 20.7
        gmacs_size=224,  # hu2018 Table 8
        batch_norm=_SENET154_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=2048,  # hu2018 appendix
        augment=(
            _CROP,
            HorizontalFlip(),
            Rotation(degrees=10),  # senet README.md
            PixelJitter(shift=20),  # senet README.md
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_SENET154_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_SENET154_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=81.32,  # hu2018 Table 8
            top5=95.53,  # hu2018 Table 8
            source=HU_2018,
            where="Table 8, 224 x 224 (README.md: the released weights)",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=82.72,  # hu2018 Table 8
            top5=96.21,  # hu2018 Table 8
            source=HU_2018,
            where="Table 8, 320 x 320",
            evaluation=_SINGLE_CROP_320,
            note="The paper gives no size to resize to; 365 keeps the ratio of 224 to 256.",
        ),
    ),
    departures=_SENET154_DEPARTURES,
)

SENET154_TRAIN320 = Recipe(
    name="senet154@train320",
    family="SENet",
    year=2018,  # hu2018
    sources=(HU_2018, SENET, MEASURED),
    model=Model(
        "timm:legacy_senet154",
        parameters=115_088_984,  # measured; not in hu2018
        gmacs=42.212,  # measured; not in hu2018
        gmacs_size=320,  # hu2018 Table 9
        batch_norm=_SENET154_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=2048,  # hu2018 appendix
        augment=(
            RandomResizedCrop(
                size=320,  # hu2018 Table 9
                area=(0.08, 1.0),  # senet README.md
                ratio=(3 / 4, 4 / 3),  # senet README.md
            ),
            HorizontalFlip(),
            Rotation(degrees=10),  # senet README.md
            PixelJitter(shift=20),  # senet README.md
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_SENET154_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_SENET154_REGULARIZATION,
    validation=_SINGLE_CROP_320,
    targets=(
        Target(
            top1=83.12,  # hu2018 Table 9
            top5=96.42,  # hu2018 Table 9
            source=HU_2018,
            where="Table 9, trained with crops of 320 x 320",
            evaluation=_SINGLE_CROP_320,
        ),
    ),
    departures=(
        *_SENET154_DEPARTURES,
        "All settings but the size are those of 224 pixels; the paper gives none.",
    ),
)
