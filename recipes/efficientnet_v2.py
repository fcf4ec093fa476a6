"""EfficientNetV2: Tan and Le 2021. Five trainings of its networks.

As the paper says (progressive learning, Table 6); as its code does (@automl); pretraining on ImageNet-21k
(@21k) and fine-tuning after it (@21k_ft), which only the code spells out; torchvision's own (@torchvision).
"""

from dataclasses import replace

from recipes.schema import (
    EMA,
    SGD,
    AutoAugment,
    BatchNorm,
    CenterCrop,
    Cosine,
    Data,
    Evaluation,
    Exponential,
    HorizontalFlip,
    Mixup,
    MixupCutMixHalves,
    Model,
    Normalize,
    Progressive,
    Ramp,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    Recipe,
    Regularization,
    RMSProp,
    StartFrom,
    Target,
    TrivialAugment,
    Warmup,
)
from recipes.sources import AUTOML, MEASURED, TAN_2021, TORCHVISION, TPU

_SOURCES = (TAN_2021, AUTOML, TPU, MEASURED)

# ---------------------------------------------------------------- what several trainings share

_PAPER_NORM = BatchNorm(
    momentum=0.99,  # tan2021 §5.1 (automl: 0.9)
    eps=1e-3,  # automl hparams.py
    images=1024,  # automl utils.py: 8 cores of 128 images on the 32 cores of tan2021 §5.1
)
_CODE_NORM = BatchNorm(
    momentum=0.9,  # automl hparams.py (tan2021 §5.1: 0.99)
    eps=1e-3,  # automl hparams.py
    images=1024,  # automl utils.py: 8 cores of 128 images on the 32 cores of tan2021 §5.1
)
_NARROW = {
    "channel_multiplier": 0.25,  # measured: small enough for --tiny
    "depth_multiplier": 0.2,  # measured: small enough for --tiny
}

_CROP = RandomResizedCrop(
    size=300,  # tan2021 Table 6
    area=(0.05, 1.0),  # automl preprocessing.py
    ratio=(0.75, 1.33),  # automl preprocessing.py: sample_distorted_bounding_box's default
    attempts=100,  # automl preprocessing.py: sample_distorted_bounding_box's default
    rule="tensorflow",
    covered=0.0,  # automl preprocessing.py: min_object_covered
    fallback="whole",  # automl preprocessing.py
    antialias=False,  # automl preprocessing.py: tf.image.resize
)
_NORMALIZE = Normalize(mean=(128.0,) * 3, std=(128.0,) * 3)  # automl preprocessing.py

_PAPER_OPTIMIZER = RMSProp(
    lr=0.256,  # tan2021 §5.1 (automl: 0.016 per 256 images, the same)
    decay=0.9,  # tan2021 §5.1
    momentum=0.9,  # tan2021 §5.1
    eps=1e-3,  # automl utils.py
)
_PAPER_SCHEDULE = Exponential(
    epochs=350,  # tan2021 §5.1
    decay=0.97,  # tan2021 §5.1
    every=2.4,  # tan2021 §5.1
    warmup=Warmup(epochs=5),  # automl datasets.py; tan2021 §5.1 gives no length
)
_PAPER_REGULARIZATION = Regularization(
    weight_decay=1e-5,  # tan2021 §5.1
    decay_norm=False,  # automl hparams.py: weight_decay_exclude
    decay_bias=False,  # automl hparams.py: weight_decay_exclude
    label_smoothing=0.1,  # automl datasets.py
    dropout=0.3,  # tan2021 Table 6, the last stage's
    drop_path=0.2,  # tan2021 §5.1: survival probability 0.8
)

_CODE_OPTIMIZER = RMSProp(
    lr=0.256,  # automl datasets.py: 0.016 per 256 images
    decay=0.9,  # automl utils.py
    momentum=0.9,  # automl utils.py
    eps=1e-3,  # automl utils.py
)
_CODE_SCHEDULE = Exponential(
    epochs=350,  # automl datasets.py
    decay=0.97,  # automl hparams.py
    every=2.4,  # automl hparams.py
    warmup=Warmup(epochs=5),  # automl datasets.py
)
_CODE_REGULARIZATION = Regularization(
    weight_decay=1e-5,  # automl hparams.py
    decay_norm=False,  # automl hparams.py: weight_decay_exclude
    decay_bias=False,  # automl hparams.py: weight_decay_exclude
    label_smoothing=0.1,  # automl datasets.py
    dropout=0.2,  # automl effnetv2_configs.py; the code never changes it between stages
    drop_path=0.2,  # automl hparams.py: survival probability 0.8
)
_EMA = EMA(decay=0.9999)  # tan2021 §5.1

# automl preprocessing.py: from 320 pixels on the whole image is squashed, no crop.
_SQUASH_384 = Evaluation(
    resize=(384,),  # automl effnetv2_configs.py
    crop=384,  # automl effnetv2_configs.py
    squash=True,
    antialias=False,  # automl preprocessing.py: tf.image.resize
)
_SQUASH_480 = replace(
    _SQUASH_384,
    resize=(480,),  # automl effnetv2_configs.py; tan2021 §5.1: 20% above the training size
    crop=480,  # automl effnetv2_configs.py
)
_SQUASH_512 = replace(
    _SQUASH_384,
    resize=(512,),  # automl effnetv2_configs.py
    crop=512,  # automl effnetv2_configs.py
)

_HELD_OUT = (
    "All 1,281,167 training images are trained on; the authors held about 25,000 out to stop early.",
)
_BEYOND_THE_SCALE = (
    "At RandAugment's magnitude 25, the last stage's, Posterize keeps one bit, as TensorFlow's shift does on "
    "a CPU; what it does on the authors' TPUs is not documented.",
)

# ---------------------------------------------------------------- as the paper says

EFFICIENTNETV2_S = Recipe(
    name="efficientnetv2_s",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_s",
        parameters=21_458_488,  # measured; tan2021 Table 7: 22 million
        gmacs=8.37,  # measured; tan2021 Table 7: 8.8
        gmacs_size=384,  # tan2021 Table 7
        batch_norm=_PAPER_NORM,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=4096,  # tan2021 §5.1
        augment=(
            _CROP,
            HorizontalFlip(),
            RandAugment(
                magnitude=15,  # tan2021 Table 6, the last stage's
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_PAPER_OPTIMIZER,
    schedule=_PAPER_SCHEDULE,
    regularization=_PAPER_REGULARIZATION,
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # tan2021 §5.1
        image_size=Ramp(128, 300),  # tan2021 Table 6
        randaugment=Ramp(5, 15),  # tan2021 Table 6
        dropout=Ramp(0.1, 0.3),  # tan2021 Table 6
    ),
    validation=_SQUASH_384,
    targets=(
        Target(
            top1=83.9,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7",
            evaluation=_SQUASH_384,
        ),
    ),
    departures=_HELD_OUT,
)

EFFICIENTNETV2_M = Recipe(
    name="efficientnetv2_m",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_m",
        parameters=54_139_356,  # measured; tan2021 Table 7: 54 million
        gmacs=24.6,  # measured; tan2021 Table 7: 24
        gmacs_size=480,  # tan2021 Table 7
        batch_norm=_PAPER_NORM,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=4096,  # tan2021 §5.1
        augment=(
            replace(_CROP, size=380),  # tan2021 Table 6 (automl: 384)
            HorizontalFlip(),
            RandAugment(
                magnitude=20,  # tan2021 Table 6, the last stage's
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
        mixing=Mixup(alpha=0.2),  # tan2021 Table 6, the last stage's
    ),
    optimizer=_PAPER_OPTIMIZER,
    schedule=_PAPER_SCHEDULE,
    regularization=replace(_PAPER_REGULARIZATION, dropout=0.4),  # tan2021 Table 6, the last stage's
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # tan2021 §5.1
        image_size=Ramp(128, 380),  # tan2021 Table 6
        randaugment=Ramp(5, 20),  # tan2021 Table 6
        mixup=Ramp(0, 0.2),  # tan2021 Table 6
        dropout=Ramp(0.1, 0.4),  # tan2021 Table 6
    ),
    validation=_SQUASH_480,
    targets=(
        Target(
            top1=85.1,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7 (the code's README: 85.2)",
            evaluation=_SQUASH_480,
        ),
    ),
    departures=_HELD_OUT,
)

EFFICIENTNETV2_L = Recipe(
    name="efficientnetv2_l",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_l",
        parameters=118_515_272,  # measured; tan2021 Table 7: 120 million
        gmacs=56.1,  # measured; tan2021 Table 7: 53
        gmacs_size=480,  # tan2021 Table 7
        batch_norm=_PAPER_NORM,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=4096,  # tan2021 §5.1
        augment=(
            replace(_CROP, size=380),  # tan2021 Table 6 (automl: 384)
            HorizontalFlip(),
            RandAugment(
                magnitude=25,  # tan2021 Table 6, the last stage's
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
        mixing=Mixup(alpha=0.5),  # tan2021 Table 6, the last stage's
    ),
    optimizer=_PAPER_OPTIMIZER,
    schedule=_PAPER_SCHEDULE,
    regularization=replace(_PAPER_REGULARIZATION, dropout=0.5),  # tan2021 Table 6, the last stage's
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # tan2021 §5.1
        image_size=Ramp(128, 380),  # tan2021 Table 6
        randaugment=Ramp(5, 25),  # tan2021 Table 6
        mixup=Ramp(0, 0.5),  # tan2021 Table 6
        dropout=Ramp(0.1, 0.5),  # tan2021 Table 6
    ),
    validation=_SQUASH_480,
    targets=(
        Target(
            top1=85.7,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7",
            evaluation=_SQUASH_480,
        ),
    ),
    departures=_HELD_OUT + _BEYOND_THE_SCALE,
)

# ---------------------------------------------------------------- as the released code does

EFFICIENTNETV2_S_AUTOML = Recipe(
    name="efficientnetv2_s@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_s",
        parameters=21_458_488,  # measured; tan2021 Table 7: 22 million
        gmacs=8.37,  # measured; tan2021 Table 7: 8.8
        gmacs_size=384,  # tan2021 Table 7
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            _CROP,
            HorizontalFlip(),
            RandAugment(
                magnitude=10,  # automl effnetv2_configs.py (tan2021 Table 6: 15)
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=_CODE_REGULARIZATION,
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 300, includes_start=False),  # automl main.py, hparams.py: ibase 128
        randaugment=Ramp(5, 10),  # automl main.py, effnetv2_configs.py
    ),
    validation=_SQUASH_384,
    targets=(
        Target(
            top1=83.9,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_384,
        ),
    ),
    departures=_HELD_OUT,
)

EFFICIENTNETV2_M_AUTOML = Recipe(
    name="efficientnetv2_m@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_m",
        parameters=54_139_356,  # measured; tan2021 Table 7: 54 million
        gmacs=24.6,  # measured; tan2021 Table 7: 24
        gmacs_size=480,  # tan2021 Table 7
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            replace(_CROP, size=384),  # automl effnetv2_configs.py (tan2021 Table 6: 380)
            HorizontalFlip(),
            RandAugment(
                magnitude=15,  # automl effnetv2_configs.py (tan2021 Table 6: 20)
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
        mixing=MixupCutMixHalves(
            mixup_alpha=0.2,  # automl effnetv2_configs.py
            cutmix_alpha=0.2,  # automl effnetv2_configs.py; not in tan2021
        ),
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=replace(_CODE_REGULARIZATION, dropout=0.3),  # automl effnetv2_configs.py
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 384, includes_start=False),  # automl main.py, hparams.py: ibase 128
        randaugment=Ramp(5, 15),  # automl main.py, effnetv2_configs.py
        mixup=Ramp(0, 0.2),  # automl main.py, effnetv2_configs.py
        cutmix=Ramp(0, 0.2),  # automl main.py, effnetv2_configs.py
    ),
    validation=_SQUASH_480,
    targets=(
        Target(
            top1=85.2,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_480,
        ),
    ),
    departures=_HELD_OUT,
)

EFFICIENTNETV2_L_AUTOML = Recipe(
    name="efficientnetv2_l@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_l",
        parameters=118_515_272,  # measured; tan2021 Table 7: 120 million
        gmacs=56.1,  # measured; tan2021 Table 7: 53
        gmacs_size=480,  # tan2021 Table 7
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            replace(_CROP, size=384),  # automl effnetv2_configs.py (tan2021 Table 6: 380)
            HorizontalFlip(),
            RandAugment(
                magnitude=20,  # automl effnetv2_configs.py (tan2021 Table 6: 25)
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=_NORMALIZE,
        mixing=MixupCutMixHalves(
            mixup_alpha=0.5,  # automl effnetv2_configs.py
            cutmix_alpha=0.5,  # automl effnetv2_configs.py; not in tan2021
        ),
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=replace(_CODE_REGULARIZATION, dropout=0.4),  # automl effnetv2_configs.py
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 384, includes_start=False),  # automl main.py, hparams.py: ibase 128
        randaugment=Ramp(5, 20),  # automl main.py, effnetv2_configs.py
        mixup=Ramp(0, 0.5),  # automl main.py, effnetv2_configs.py
        cutmix=Ramp(0, 0.5),  # automl main.py, effnetv2_configs.py
    ),
    validation=_SQUASH_480,
    targets=(
        Target(
            top1=85.7,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_480,
        ),
    ),
    departures=_HELD_OUT,
)

# The base networks are trained like EfficientNet's: its crop, AutoAugment, bicubic resize and test.
_BASE_CROP = RandomResizedCrop(
    size=192,  # automl effnetv2_configs.py
    area=(0.08, 1.0),  # automl preprocess_legacy.py
    ratio=(3 / 4, 4 / 3),  # automl preprocess_legacy.py
    attempts=10,  # automl preprocess_legacy.py
    rule="tensorflow",
    covered=0.1,  # automl preprocess_legacy.py: min_object_covered
    fallback="central_square",
    interpolation="bicubic",
    antialias=False,  # automl preprocess_legacy.py: tf.image.resize_bicubic
)
_BASE_NORMALIZE = Normalize(
    mean=(123.675, 116.28, 103.53),  # automl preprocess_legacy.py
    std=(58.395, 57.12, 57.375),  # automl preprocess_legacy.py
)
_BASE_NARROW = {
    "width": 0.25,  # measured: small enough for --tiny
    "depth": 0.2,  # measured: small enough for --tiny
}
_BASE_224 = Evaluation(
    crop=224,  # automl effnetv2_configs.py
    resize=(224,),  # automl effnetv2_configs.py
    window="efficientnet",
    margin=32,  # automl preprocess_legacy.py
    interpolation="bicubic",
    antialias=False,  # automl preprocess_legacy.py: tf.image.resize_bicubic
)
_BASE_240 = replace(
    _BASE_224,
    crop=240,  # automl effnetv2_configs.py
    resize=(240,),  # automl effnetv2_configs.py
)
_BASE_260 = replace(
    _BASE_224,
    crop=260,  # automl effnetv2_configs.py
    resize=(260,),  # automl effnetv2_configs.py
)
_BASE_300 = replace(
    _BASE_224,
    crop=300,  # automl effnetv2_configs.py
    resize=(300,),  # automl effnetv2_configs.py
)
_BASE_DEPARTURES = (
    *_HELD_OUT,
    "Images are resized with pixel centres at half a pixel; TensorFlow 1 has them at whole ones.",
)

EFFICIENTNETV2_B0_AUTOML = Recipe(
    name="efficientnetv2_b0@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "top1:efficientnet_v2_base",
        arguments={
            "width": 1.0,  # automl effnetv2_configs.py
            "depth": 1.0,  # automl effnetv2_configs.py
        },
        parameters=7_139_704,  # measured; automl README.md: 7.1 million
        gmacs=0.718,  # measured; automl README.md: 0.72
        gmacs_size=224,  # automl effnetv2_configs.py
        batch_norm=_CODE_NORM,
        narrow=_BASE_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            _BASE_CROP,
            HorizontalFlip(),
            AutoAugment("google_v0"),  # automl effnetv2_configs.py
        ),
        normalize=_BASE_NORMALIZE,
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=_CODE_REGULARIZATION,
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 192, includes_start=False),  # automl main.py, hparams.py: ibase 128
    ),
    validation=_BASE_224,
    targets=(
        Target(
            top1=78.7,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_BASE_224,
        ),
    ),
    departures=_BASE_DEPARTURES,
)

EFFICIENTNETV2_B1_AUTOML = Recipe(
    name="efficientnetv2_b1@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "top1:efficientnet_v2_base",
        arguments={
            "width": 1.0,  # automl effnetv2_configs.py
            "depth": 1.1,  # automl effnetv2_configs.py
        },
        parameters=8_141_052,  # measured; automl README.md: 8.1 million
        gmacs=1.2,  # measured; automl README.md: 1.2
        gmacs_size=240,  # automl effnetv2_configs.py
        batch_norm=_CODE_NORM,
        narrow=_BASE_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            _BASE_CROP,
            HorizontalFlip(),
            AutoAugment("google_v0"),  # automl effnetv2_configs.py
        ),
        normalize=_BASE_NORMALIZE,
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=_CODE_REGULARIZATION,
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 192, includes_start=False),  # automl main.py, hparams.py: ibase 128
    ),
    validation=_BASE_240,
    targets=(
        Target(
            top1=79.8,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_BASE_240,
        ),
    ),
    departures=_BASE_DEPARTURES,
)

EFFICIENTNETV2_B2_AUTOML = Recipe(
    name="efficientnetv2_b2@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "top1:efficientnet_v2_base",
        arguments={
            "width": 1.1,  # automl effnetv2_configs.py
            "depth": 1.2,  # automl effnetv2_configs.py
        },
        parameters=10_096_086,  # measured; automl README.md: 10.1 million
        gmacs=1.7,  # measured; automl README.md: 1.7
        gmacs_size=260,  # automl effnetv2_configs.py
        batch_norm=_CODE_NORM,
        narrow=_BASE_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            replace(_BASE_CROP, size=208),  # automl effnetv2_configs.py
            HorizontalFlip(),
            AutoAugment("google_v0"),  # automl effnetv2_configs.py
        ),
        normalize=_BASE_NORMALIZE,
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=replace(_CODE_REGULARIZATION, dropout=0.3),  # automl effnetv2_configs.py
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 208, includes_start=False),  # automl main.py, hparams.py: ibase 128
    ),
    validation=_BASE_260,
    targets=(
        Target(
            top1=80.5,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_BASE_260,
        ),
    ),
    departures=_BASE_DEPARTURES,
)

EFFICIENTNETV2_B3_AUTOML = Recipe(
    name="efficientnetv2_b3@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "top1:efficientnet_v2_base",
        arguments={
            "width": 1.2,  # automl effnetv2_configs.py
            "depth": 1.4,  # automl effnetv2_configs.py
        },
        parameters=14_358_406,  # measured; automl README.md: 14.4 million
        gmacs=3.01,  # measured; automl README.md: 3.0
        gmacs_size=300,  # automl effnetv2_configs.py
        batch_norm=_CODE_NORM,
        narrow=_BASE_NARROW,
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            replace(_BASE_CROP, size=240),  # automl effnetv2_configs.py
            HorizontalFlip(),
            AutoAugment("google_v0"),  # automl effnetv2_configs.py
        ),
        normalize=_BASE_NORMALIZE,
    ),
    optimizer=_CODE_OPTIMIZER,
    schedule=_CODE_SCHEDULE,
    regularization=replace(_CODE_REGULARIZATION, dropout=0.3),  # automl effnetv2_configs.py
    ema=_EMA,
    progressive=Progressive(
        stages=4,  # automl effnetv2_configs.py
        image_size=Ramp(128, 240, includes_start=False),  # automl main.py, hparams.py: ibase 128
    ),
    validation=_BASE_300,
    targets=(
        Target(
            top1=82.1,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_BASE_300,
        ),
    ),
    departures=_BASE_DEPARTURES,
)

# ---------------------------------------------------------------- pretraining on ImageNet-21k

# tan2021 §5.2 says "60 or 30 epochs", cosine, progressive, and gives no table; what follows is the code's.
_CLASSES_21K = 21_841  # tan2021 §5.2 (automl datasets.py: 21,843 outputs, two of them for no class)
_DATA_21K = Data(
    dataset="imagenet21k",
    batch_size=4096,  # automl hparams.py
    augment=(
        replace(_CROP, size=224),  # automl datasets.py
        HorizontalFlip(),
    ),
    normalize=_NORMALIZE,
)
_OPTIMIZER_21K = RMSProp(
    lr=0.128,  # automl datasets.py: 0.008 per 256 images
    decay=0.9,  # tan2021 §5.1
    momentum=0.9,  # tan2021 §5.1
    eps=1e-3,  # automl utils.py
)
_SCHEDULE_21K = Cosine(
    epochs=60,  # automl datasets.py; tan2021 §5.2: 60 or 30
    warmup=Warmup(epochs=1),  # automl datasets.py
)
_REGULARIZATION_21K = Regularization(
    weight_decay=1e-5,  # automl hparams.py
    decay_norm=False,  # automl hparams.py: weight_decay_exclude
    decay_bias=False,  # automl hparams.py: weight_decay_exclude
    label_smoothing=0.0,  # automl datasets.py
    dropout=0.0,  # automl datasets.py: 0.000001
    drop_path=0.0,  # automl datasets.py: survival probability 1
)
_CENTER_224 = Evaluation(
    crop=224,  # automl datasets.py
    resize=(224,),  # automl datasets.py
    window="efficientnet_v2",
    margin=32,  # automl preprocessing.py
    antialias=False,  # automl preprocessing.py: tf.image.resize
)
_DEPARTURES_21K = (
    "The paper trains progressively on ImageNet-21k too and prints no table of it; this is its code: "
    "224 pixels throughout, crop and flip alone.",
    "An image has the one label of its folder; the authors' have all that apply, divided by their number.",
    "The cosine begins where the warm-up ends; the code's is counted from the first step.",
    "The running statistics of batch norm keep 0.9, as in the code; §5.1 has 0.99.",
)

EFFICIENTNETV2_S_21K = Recipe(
    name="efficientnetv2_s@21k",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_s",
        num_classes=_CLASSES_21K,
        parameters=48_155_809,  # measured
        gmacs=2.88,  # measured
        gmacs_size=224,  # automl datasets.py
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=_DATA_21K,
    optimizer=_OPTIMIZER_21K,
    schedule=_SCHEDULE_21K,
    regularization=_REGULARIZATION_21K,
    ema=_EMA,
    validation=_CENTER_224,
    targets=(),
    departures=_DEPARTURES_21K,
)

EFFICIENTNETV2_M_21K = Recipe(
    name="efficientnetv2_m@21k",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_m",
        num_classes=_CLASSES_21K,
        parameters=80_836_677,  # measured
        gmacs=5.39,  # measured
        gmacs_size=224,  # automl datasets.py
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=_DATA_21K,
    optimizer=_OPTIMIZER_21K,
    schedule=_SCHEDULE_21K,
    regularization=_REGULARIZATION_21K,
    ema=_EMA,
    validation=_CENTER_224,
    targets=(),
    departures=_DEPARTURES_21K,
)

EFFICIENTNETV2_L_21K = Recipe(
    name="efficientnetv2_l@21k",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_l",
        num_classes=_CLASSES_21K,
        parameters=145_212_593,  # measured
        gmacs=12.3,  # measured
        gmacs_size=224,  # automl datasets.py
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=_DATA_21K,
    optimizer=_OPTIMIZER_21K,
    schedule=_SCHEDULE_21K,
    regularization=_REGULARIZATION_21K,
    ema=_EMA,
    validation=_CENTER_224,
    targets=(),
    departures=_DEPARTURES_21K,
)

EFFICIENTNETV2_XL_21K = Recipe(
    name="efficientnetv2_xl@21k",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_xl",
        num_classes=_CLASSES_21K,
        parameters=234_817_129,  # measured
        gmacs=17.9,  # measured
        gmacs_size=224,  # automl datasets.py
        batch_norm=_CODE_NORM,
        narrow=_NARROW,
    ),
    data=_DATA_21K,
    optimizer=_OPTIMIZER_21K,
    schedule=_SCHEDULE_21K,
    regularization=_REGULARIZATION_21K,
    ema=_EMA,
    validation=_CENTER_224,
    targets=(),
    departures=_DEPARTURES_21K,
)

# ---------------------------------------------------------------- fine-tuning what was pretrained

_NORM_FT = BatchNorm(
    momentum=0.9,  # automl hparams.py (tan2021 §5.1: 0.99)
    eps=1e-3,  # automl hparams.py
    images=128,  # automl utils.py: 8 cores of 16 images on the 32 cores of tan2021 §5.1
)
_FLIP_AND_CUTOUT = (
    HorizontalFlip(),
    RandomErasing(
        probability=1.0,  # automl preprocessing.py
        area=(0.25, 0.25),  # automl preprocessing.py: half the side
        ratio=(1.0, 1.0),  # automl preprocessing.py
        fill="noise",
    ),
)
_NORMALIZE_FT = Normalize(mean=(127.5,) * 3, std=(127.5,) * 3)  # automl preprocessing.py
_OPTIMIZER_FT = RMSProp(
    lr=0.001,  # automl datasets.py: 0.0005 per 256 images
    decay=0.9,  # tan2021 §5.1
    momentum=0.9,  # tan2021 §5.1
    eps=1e-3,  # automl utils.py
)
_SCHEDULE_FT = Cosine(  # tan2021 §5.2 (automl datasets.py: constant)
    epochs=15,  # tan2021 §5.2
    warmup=Warmup(epochs=1),  # automl datasets.py
)
_REGULARIZATION_FT = Regularization(
    weight_decay=1e-5,  # automl datasets.py
    decay_norm=False,  # automl hparams.py: weight_decay_exclude
    decay_bias=False,  # automl hparams.py: weight_decay_exclude
    label_smoothing=0.1,  # automl datasets.py
    dropout=0.0,  # automl datasets.py: 0.000001
    drop_path=0.2,  # automl datasets.py: survival probability 0.8
)
_EMA_FT = EMA(decay=0.9996)  # automl datasets.py
_DEPARTURES_FT = (
    "All 1,281,167 training images are trained on; the authors' code leaves 2% of them out.",
    "The erased square lies inside the image and holds normal noise; the authors' is about any pixel, cut at "
    "the border, and holds noise uniform in [0, 1).",
)

EFFICIENTNETV2_S_21K_FT = Recipe(
    name="efficientnetv2_s@21k_ft",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_s",
        parameters=21_458_488,  # measured; tan2021 Table 7: 22 million
        gmacs=8.37,  # measured; tan2021 Table 7: 8.8
        gmacs_size=384,  # tan2021 Table 7
        batch_norm=_NORM_FT,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=512,  # automl datasets.py
        augment=(
            CenterCrop(
                size=384,  # automl datasets.py: the test size
                resize=384,  # automl datasets.py: the test size
                squash=True,
                antialias=False,  # automl preprocessing.py: tf.image.resize
            ),
            *_FLIP_AND_CUTOUT,
        ),
        normalize=_NORMALIZE_FT,
    ),
    optimizer=_OPTIMIZER_FT,
    schedule=_SCHEDULE_FT,
    regularization=_REGULARIZATION_FT,
    ema=_EMA_FT,
    starts_from=StartFrom(recipe="efficientnetv2_s@21k", new_head=True),  # tan2021 §5.2
    validation=_SQUASH_384,
    targets=(
        Target(
            top1=84.9,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7, 21k rows",
            evaluation=_SQUASH_384,
            extra_data="ImageNet-21k",
        ),
        Target(
            top1=84.9,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_384,
            extra_data="ImageNet-21k",
        ),
    ),
    departures=_DEPARTURES_FT,
)

EFFICIENTNETV2_M_21K_FT = Recipe(
    name="efficientnetv2_m@21k_ft",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_m",
        parameters=54_139_356,  # measured; tan2021 Table 7: 54 million
        gmacs=24.6,  # measured; tan2021 Table 7: 24
        gmacs_size=480,  # tan2021 Table 7
        batch_norm=_NORM_FT,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=512,  # automl datasets.py
        augment=(
            CenterCrop(
                size=480,  # automl datasets.py: the test size
                resize=480,  # automl datasets.py: the test size
                squash=True,
                antialias=False,  # automl preprocessing.py: tf.image.resize
            ),
            *_FLIP_AND_CUTOUT,
        ),
        normalize=_NORMALIZE_FT,
    ),
    optimizer=_OPTIMIZER_FT,
    schedule=_SCHEDULE_FT,
    regularization=_REGULARIZATION_FT,
    ema=_EMA_FT,
    starts_from=StartFrom(recipe="efficientnetv2_m@21k", new_head=True),  # tan2021 §5.2
    validation=_SQUASH_480,
    targets=(
        Target(
            top1=86.2,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7, 21k rows",
            evaluation=_SQUASH_480,
            extra_data="ImageNet-21k",
        ),
        Target(
            top1=86.2,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_480,
            extra_data="ImageNet-21k",
        ),
    ),
    departures=_DEPARTURES_FT,
)

EFFICIENTNETV2_L_21K_FT = Recipe(
    name="efficientnetv2_l@21k_ft",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_l",
        parameters=118_515_272,  # measured; tan2021 Table 7: 120 million
        gmacs=56.1,  # measured; tan2021 Table 7: 53
        gmacs_size=480,  # tan2021 Table 7
        batch_norm=_NORM_FT,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=512,  # automl datasets.py
        augment=(
            CenterCrop(
                size=480,  # automl datasets.py: the test size
                resize=480,  # automl datasets.py: the test size
                squash=True,
                antialias=False,  # automl preprocessing.py: tf.image.resize
            ),
            *_FLIP_AND_CUTOUT,
        ),
        normalize=_NORMALIZE_FT,
    ),
    optimizer=_OPTIMIZER_FT,
    schedule=_SCHEDULE_FT,
    regularization=_REGULARIZATION_FT,
    ema=_EMA_FT,
    starts_from=StartFrom(recipe="efficientnetv2_l@21k", new_head=True),  # tan2021 §5.2
    validation=_SQUASH_480,
    targets=(
        Target(
            top1=86.8,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7, 21k rows; §5.2",
            evaluation=_SQUASH_480,
            extra_data="ImageNet-21k",
        ),
        Target(
            top1=86.9,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_480,
            extra_data="ImageNet-21k",
        ),
    ),
    departures=_DEPARTURES_FT,
)

EFFICIENTNETV2_XL_21K_FT = Recipe(
    name="efficientnetv2_xl@21k_ft",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=_SOURCES,
    model=Model(
        "timm:tf_efficientnetv2_xl",
        parameters=208_119_808,  # measured; tan2021 Table 7: 208 million
        gmacs=93.4,  # measured; tan2021 Table 7: 94
        gmacs_size=512,  # tan2021 Table 7
        batch_norm=_NORM_FT,
        narrow=_NARROW,
    ),
    data=Data(
        batch_size=512,  # automl datasets.py
        augment=(
            CenterCrop(
                size=512,  # automl datasets.py: the test size
                resize=512,  # automl datasets.py: the test size
                squash=True,
                antialias=False,  # automl preprocessing.py: tf.image.resize
            ),
            *_FLIP_AND_CUTOUT,
        ),
        normalize=_NORMALIZE_FT,
    ),
    optimizer=_OPTIMIZER_FT,
    schedule=_SCHEDULE_FT,
    regularization=_REGULARIZATION_FT,
    ema=_EMA_FT,
    starts_from=StartFrom(recipe="efficientnetv2_xl@21k", new_head=True),  # tan2021 §5.2
    validation=_SQUASH_512,
    targets=(
        Target(
            top1=87.3,  # tan2021 Table 7
            source=TAN_2021,
            where="Table 7, 21k rows; also in the abstract",
            evaluation=_SQUASH_512,
            extra_data="ImageNet-21k",
        ),
        Target(
            top1=87.2,  # automl README.md
            source=AUTOML,
            where="README.md, the released checkpoint",
            evaluation=_SQUASH_512,
            extra_data="ImageNet-21k",
        ),
    ),
    departures=_DEPARTURES_FT,
)

# ---------------------------------------------------------------- torchvision's own training

# torchvision's efficientnet_v2_l is a port of the authors' weights, so only S and M were trained there.
_TORCHVISION_NORM = BatchNorm(
    momentum=0.9,  # torchvision efficientnet.py: PyTorch's default, 0.1 of the new
    eps=1e-3,  # torchvision efficientnet.py
    images=32,  # torchvision README.md: statistics of each of 32 GPUs
)
_TORCHVISION_CROP = RandomResizedCrop(
    size=300,  # torchvision README.md
    area=(0.08, 1.0),  # torchvision presets.py: RandomResizedCrop's default
    ratio=(3 / 4, 4 / 3),  # torchvision presets.py: RandomResizedCrop's default
)
_TORCHVISION_ERASING = RandomErasing(
    probability=0.1,  # torchvision README.md
    area=(0.02, 0.33),  # torchvision presets.py: RandomErasing's default
    ratio=(0.3, 3.3),  # torchvision presets.py: RandomErasing's default
)
_TORCHVISION_NORMALIZE = Normalize(
    mean=(123.675, 116.28, 103.53),  # torchvision presets.py
    std=(58.395, 57.12, 57.375),  # torchvision presets.py
)
_TORCHVISION_MIXING = MixupCutMixHalves(
    mixup_alpha=0.2,  # torchvision README.md
    cutmix_alpha=1.0,  # torchvision README.md
)
_TORCHVISION_OPTIMIZER = SGD(
    lr=0.5,  # torchvision README.md
    momentum=0.9,  # torchvision train.py
)
_TORCHVISION_SCHEDULE = Cosine(
    epochs=600,  # torchvision README.md
    warmup=Warmup(
        epochs=5,  # torchvision README.md
        start_lr=0.005,  # torchvision train.py: lr-warmup-decay 0.01
    ),
)
_TORCHVISION_REGULARIZATION = Regularization(
    weight_decay=2e-5,  # torchvision README.md
    decay_norm=False,  # torchvision README.md
    label_smoothing=0.1,  # torchvision README.md
    dropout=0.2,  # torchvision efficientnet.py
    drop_path=0.2,  # torchvision efficientnet.py
)
# Every 32nd step takes 1 - 0.99998 of the new, times 32 * 1024 / 600; this is the same horizon step by step.
_TORCHVISION_EMA = EMA(decay=1 - 2e-5 * 1024 / 600)  # torchvision train.py
_TORCHVISION_384 = Evaluation(
    resize=(384,),  # torchvision README.md
    crop=384,  # torchvision README.md
)
_TORCHVISION_480 = Evaluation(
    resize=(480,),  # torchvision README.md
    crop=480,  # torchvision README.md
)
_TORCHVISION_DEPARTURES = (
    "Augmentation is not repeated: torchvision shows a quarter of the images an epoch, each four times.",
    "Of every eight images four are mixed up, four cut; torchvision draws one of the two for a GPU's batch.",
    "The rate changes with every step; torchvision's changes once an epoch.",
    "The average is taken at every step from the first on; torchvision's at every 32nd, after the warm-up.",
)

EFFICIENTNETV2_S_TORCHVISION = Recipe(
    name="efficientnetv2_s@torchvision",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=(TAN_2021, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:efficientnet_v2_s",
        parameters=21_458_488,  # measured
        gmacs=8.37,  # measured
        gmacs_size=384,  # torchvision README.md
        batch_norm=_TORCHVISION_NORM,
        least_size=33,  # torchvision efficientnet.py: min_size
    ),
    data=Data(
        batch_size=1024,  # torchvision README.md: 32 GPUs of 32 images
        augment=(
            _TORCHVISION_CROP,
            HorizontalFlip(),
            TrivialAugment(),
            _TORCHVISION_ERASING,
        ),
        normalize=_TORCHVISION_NORMALIZE,
        mixing=_TORCHVISION_MIXING,
    ),
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    ema=_TORCHVISION_EMA,
    validation=_TORCHVISION_384,
    targets=(
        Target(
            top1=84.228,  # torchvision efficientnet.py
            top5=96.878,  # torchvision efficientnet.py
            source=TORCHVISION,
            where="weights EfficientNet_V2_S_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_384,
        ),
    ),
    departures=_TORCHVISION_DEPARTURES,
)

EFFICIENTNETV2_M_TORCHVISION = Recipe(
    name="efficientnetv2_m@torchvision",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=(TAN_2021, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:efficientnet_v2_m",
        parameters=54_139_356,  # measured
        gmacs=24.6,  # measured
        gmacs_size=480,  # torchvision README.md
        batch_norm=_TORCHVISION_NORM,
        least_size=33,  # torchvision efficientnet.py: min_size
    ),
    data=Data(
        batch_size=1024,  # torchvision README.md: 32 GPUs of 32 images
        augment=(
            replace(_TORCHVISION_CROP, size=384),  # torchvision README.md
            HorizontalFlip(),
            TrivialAugment(),
            _TORCHVISION_ERASING,
        ),
        normalize=_TORCHVISION_NORMALIZE,
        mixing=_TORCHVISION_MIXING,
    ),
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=replace(_TORCHVISION_REGULARIZATION, dropout=0.3),  # torchvision efficientnet.py
    ema=_TORCHVISION_EMA,
    validation=_TORCHVISION_480,
    targets=(
        Target(
            top1=85.112,  # torchvision efficientnet.py
            top5=97.156,  # torchvision efficientnet.py
            source=TORCHVISION,
            where="weights EfficientNet_V2_M_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_480,
        ),
    ),
    departures=_TORCHVISION_DEPARTURES,
)
