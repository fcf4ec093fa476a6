"""ShuffleNets: Zhang, Zhou, Lin, Sun 2018 and Ma, Zhang, Zheng, Sun 2018."""

from recipes.schema import (
    EMA,
    SGD,
    BatchNorm,
    ColorJitter,
    Cosine,
    Data,
    Evaluation,
    HorizontalFlip,
    Initialization,
    InverseInputs,
    LayerStart,
    MixupCutMixHalves,
    Model,
    Normal,
    Normalize,
    Polynomial,
    RandomErasing,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Target,
    TrivialAugment,
    Warmup,
)
from recipes.sources import MA_2018, MEASURED, MEGVII, TORCHVISION, ZHANG_2018

# One training for all networks of both papers: the authors' train.py is the same file for both.
_BATCH_NORM = BatchNorm(
    momentum=0.9,  # megvii ShuffleNetV1/blocks.py: PyTorch's default
    eps=1e-5,  # megvii ShuffleNetV1/blocks.py: PyTorch's default
    images=256,  # zhang2018 §4: 1024 images on 4 GPUs
    reestimated_over=1_280_000,  # megvii train.py: 1,250 batches of 1024 after the last step
)
_V1_START = Initialization(
    InverseInputs(),
    linear=Normal(std=0.01),  # megvii ShuffleNetV1/network.py
    norm_bias=1e-4,  # megvii ShuffleNetV1/network.py
    layers=(LayerStart("conv1", weights=Normal(std=0.01)),),  # megvii ShuffleNetV1/network.py
)
_V2_START = Initialization(
    InverseInputs(),
    linear=Normal(std=0.01),  # megvii ShuffleNetV2/network.py
    norm_bias=1e-4,  # megvii ShuffleNetV2/network.py
    layers=(LayerStart("conv1.0", weights=Normal(std=0.01)),),  # megvii ShuffleNetV2/network.py
)
_NARROW = {"repeats": (1, 1, 1)}  # measured: small enough for --tiny
_DATA = Data(
    batch_size=1024,  # zhang2018 §4
    augment=(
        RandomResizedCrop(
            size=224,  # zhang2018 §4
            area=(0.08, 1.0),  # megvii train.py; zhang2018 §4: "slightly less aggressive", without a number
            ratio=(3 / 4, 4 / 3),  # megvii train.py
        ),
        ColorJitter(
            brightness=0.4,  # megvii train.py
            contrast=0.4,  # megvii train.py
            saturation=0.4,  # megvii train.py
        ),
        HorizontalFlip(),
    ),
    # Pixels stay what they are, 0 to 255.
    normalize=Normalize(
        mean=(0.0, 0.0, 0.0),  # megvii train.py
        std=(1.0, 1.0, 1.0),  # megvii train.py
    ),
)
_OPTIMIZER = SGD(
    lr=0.5,  # zhang2018 §4
    momentum=0.9,  # megvii train.py
)
_SCHEDULE = Polynomial(
    epochs=239.8,  # zhang2018 §4: 300,000 steps of 1024 images
    power=1.0,  # zhang2018 §4: linear to 0
)
_REGULARIZATION = Regularization(
    weight_decay=4e-5,  # zhang2018 §4
    decay_norm=False,  # megvii utils.py: only tensors of more than one dimension
    decay_bias=False,  # megvii utils.py: only tensors of more than one dimension
    label_smoothing=0.1,  # megvii train.py; not in zhang2018
)
_SINGLE_CROP = Evaluation(
    resize=(256,),  # zhang2018 §4
    crop=224,  # zhang2018 §4
    antialias=False,  # megvii train.py: OpenCV's bilinear
)
_V1_README = "ShuffleNetV1/README.md, trained again by the authors"
_V2_README = "ShuffleNetV2/README.md, trained again by the authors"
_SMOOTHING = (
    "Label smoothing, colour jitter, the start and the pass that re-estimates batch norm are those of the "
    "authors' later code; the paper mentions none of them."
)
_AREA = (
    "Random crops cover 8% to 100% of the image, as in the authors' later code; the paper says slightly less "
    "aggressive, without a number."
)
_BIAS = "The classifier has a bias, which the authors' code leaves out."
_DEPARTURES = (_SMOOTHING, _AREA, _BIAS)
_STEM = (
    "The paper gives no width of the first layer at this width of the network; it is scaled like the others."
)

SHUFFLENET_V1_X1_0_G1 = Recipe(
    name="shufflenet_v1_x1_0_g1",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=1_531_936,  # measured; not in zhang2018
        gmacs=0.1431,  # measured; zhang2018 Table 2: 0.140
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 1,  # zhang2018 Table 2
            "width": 1.0,  # zhang2018 Table 2
            "stem": 24,  # zhang2018 Table 1
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=66.4,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X1_0_G2 = Recipe(
    name="shufflenet_v1_x1_0_g2",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=1_733_848,  # measured; not in zhang2018
        gmacs=0.1408,  # measured; zhang2018 Table 2: 0.140
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 2,  # zhang2018 Table 2
            "width": 1.0,  # zhang2018 Table 2
            "stem": 24,  # zhang2018 Table 1
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=67.3,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X1_0_G3 = Recipe(
    name="shufflenet_v1_x1_0_g3",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=1_865_728,  # measured; megvii ShuffleNetV1/README.md: 1.9 million
        gmacs=0.1375,  # measured; zhang2018 Table 2: 0.140
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 3,  # zhang2018 Table 2
            "width": 1.0,  # zhang2018 Table 2
            "stem": 24,  # zhang2018 Table 1
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=67.4,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=67.8,  # megvii ShuffleNetV1/README.md
            top5=87.7,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X1_0_G4 = Recipe(
    name="shufflenet_v1_x1_0_g4",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=1_968_344,  # measured; not in zhang2018
        gmacs=0.1343,  # measured; zhang2018 Table 2: 0.140
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 4,  # zhang2018 Table 2
            "width": 1.0,  # zhang2018 Table 2
            "stem": 24,  # zhang2018 Table 1
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=67.2,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X1_0_G8 = Recipe(
    name="shufflenet_v1_x1_0_g8",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=2_434_768,  # measured; megvii ShuffleNetV1/README.md: 2.4 million
        gmacs=0.1384,  # measured; zhang2018 Table 2: 0.140
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 8,  # zhang2018 Table 2
            "width": 1.0,  # zhang2018 Table 2
            "stem": 24,  # zhang2018 Table 1
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=67.6,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=68.0,  # megvii ShuffleNetV1/README.md
            top5=86.4,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note="The top-5 is probably a misprint: it is out of line with that of three groups.",
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X0_5_G1 = Recipe(
    name="shufflenet_v1_x0_5_g1",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=534_484,  # measured; not in zhang2018
        gmacs=0.0385,  # measured; zhang2018 Table 2: 0.038
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 1,  # zhang2018 Table 2
            "width": 0.5,  # zhang2018 Table 2
            "stem": 12,  # megvii ShuffleNetV1/network.py
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=54.9,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(*_DEPARTURES, _STEM),
)

SHUFFLENET_V1_X0_5_G3 = Recipe(
    name="shufflenet_v1_x0_5_g3",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=718_324,  # measured; megvii ShuffleNetV1/README.md: 0.7 million
        gmacs=0.0376,  # measured; zhang2018 Table 2: 0.038
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 3,  # zhang2018 Table 2
            "width": 0.5,  # zhang2018 Table 2
            "stem": 12,  # megvii ShuffleNetV1/network.py
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=56.8,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=57.3,  # megvii ShuffleNetV1/README.md
            top5=80.0,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X0_5_G8 = Recipe(
    name="shufflenet_v1_x0_5_g8",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=1_011_448,  # measured; megvii ShuffleNetV1/README.md: 1.0 million
        gmacs=0.0405,  # measured; zhang2018 Table 2: 0.038
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 8,  # zhang2018 Table 2
            "width": 0.5,  # zhang2018 Table 2
            "stem": 16,  # megvii ShuffleNetV1/network.py: groups of 8 divide the rest
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=57.7,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=58.8,  # megvii ShuffleNetV1/README.md
            top5=81.0,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X0_25_G1 = Recipe(
    name="shufflenet_v1_x0_25_g1",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=209_746,  # measured; not in zhang2018
        gmacs=0.0110,  # measured; zhang2018 Table 2: 0.013
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 1,  # zhang2018 Table 2
            "width": 0.25,  # zhang2018 Table 2
            "stem": 6,  # not in zhang2018; a quarter of 24
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=42.9,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(*_DEPARTURES, _STEM),
)

SHUFFLENET_V1_X0_25_G3 = Recipe(
    name="shufflenet_v1_x0_25_g3",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=305_902,  # measured; not in zhang2018
        gmacs=0.0110,  # measured; zhang2018 Table 2: 0.013
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 3,  # zhang2018 Table 2
            "width": 0.25,  # zhang2018 Table 2
            "stem": 6,  # not in zhang2018; a quarter of 24
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=45.0,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(*_DEPARTURES, _STEM),
)

SHUFFLENET_V1_X0_25_G8 = Recipe(
    name="shufflenet_v1_x0_25_g8",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=454_504,  # measured; not in zhang2018
        gmacs=0.0124,  # measured; zhang2018 Table 2: 0.013
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 8,  # zhang2018 Table 2
            "width": 0.25,  # zhang2018 Table 2
            "stem": 8,  # not in zhang2018; a third of 24, so that groups of 8 divide the rest
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=47.3,  # zhang2018 Table 2
            source=ZHANG_2018,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(*_DEPARTURES, _STEM),
)

SHUFFLENET_V1_X1_5_G3 = Recipe(
    name="shufflenet_v1_x1_5_g3",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=3_442_168,  # measured; megvii ShuffleNetV1/README.md: 3.4 million
        gmacs=0.2924,  # measured; zhang2018 Table 5: 0.292
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 3,  # zhang2018 Table 5
            "width": 1.5,  # zhang2018 Table 5
            "stem": 24,  # megvii ShuffleNetV1/network.py
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=71.5,  # zhang2018 Table 5
            source=ZHANG_2018,
            where="Table 5",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=71.6,  # megvii ShuffleNetV1/README.md
            top5=90.2,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X2_0_G3 = Recipe(
    name="shufflenet_v1_x2_0_g3",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=5_450_776,  # measured; megvii ShuffleNetV1/README.md: 5.4 million
        gmacs=0.5240,  # measured; zhang2018 Table 5: 0.524
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 3,  # zhang2018 Table 5
            "width": 2.0,  # zhang2018 Table 5
            "stem": 48,  # megvii ShuffleNetV1/network.py
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=73.7,  # zhang2018 Table 5
            source=ZHANG_2018,
            where="Table 5",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=74.1,  # megvii ShuffleNetV1/README.md
            top5=91.4,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X1_5_G8 = Recipe(
    name="shufflenet_v1_x1_5_g8",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=4_269_952,  # measured; megvii ShuffleNetV1/README.md: 4.3 million
        gmacs=0.2902,  # measured; megvii ShuffleNetV1/README.md: 0.290
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 8,  # megvii ShuffleNetV1/README.md
            "width": 1.5,  # megvii ShuffleNetV1/README.md
            "stem": 24,  # megvii ShuffleNetV1/network.py
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=71.0,  # megvii ShuffleNetV1/README.md
            top5=89.6,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V1_X2_0_G8 = Recipe(
    name="shufflenet_v1_x2_0_g8",
    family="ShuffleNet",
    year=2018,  # zhang2018
    sources=(ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v1",
        parameters=6_522_232,  # measured; megvii ShuffleNetV1/README.md: 6.5 million
        gmacs=0.5219,  # measured; megvii ShuffleNetV1/README.md: 0.522
        gmacs_size=224,  # zhang2018 §4
        arguments={
            "groups": 8,  # megvii ShuffleNetV1/README.md
            "width": 2.0,  # megvii ShuffleNetV1/README.md
            "stem": 48,  # megvii ShuffleNetV1/network.py
        },
        batch_norm=_BATCH_NORM,
        initialization=_V1_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=72.9,  # megvii ShuffleNetV1/README.md
            top5=90.8,  # megvii ShuffleNetV1/README.md
            source=MEGVII,
            where=_V1_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)
# ---------------------------------------------------------------- ShuffleNet v2

SHUFFLENET_V2_X0_5 = Recipe(
    name="shufflenet_v2_x0_5",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v2",
        parameters=1_366_792,  # measured; ma2018 Table 8: 1.4 million
        gmacs=0.0405,  # measured; ma2018 Table 8: 0.041
        gmacs_size=224,  # ma2018 Table 8
        arguments={"channels": (24, 48, 96, 192, 1024)},  # ma2018 Table 5
        batch_norm=_BATCH_NORM,
        initialization=_V2_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=60.3,  # ma2018 Table 8
            source=MA_2018,
            where="Table 8",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=61.1,  # megvii ShuffleNetV2/README.md
            top5=82.6,  # megvii ShuffleNetV2/README.md
            source=MEGVII,
            where=_V2_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V2_X1_0 = Recipe(
    name="shufflenet_v2_x1_0",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v2",
        parameters=2_278_604,  # measured; ma2018 Table 8: 2.3 million
        gmacs=0.1449,  # measured; ma2018 Table 8: 0.146
        gmacs_size=224,  # ma2018 Table 8
        arguments={"channels": (24, 116, 232, 464, 1024)},  # ma2018 Table 5
        batch_norm=_BATCH_NORM,
        initialization=_V2_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=69.4,  # ma2018 Table 8
            source=MA_2018,
            where="Table 8",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=69.4,  # megvii ShuffleNetV2/README.md
            top5=88.9,  # megvii ShuffleNetV2/README.md
            source=MEGVII,
            where=_V2_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V2_X1_5 = Recipe(
    name="shufflenet_v2_x1_5",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v2",
        parameters=3_503_624,  # measured; ma2018 Table 8: 3.5 million
        gmacs=0.2958,  # measured; ma2018 Table 8: 0.299
        gmacs_size=224,  # ma2018 Table 8
        arguments={"channels": (24, 176, 352, 704, 1024)},  # ma2018 Table 5
        batch_norm=_BATCH_NORM,
        initialization=_V2_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=72.6,  # ma2018 Table 8
            source=MA_2018,
            where="Table 8",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=72.6,  # megvii ShuffleNetV2/README.md
            top5=90.6,  # megvii ShuffleNetV2/README.md
            source=MEGVII,
            where=_V2_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

SHUFFLENET_V2_X2_0 = Recipe(
    name="shufflenet_v2_x2_0",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, ZHANG_2018, MEGVII, MEASURED),
    model=Model(
        "top1:shufflenet_v2",
        parameters=7_393_996,  # measured; ma2018 Table 8: 7.4 million
        gmacs=0.5833,  # measured; ma2018 Table 8: 0.591
        gmacs_size=224,  # ma2018 Table 8
        arguments={"channels": (24, 244, 488, 976, 2048)},  # ma2018 Table 5
        batch_norm=_BATCH_NORM,
        initialization=_V2_START,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=Regularization(
        weight_decay=4e-5,  # zhang2018 §4
        decay_norm=False,  # megvii utils.py: only tensors of more than one dimension
        decay_bias=False,  # megvii utils.py: only tensors of more than one dimension
        label_smoothing=0.1,  # megvii train.py; not in ma2018
        dropout=0.2,  # megvii ShuffleNetV2/network.py: of the widest network only
    ),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.9,  # ma2018 Table 8
            source=MA_2018,
            where="Table 8",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=75.0,  # megvii ShuffleNetV2/README.md
            top5=92.4,  # megvii ShuffleNetV2/README.md
            source=MEGVII,
            where=_V2_README,
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)
# ---------------------------------------------------------------- torchvision's reference training

_TV_BATCH_NORM = BatchNorm(
    momentum=0.9,  # torchvision shufflenetv2.py: PyTorch's default
    eps=1e-5,  # torchvision shufflenetv2.py: PyTorch's default
    images=128,  # torchvision classification/README.md: per GPU
)
_TV_DATA = Data(
    batch_size=1024,  # torchvision classification/README.md: 128 on each of 8 GPUs
    augment=(
        RandomResizedCrop(size=176),  # torchvision classification/README.md
        HorizontalFlip(),
        TrivialAugment(),
        RandomErasing(probability=0.1),  # torchvision classification/README.md
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # torchvision classification/presets.py
        std=(58.395, 57.12, 57.375),  # torchvision classification/presets.py
    ),
    mixing=MixupCutMixHalves(
        mixup_alpha=0.2,  # torchvision classification/README.md
        cutmix_alpha=1.0,  # torchvision classification/README.md
    ),
)
_TV_OPTIMIZER = SGD(
    lr=0.5,  # torchvision classification/README.md
    momentum=0.9,  # torchvision classification/train.py
)
_TV_SCHEDULE = Cosine(
    epochs=600,  # torchvision classification/README.md
    warmup=Warmup(
        epochs=5,  # torchvision classification/README.md
        start_lr=0.005,  # torchvision classification/train.py: a hundredth
    ),
)
_TV_REGULARIZATION = Regularization(
    weight_decay=2e-5,  # torchvision classification/README.md
    decay_norm=False,  # torchvision classification/README.md
    label_smoothing=0.1,  # torchvision classification/README.md
)
# The reference averages every 32 steps, and every step here: 1 - 2e-5 x 1024 / 600 (train.py).
_TV_EMA = EMA(decay=0.999966)  # torchvision classification/train.py
_TV_SINGLE_CROP = Evaluation(
    resize=(256,),  # torchvision ShuffleNet_V2_X1_0_Weights
    crop=224,  # torchvision ShuffleNet_V2_X1_0_Weights
)
_TV_SINGLE_CROP_232 = Evaluation(
    resize=(232,),  # torchvision classification/README.md
    crop=224,  # torchvision ShuffleNet_V2_X2_0_Weights
)
_TV_DEPARTURES = (
    "Each image is seen once an epoch; the reference's sampler shows a quarter of them four times.",
    "Mixup takes half of each batch and CutMix the other half; the reference draws one of them for a batch.",
    "The average of weights begins as TensorFlow's does and moves each step; the reference's every 32 steps.",
)
_COMMUNITY = (
    "These weights come from ericsun99/Shufflenet-v2-Pytorch, whose training was never published; this is "
    "the training of the wider networks."
)

SHUFFLENET_V2_X0_5_TORCHVISION = Recipe(
    name="shufflenet_v2_x0_5@torchvision",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:shufflenet_v2_x0_5",
        parameters=1_366_792,  # torchvision ShuffleNet_V2_X0_5_Weights
        gmacs=0.0405,  # measured; torchvision ShuffleNet_V2_X0_5_Weights: 0.04
        gmacs_size=224,  # torchvision ShuffleNet_V2_X0_5_Weights
        batch_norm=_TV_BATCH_NORM,
    ),
    data=_TV_DATA,
    optimizer=_TV_OPTIMIZER,
    schedule=_TV_SCHEDULE,
    regularization=_TV_REGULARIZATION,
    ema=_TV_EMA,
    validation=_TV_SINGLE_CROP,
    targets=(
        Target(
            top1=60.552,  # torchvision ShuffleNet_V2_X0_5_Weights
            top5=81.746,  # torchvision ShuffleNet_V2_X0_5_Weights
            source=TORCHVISION,
            where="ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP,
            note=_COMMUNITY,
        ),
    ),
    departures=_TV_DEPARTURES,
)

SHUFFLENET_V2_X1_0_TORCHVISION = Recipe(
    name="shufflenet_v2_x1_0@torchvision",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:shufflenet_v2_x1_0",
        parameters=2_278_604,  # torchvision ShuffleNet_V2_X1_0_Weights
        gmacs=0.1449,  # measured; torchvision ShuffleNet_V2_X1_0_Weights: 0.145
        gmacs_size=224,  # torchvision ShuffleNet_V2_X1_0_Weights
        batch_norm=_TV_BATCH_NORM,
    ),
    data=_TV_DATA,
    optimizer=_TV_OPTIMIZER,
    schedule=_TV_SCHEDULE,
    regularization=_TV_REGULARIZATION,
    ema=_TV_EMA,
    validation=_TV_SINGLE_CROP,
    targets=(
        Target(
            top1=69.362,  # torchvision ShuffleNet_V2_X1_0_Weights
            top5=88.316,  # torchvision ShuffleNet_V2_X1_0_Weights
            source=TORCHVISION,
            where="ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP,
            note=_COMMUNITY,
        ),
    ),
    departures=_TV_DEPARTURES,
)

SHUFFLENET_V2_X1_5_TORCHVISION = Recipe(
    name="shufflenet_v2_x1_5@torchvision",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:shufflenet_v2_x1_5",
        parameters=3_503_624,  # torchvision ShuffleNet_V2_X1_5_Weights
        gmacs=0.2958,  # measured; torchvision ShuffleNet_V2_X1_5_Weights: 0.296
        gmacs_size=224,  # torchvision ShuffleNet_V2_X1_5_Weights
        batch_norm=_TV_BATCH_NORM,
    ),
    data=_TV_DATA,
    optimizer=_TV_OPTIMIZER,
    schedule=_TV_SCHEDULE,
    regularization=_TV_REGULARIZATION,
    ema=_TV_EMA,
    validation=_TV_SINGLE_CROP_232,
    targets=(
        Target(
            top1=72.996,  # torchvision ShuffleNet_V2_X1_5_Weights
            top5=91.086,  # torchvision ShuffleNet_V2_X1_5_Weights
            source=TORCHVISION,
            where="ShuffleNet_V2_X1_5_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP_232,
        ),
    ),
    departures=_TV_DEPARTURES,
)

SHUFFLENET_V2_X2_0_TORCHVISION = Recipe(
    name="shufflenet_v2_x2_0@torchvision",
    family="ShuffleNet",
    year=2018,  # ma2018
    sources=(MA_2018, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:shufflenet_v2_x2_0",
        parameters=7_393_996,  # torchvision ShuffleNet_V2_X2_0_Weights
        gmacs=0.5833,  # measured; torchvision ShuffleNet_V2_X2_0_Weights: 0.583
        gmacs_size=224,  # torchvision ShuffleNet_V2_X2_0_Weights
        batch_norm=_TV_BATCH_NORM,
    ),
    data=_TV_DATA,
    optimizer=_TV_OPTIMIZER,
    schedule=_TV_SCHEDULE,
    regularization=_TV_REGULARIZATION,
    ema=_TV_EMA,
    validation=_TV_SINGLE_CROP_232,
    targets=(
        Target(
            top1=76.23,  # torchvision ShuffleNet_V2_X2_0_Weights
            top5=93.006,  # torchvision ShuffleNet_V2_X2_0_Weights
            source=TORCHVISION,
            where="ShuffleNet_V2_X2_0_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP_232,
        ),
    ),
    departures=_TV_DEPARTURES,
)
