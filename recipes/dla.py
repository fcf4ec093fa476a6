"""DLA: Yu, Wang, Shelhamer, Darrell 2018."""

from recipes.schema import (
    SGD,
    BatchNorm,
    Data,
    Evaluation,
    HorizontalFlip,
    Model,
    Normalize,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
)
from recipes.sources import DLA, MEASURED, TIMM_DLA, YU_2018

# One training for all networks: the authors' classify.py with its defaults. timm's networks begin as theirs
# do, N(0, sqrt(2 / (kernel x outputs))), without the projections that the authors' code makes but never uses.
_BATCH_NORM = BatchNorm(
    momentum=0.9,  # dla dla.py: PyTorch's default
    eps=1e-5,  # dla dla.py: PyTorch's default
)
_NARROW = {"levels": (1, 1, 1, 1, 1, 1)}  # measured: small enough for --tiny
_DATA = Data(
    batch_size=256,  # dla classify.py
    augment=(
        RandomResizedCrop(
            size=224,  # dla classify.py
            area=(0.08, 1.0),  # dla classify.py
            ratio=(3 / 4, 4 / 3),  # dla classify.py
            rule="linear",
        ),
        HorizontalFlip(),
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # dla dataset.py
        std=(58.395, 57.12, 57.375),  # dla dataset.py
    ),
)
_OPTIMIZER = SGD(
    lr=0.1,  # dla classify.py
    momentum=0.9,  # dla classify.py
)
_SCHEDULE = Steps(
    epochs=120,  # dla classify.py
    milestones=(30, 60, 90),  # dla classify.py: every 30 epochs
    gamma=0.1,  # dla classify.py
)
_REGULARIZATION = Regularization(weight_decay=1e-4)  # dla classify.py: of every parameter
_SINGLE_CROP = Evaluation(
    resize=(256,),  # dla classify.py
    crop=224,  # dla classify.py
)
_WHERE = "models/dla.mdx, the authors' checkpoint measured again"
_NOTE = "The paper shows this network in a plot only."
_DEPARTURES = (
    "Colours are left alone, as by the code's default; the paper is said to have perturbed them.",
    "Projections that the authors' code creates and never uses are left out.",
)

DLA34 = Recipe(
    name="dla34",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla34",
        parameters=15_742_104,  # measured; yu2018 Table 1: 15.8 million
        gmacs=3.060,  # measured; yu2018 Table 1: 3.1
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.62,  # timm_dla models/dla.mdx
            top5=92.06,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA60 = Recipe(
    name="dla60",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla60",
        parameters=22_036_632,  # measured; yu2018 Table 1: 22.0 million
        gmacs=4.236,  # measured; yu2018 Table 1: 4.2
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.04,  # timm_dla models/dla.mdx
            top5=93.32,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA102 = Recipe(
    name="dla102",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla102",
        parameters=33_268_888,  # measured; yu2018 Table 1: 33.3 million
        gmacs=7.165,  # measured; yu2018 Table 1: 7.2
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.03,  # timm_dla models/dla.mdx
            top5=93.95,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA169 = Recipe(
    name="dla169",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla169",
        parameters=53_389_720,  # measured; yu2018 Table 1: 53.5 million
        gmacs=11.558,  # measured; yu2018 Table 1: 11.6
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.69,  # timm_dla models/dla.mdx
            top5=94.33,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA_X60 = Recipe(
    name="dla_x60",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla60x",
        parameters=17_352_344,  # measured; yu2018 Table 1: 17.4 million
        gmacs=3.517,  # measured; yu2018 Table 1: 3.5
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.25,  # timm_dla models/dla.mdx
            top5=94.02,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA_X102 = Recipe(
    name="dla_x102",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla102x",
        parameters=26_309_272,  # measured; yu2018 Table 1: 26.4 million
        gmacs=5.848,  # measured; yu2018 Table 1: 5.9
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.51,  # timm_dla models/dla.mdx
            top5=94.23,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA_X102_64 = Recipe(
    name="dla_x102_64",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, TIMM_DLA, MEASURED),
    model=Model(
        "timm:dla102x2",
        parameters=41_282_200,  # measured; yu2018 Table 1: 41.4 million
        gmacs=9.284,  # measured; yu2018 Table 1: 9.3
        gmacs_size=224,  # yu2018 Table 1
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=79.44,  # timm_dla models/dla.mdx
            top5=94.65,  # timm_dla models/dla.mdx
            source=TIMM_DLA,
            where=_WHERE,
            evaluation=_SINGLE_CROP,
            confidence="medium",
            note=_NOTE,
        ),
    ),
    departures=_DEPARTURES,
)

DLA46_C = Recipe(
    name="dla46_c",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, MEASURED),
    model=Model(
        "timm:dla46_c",
        parameters=1_301_400,  # measured; yu2018 Table 2: 1.3 million
        gmacs=0.574,  # measured; yu2018 Table 2: 0.5
        gmacs_size=224,  # yu2018 Table 2
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=64.9,  # yu2018 Table 2
            top5=86.7,  # yu2018 Table 2
            source=YU_2018,
            where="Table 2, compact networks",
            evaluation=_SINGLE_CROP,
            confidence="medium",
        ),
    ),
    departures=_DEPARTURES,
)

DLA_X46_C = Recipe(
    name="dla_x46_c",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, MEASURED),
    model=Model(
        "timm:dla46x_c",
        parameters=1_068_440,  # measured; yu2018 Table 2: 1.1 million
        gmacs=0.533,  # measured; yu2018 Table 2: 0.5
        gmacs_size=224,  # yu2018 Table 2
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=66.0,  # yu2018 Table 2
            top5=87.0,  # yu2018 Table 2
            source=YU_2018,
            where="Table 2, compact networks",
            evaluation=_SINGLE_CROP,
            confidence="medium",
        ),
    ),
    departures=_DEPARTURES,
)

DLA_X60_C = Recipe(
    name="dla_x60_c",
    family="DLA",
    year=2018,  # yu2018
    sources=(YU_2018, DLA, MEASURED),
    model=Model(
        "timm:dla60x_c",
        parameters=1_319_832,  # measured; yu2018 Table 2: 1.3 million
        gmacs=0.581,  # measured; yu2018 Table 2: 0.6
        gmacs_size=224,  # yu2018 Table 2
        batch_norm=_BATCH_NORM,
        narrow=_NARROW,
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=68.0,  # yu2018 Table 2
            top5=88.4,  # yu2018 Table 2
            source=YU_2018,
            where="Table 2, compact networks",
            evaluation=_SINGLE_CROP,
            confidence="medium",
        ),
    ),
    departures=_DEPARTURES,
)
