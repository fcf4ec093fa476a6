"""EfficientNet: Tan and Le 2019, as the latest version of the paper says and as its code does.

The paper's numbers are those with AutoAugment. The authors' README has two more trainings of the networks:
with crop and flip alone ("baseline") and with RandAugment. Everything else is the same in all of them.
"""

from dataclasses import replace

from recipes.schema import (
    EMA,
    AutoAugment,
    BatchNorm,
    Data,
    Evaluation,
    Exponential,
    He,
    HorizontalFlip,
    Initialization,
    Model,
    Normalize,
    RandAugment,
    RandomResizedCrop,
    Recipe,
    Regularization,
    RMSProp,
    Target,
    Uniform,
    Warmup,
)
from recipes.sources import MEASURED, TAN_2019, TPU

_SOURCES = (TAN_2019, TPU, MEASURED)

_BATCH_NORM = BatchNorm(
    momentum=0.99,  # tan2019 §5.2
    eps=1e-3,  # tpu efficientnet_builder.py
    images=1024,  # tpu utils.py: groups of 8 cores, of 128 images on the 32 cores of main.py
)
_START = Initialization(
    He(fan="fan_out", per_group=True),  # tpu efficientnet_model.py: conv_kernel_initializer
    linear=Uniform(bound=1000**-0.5),  # tpu efficientnet_model.py: dense_kernel_initializer
)
_NARROW = {
    "width": 0.25,  # measured: small enough for --tiny
    "depth": 0.2,  # measured: small enough for --tiny
}

_BATCH = 4096  # not in tan2019; tpu main.py: 0.016 per 256 images make its rate there (default 2048)
_CROP = RandomResizedCrop(
    size=224,  # tpu efficientnet_builder.py
    area=(0.08, 1.0),  # tpu preprocessing.py
    ratio=(3 / 4, 4 / 3),  # tpu preprocessing.py
    attempts=10,  # tpu preprocessing.py
    rule="tensorflow",
    covered=0.1,  # tpu preprocessing.py: min_object_covered
    fallback="central_square",
    interpolation="bicubic",
    antialias=False,  # tpu preprocessing.py: tf.image.resize_bicubic
)
_NORMALIZE = Normalize(
    mean=(123.675, 116.28, 103.53),  # tpu efficientnet_builder.py
    std=(58.395, 57.12, 57.375),  # tpu efficientnet_builder.py
)
_AUTOAUGMENT = AutoAugment("google_v0")  # tan2019 §5.2 (tpu main.py: none unless --augment_name asks)

_OPTIMIZER = RMSProp(
    lr=0.256,  # tan2019 §5.2
    decay=0.9,  # tan2019 §5.2
    momentum=0.9,  # tan2019 §5.2
    eps=1e-3,  # tpu utils.py
)
_SCHEDULE = Exponential(
    epochs=350,  # not in tan2019; tpu main.py: 218,949 steps of 2048 images
    decay=0.97,  # tan2019 §5.2
    every=2.4,  # tan2019 §5.2
    warmup=Warmup(epochs=5),  # tpu main.py
)
_REGULARIZATION = Regularization(
    weight_decay=1e-5,  # tan2019 §5.2
    decay_norm=False,  # tpu main.py: all but batch normalization
    decay_bias=True,  # tpu main.py
    label_smoothing=0.1,  # tpu main.py
    dropout=0.2,  # tan2019 §5.2: B0's
    drop_path=0.2,  # tan2019 §5.2: survival probability 0.8
)
_EMA = EMA(decay=0.9999)  # tpu main.py

_TEST = Evaluation(
    crop=224,  # tpu efficientnet_builder.py
    resize=(224,),  # tpu efficientnet_builder.py
    window="efficientnet",
    margin=32,  # tpu preprocessing.py: CROP_PADDING
    interpolation="bicubic",
    antialias=False,  # tpu preprocessing.py: tf.image.resize_bicubic
)
_TEST_240 = replace(
    _TEST,
    crop=240,  # tpu efficientnet_builder.py
    resize=(240,),  # tpu efficientnet_builder.py
)
_TEST_260 = replace(
    _TEST,
    crop=260,  # tpu efficientnet_builder.py
    resize=(260,),  # tpu efficientnet_builder.py
)
_TEST_300 = replace(
    _TEST,
    crop=300,  # tpu efficientnet_builder.py
    resize=(300,),  # tpu efficientnet_builder.py
)
_TEST_380 = replace(
    _TEST,
    crop=380,  # tpu efficientnet_builder.py
    resize=(380,),  # tpu efficientnet_builder.py
)
_TEST_456 = replace(
    _TEST,
    crop=456,  # tpu efficientnet_builder.py
    resize=(456,),  # tpu efficientnet_builder.py
)
_TEST_528 = replace(
    _TEST,
    crop=528,  # tpu efficientnet_builder.py
    resize=(528,),  # tpu efficientnet_builder.py
)
_TEST_600 = replace(
    _TEST,
    crop=600,  # tpu efficientnet_builder.py
    resize=(600,),  # tpu efficientnet_builder.py
)

_DEPARTURES = (
    "All 1,281,167 training images are trained on; the authors held 25,022 out to stop early.",
    "Images are resized with pixel centres at half a pixel; TensorFlow 1 has them at whole ones.",
)
_BEYOND_THE_SCALE = (
    "Above magnitude 20 RandAugment's Posterize keeps one bit, as TensorFlow's shift does on a CPU; what it "
    "does on the authors' TPUs is not documented.",
)

_B0 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.0,  # tpu efficientnet_builder.py
        "depth": 1.0,  # tpu efficientnet_builder.py
    },
    parameters=5_288_548,  # measured; tan2019 Table 2: 5.3 million
    gmacs=0.386,  # measured; tan2019 Table 2: 0.39
    gmacs_size=224,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B1 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.0,  # tpu efficientnet_builder.py
        "depth": 1.1,  # tpu efficientnet_builder.py
    },
    parameters=7_794_184,  # measured; tan2019 Table 2: 7.8 million
    gmacs=0.687,  # measured; tan2019 Table 2: 0.70
    gmacs_size=240,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B2 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.1,  # tpu efficientnet_builder.py
        "depth": 1.2,  # tpu efficientnet_builder.py
    },
    parameters=9_109_994,  # measured; tan2019 Table 2: 9.2 million
    gmacs=0.994,  # measured; tan2019 Table 2: 1.0
    gmacs_size=260,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B3 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.2,  # tpu efficientnet_builder.py
        "depth": 1.4,  # tpu efficientnet_builder.py
    },
    parameters=12_233_232,  # measured; tan2019 Table 2: 12 million
    gmacs=1.83,  # measured; tan2019 Table 2: 1.8
    gmacs_size=300,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B4 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.4,  # tpu efficientnet_builder.py
        "depth": 1.8,  # tpu efficientnet_builder.py
    },
    parameters=19_341_616,  # measured; tan2019 Table 2: 19 million
    gmacs=4.39,  # measured; tan2019 Table 2: 4.2
    gmacs_size=380,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B5 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.6,  # tpu efficientnet_builder.py
        "depth": 2.2,  # tpu efficientnet_builder.py
    },
    parameters=30_389_784,  # measured; tan2019 Table 2: 30 million
    gmacs=10.3,  # measured; tan2019 Table 2: 9.9
    gmacs_size=456,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B6 = Model(
    "top1:efficientnet",
    arguments={
        "width": 1.8,  # tpu efficientnet_builder.py
        "depth": 2.6,  # tpu efficientnet_builder.py
    },
    parameters=43_040_704,  # measured; tan2019 Table 2: 43 million
    gmacs=19.1,  # measured; tan2019 Table 2: 19
    gmacs_size=528,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)
_B7 = Model(
    "top1:efficientnet",
    arguments={
        "width": 2.0,  # tpu efficientnet_builder.py
        "depth": 3.1,  # tpu efficientnet_builder.py
    },
    parameters=66_347_960,  # measured; tan2019 Table 2: 66 million
    gmacs=37.7,  # measured; tan2019 Table 2: 37
    gmacs_size=600,  # tpu efficientnet_builder.py
    batch_norm=_BATCH_NORM,
    initialization=_START,
    narrow=_NARROW,
)

EFFICIENTNET_B0 = Recipe(
    name="efficientnet_b0",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B0,
    data=Data(
        batch_size=_BATCH,
        augment=(
            _CROP,
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    ema=_EMA,
    validation=_TEST,
    targets=(
        Target(
            top1=77.1,  # tan2019 Table 2
            top5=93.3,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B1 = Recipe(
    name="efficientnet_b1",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B1,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=240),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    ema=_EMA,
    validation=_TEST_240,
    targets=(
        Target(
            top1=79.1,  # tan2019 Table 2
            top5=94.4,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_240,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B2 = Recipe(
    name="efficientnet_b2",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B2,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=260),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.3),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_260,
    targets=(
        Target(
            top1=80.1,  # tan2019 Table 2
            top5=94.9,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_260,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B3 = Recipe(
    name="efficientnet_b3",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B3,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=300),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.3),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_300,
    targets=(
        Target(
            top1=81.6,  # tan2019 Table 2
            top5=95.7,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_300,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B4 = Recipe(
    name="efficientnet_b4",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B4,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=380),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.4),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_380,
    targets=(
        Target(
            top1=82.9,  # tan2019 Table 2
            top5=96.4,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_380,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B5 = Recipe(
    name="efficientnet_b5",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B5,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=456),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.4),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_456,
    targets=(
        Target(
            top1=83.6,  # tan2019 Table 2
            top5=96.7,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_456,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B6 = Recipe(
    name="efficientnet_b6",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B6,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=528),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.5),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_528,
    targets=(
        Target(
            top1=84.0,  # tan2019 Table 2
            top5=96.8,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_528,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B7 = Recipe(
    name="efficientnet_b7",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B7,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=600),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            _AUTOAUGMENT,
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.5),  # tan2019 §5.2
    ema=_EMA,
    validation=_TEST_600,
    targets=(
        Target(
            top1=84.3,  # tan2019 Table 2
            top5=97.0,  # tan2019 Table 2
            source=TAN_2019,
            where="Table 2 (latest arXiv version, AutoAugment)",
            evaluation=_TEST_600,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B0_BASELINE = Recipe(
    name="efficientnet_b0@baseline",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B0,
    data=Data(
        batch_size=_BATCH,
        augment=(
            _CROP,
            HorizontalFlip(),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    ema=_EMA,
    validation=_TEST,
    targets=(
        Target(
            top1=76.7,  # tpu README.md
            source=TPU,
            where='README.md, row "baseline preprocessing", the released checkpoint',
            evaluation=_TEST,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B1_BASELINE = Recipe(
    name="efficientnet_b1@baseline",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B1,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=240),  # tpu efficientnet_builder.py
            HorizontalFlip(),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    ema=_EMA,
    validation=_TEST_240,
    targets=(
        Target(
            top1=78.7,  # tpu README.md
            source=TPU,
            where='README.md, row "baseline preprocessing", the released checkpoint',
            evaluation=_TEST_240,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B2_BASELINE = Recipe(
    name="efficientnet_b2@baseline",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B2,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=260),  # tpu efficientnet_builder.py
            HorizontalFlip(),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.3),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_260,
    targets=(
        Target(
            top1=79.8,  # tpu README.md
            source=TPU,
            where='README.md, row "baseline preprocessing", the released checkpoint',
            evaluation=_TEST_260,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B3_BASELINE = Recipe(
    name="efficientnet_b3@baseline",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B3,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=300),  # tpu efficientnet_builder.py
            HorizontalFlip(),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.3),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_300,
    targets=(
        Target(
            top1=81.1,  # tpu README.md
            source=TPU,
            where='README.md, row "baseline preprocessing", the released checkpoint',
            evaluation=_TEST_300,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B4_BASELINE = Recipe(
    name="efficientnet_b4@baseline",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B4,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=380),  # tpu efficientnet_builder.py
            HorizontalFlip(),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.4),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_380,
    targets=(
        Target(
            top1=82.5,  # tpu README.md
            source=TPU,
            where='README.md, row "baseline preprocessing", the released checkpoint',
            evaluation=_TEST_380,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B5_BASELINE = Recipe(
    name="efficientnet_b5@baseline",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B5,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=456),  # tpu efficientnet_builder.py
            HorizontalFlip(),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.4),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_456,
    targets=(
        Target(
            top1=83.1,  # tpu README.md
            source=TPU,
            where='README.md, row "baseline preprocessing", the released checkpoint',
            evaluation=_TEST_456,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B5_RANDAUGMENT = Recipe(
    name="efficientnet_b5@randaugment",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B5,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=456),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            RandAugment(
                magnitude=17,  # tpu README.md
                layers=2,  # tpu README.md
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.4),  # tpu efficientnet_builder.py
    ema=_EMA,
    validation=_TEST_456,
    targets=(
        Target(
            top1=83.7,  # tpu README.md
            source=TPU,
            where='README.md, row "RandAugment", the released checkpoint',
            evaluation=_TEST_456,
        ),
    ),
    departures=_DEPARTURES,
)

EFFICIENTNET_B7_RANDAUGMENT = Recipe(
    name="efficientnet_b7@randaugment",
    family="EfficientNet",
    year=2019,  # tan2019
    sources=_SOURCES,
    model=_B7,
    data=Data(
        batch_size=_BATCH,
        augment=(
            replace(_CROP, size=600),  # tpu efficientnet_builder.py
            HorizontalFlip(),
            RandAugment(
                magnitude=28,  # tpu README.md
                layers=2,  # tpu README.md
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=replace(_REGULARIZATION, dropout=0.5),  # tan2019 §5.2
    ema=_EMA,
    validation=_TEST_600,
    targets=(
        Target(
            top1=84.7,  # tpu README.md
            source=TPU,
            where='README.md, row "RandAugment", the released checkpoint',
            evaluation=_TEST_600,
        ),
    ),
    departures=_DEPARTURES + _BEYOND_THE_SCALE,
)
