"""EfficientNetV2 with progressive learning: Tan and Le 2021, as the paper says and as its code does."""

from recipes.schema import (
    EMA,
    BatchNorm,
    Data,
    Evaluation,
    Exponential,
    HorizontalFlip,
    Model,
    Normalize,
    Progressive,
    Ramp,
    RandAugment,
    RandomResizedCrop,
    Recipe,
    Regularization,
    RMSProp,
    Target,
    Warmup,
)
from recipes.sources import AUTOML, MEASURED, TAN_2021, TPU

_SQUASH_384 = Evaluation(
    resize=(384,),  # tan2021 §5.1
    crop=384,  # automl preprocessing.py: from 320 pixels on the whole image is squashed, no crop
    squash=True,
    antialias=False,  # automl preprocessing.py: tf.image.resize
)

EFFICIENTNETV2_S = Recipe(
    name="efficientnetv2_s",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=(TAN_2021, AUTOML, TPU, MEASURED),
    model=Model(
        "timm:tf_efficientnetv2_s",
        parameters=21_458_488,  # measured; tan2021 Table 7: 22 million
        gmacs=8.37,  # measured; tan2021 Table 7: 8.8
        gmacs_size=384,  # tan2021 Table 7
        batch_norm=BatchNorm(
            momentum=0.99,  # tan2021 §5.1 (automl: 0.9)
            eps=1e-3,  # automl hparams.py
            images=1024,  # tpu utils.py: 8 cores of 128 images on the 32 cores of tan2021 §5.1
        ),
        narrow={
            "channel_multiplier": 0.25,  # measured: small enough for --tiny
            "depth_multiplier": 0.2,  # measured: small enough for --tiny
        },
    ),
    data=Data(
        batch_size=4096,  # tan2021 §5.1
        augment=(
            RandomResizedCrop(
                size=300,  # tan2021 Table 6
                area=(0.05, 1.0),  # automl preprocessing.py
                ratio=(0.75, 1.33),  # automl preprocessing.py: sample_distorted_bounding_box's default
                attempts=100,  # automl preprocessing.py: sample_distorted_bounding_box's default
                rule="tensorflow",
                covered=0.0,  # automl preprocessing.py: min_object_covered
                fallback="whole",  # automl preprocessing.py
                antialias=False,  # automl preprocessing.py: tf.image.resize
            ),
            HorizontalFlip(),
            RandAugment(
                magnitude=15,  # tan2021 Table 6
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=Normalize(mean=(128.0,) * 3, std=(128.0,) * 3),  # automl preprocessing.py
    ),
    optimizer=RMSProp(
        lr=0.256,  # tan2021 §5.1 (automl: 0.016 per 256 images, the same)
        decay=0.9,  # tan2021 §5.1
        momentum=0.9,  # tan2021 §5.1
        eps=1e-3,  # automl utils.py
    ),
    schedule=Exponential(
        epochs=350,  # tan2021 §5.1
        decay=0.97,  # tan2021 §5.1
        every=2.4,  # tan2021 §5.1
        warmup=Warmup(epochs=5),  # automl hparams.py; tan2021 §5.1 gives no length
    ),
    regularization=Regularization(
        weight_decay=1e-5,  # tan2021 §5.1
        decay_norm=False,  # automl main.py
        decay_bias=False,  # automl main.py
        label_smoothing=0.1,  # automl hparams.py
        dropout=0.3,  # tan2021 Table 6, the last stage's
        drop_path=0.2,  # tan2021 §5.1: survival probability 0.8
    ),
    ema=EMA(decay=0.9999),  # tan2021 §5.1
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
    departures=(
        "All 1,281,167 training images are trained on; the authors held about 25,000 out to stop early.",
    ),
)

EFFICIENTNETV2_S_AUTOML = Recipe(
    name="efficientnetv2_s@automl",
    family="EfficientNetV2",
    year=2021,  # tan2021
    sources=(TAN_2021, AUTOML, TPU, MEASURED),
    model=Model(
        "timm:tf_efficientnetv2_s",
        parameters=21_458_488,  # measured; tan2021 Table 7: 22 million
        gmacs=8.37,  # measured; tan2021 Table 7: 8.8
        gmacs_size=384,  # tan2021 Table 7
        batch_norm=BatchNorm(
            momentum=0.9,  # automl hparams.py (tan2021 §5.1: 0.99)
            eps=1e-3,  # automl hparams.py
            images=1024,  # tpu utils.py: 8 cores of 128 images on the 32 cores of tan2021 §5.1
        ),
        narrow={
            "channel_multiplier": 0.25,  # measured: small enough for --tiny
            "depth_multiplier": 0.2,  # measured: small enough for --tiny
        },
    ),
    data=Data(
        batch_size=4096,  # automl hparams.py
        augment=(
            RandomResizedCrop(
                size=300,  # automl effnetv2_configs.py
                area=(0.05, 1.0),  # automl preprocessing.py
                ratio=(0.75, 1.33),  # automl preprocessing.py: sample_distorted_bounding_box's default
                attempts=100,  # automl preprocessing.py: sample_distorted_bounding_box's default
                rule="tensorflow",
                covered=0.0,  # automl preprocessing.py: min_object_covered
                fallback="whole",  # automl preprocessing.py
                antialias=False,  # automl preprocessing.py: tf.image.resize
            ),
            HorizontalFlip(),
            RandAugment(
                magnitude=10,  # automl effnetv2_configs.py (tan2021 Table 6: 15)
                layers=2,  # automl hparams.py
                definition="google",
            ),
        ),
        normalize=Normalize(mean=(128.0,) * 3, std=(128.0,) * 3),  # automl preprocessing.py
    ),
    optimizer=RMSProp(
        lr=0.256,  # automl hparams.py: 0.016 per 256 images
        decay=0.9,  # automl utils.py
        momentum=0.9,  # automl utils.py
        eps=1e-3,  # automl utils.py
    ),
    schedule=Exponential(
        epochs=350,  # automl hparams.py
        decay=0.97,  # automl hparams.py
        every=2.4,  # automl hparams.py
        warmup=Warmup(epochs=5),  # automl hparams.py; tan2021 §5.1 gives no length
    ),
    regularization=Regularization(
        weight_decay=1e-5,  # automl hparams.py
        decay_norm=False,  # automl main.py
        decay_bias=False,  # automl main.py
        label_smoothing=0.1,  # automl hparams.py
        dropout=0.2,  # automl effnetv2_configs.py; the code never changes it between stages
        drop_path=0.2,  # automl effnetv2_configs.py: survival probability 0.8
    ),
    ema=EMA(decay=0.9999),  # tan2021 §5.1
    progressive=Progressive(
        stages=4,  # automl hparams.py
        image_size=Ramp(128, 300, includes_start=False),  # automl main.py: ibase 128
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
    departures=(
        "All 1,281,167 training images are trained on; the authors held about 25,000 out to stop early.",
    ),
)
