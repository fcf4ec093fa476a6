"""MobileNets: Howard et al. 2017, Sandler et al. 2018, Howard et al. 2019."""

from recipes.schema import (
    EMA,
    SGD,
    AutoAugment,
    BatchNorm,
    ColorJitter,
    Data,
    Evaluation,
    Exponential,
    HorizontalFlip,
    Initialization,
    Model,
    Normalize,
    RandomErasing,
    RandomResizedCrop,
    Recipe,
    Regularization,
    RMSProp,
    Target,
    TruncatedNormal,
    Warmup,
)
from recipes.sources import HOWARD_2017, HOWARD_2019, MEASURED, SANDLER_2018, SLIM, TORCHVISION

# ---------------------------------------------------------------- what Google's trainings share

_TRUNCATED = Initialization(TruncatedNormal(std=0.09))  # slim mobilenet_v1.py, mobilenet.py
_NORMALIZE = Normalize(
    mean=(127.5, 127.5, 127.5),  # slim inception_preprocessing.py: -1 to 1
    std=(127.5, 127.5, 127.5),  # slim inception_preprocessing.py: -1 to 1
)
_EMA = EMA(decay=0.9999)  # slim nets/mobilenet/README.md; howard2019 §6.1.1
# Inception's preprocessing in its fast mode (sandler2018 and howard2019 name it).
_INCEPTION_AUGMENT = (
    RandomResizedCrop(
        size=224,  # sandler2018 §6.1; howard2019 §6.1
        area=(0.05, 1.0),  # slim inception_preprocessing.py
        ratio=(0.75, 1.33),  # slim inception_preprocessing.py
        attempts=100,  # slim inception_preprocessing.py
        rule="tensorflow",
        covered=0.1,  # slim inception_preprocessing.py
        fallback="whole",  # slim inception_preprocessing.py
        antialias=False,
    ),
    HorizontalFlip(),
    ColorJitter(
        brightness=32 / 255,  # slim inception_preprocessing.py
        saturation=0.5,  # slim inception_preprocessing.py
    ),
)
_JITTER = (
    "Brightness is scaled by a random factor and saturation by blending with grey; Inception's preprocessing "
    "adds a random number to brightness and scales the saturation of HSV."
)
_CENTRES = "Images are resized with pixel centres at half a pixel; TensorFlow 1 has them at whole ones."
_SYNCHRONOUS = (
    "Steps are synchronous over the whole batch at the sum of the workers' rates; the authors' workers "
    "updated the weights asynchronously."
)


# The test: the central 87.5% of both sides, straight to the square (slim inception_preprocessing.py).
_INCEPTION_224 = Evaluation(
    window="inception",
    resize=(224,),  # howard2017 Table 6; sandler2018 Table 4; howard2019 Table 3
    crop=224,  # howard2017 Table 6; sandler2018 Table 4; howard2019 Table 3
    antialias=False,
)
_INCEPTION_192 = Evaluation(
    window="inception",
    resize=(192,),  # howard2017 Table 7
    crop=192,  # howard2017 Table 7
    antialias=False,
)
_INCEPTION_160 = Evaluation(
    window="inception",
    resize=(160,),  # howard2017 Tables 7 and 9
    crop=160,  # howard2017 Tables 7 and 9
    antialias=False,
)
_INCEPTION_128 = Evaluation(
    window="inception",
    resize=(128,),  # howard2017 Table 7
    crop=128,  # howard2017 Table 7
    antialias=False,
)

# ---------------------------------------------------------------- MobileNet v1

# slim's learning rate belongs to 64 images a worker; sixteen workers' images and rates make one step here.
_V1_BATCH_NORM = BatchNorm(
    momentum=0.99,  # not in howard2017; slim mobilenet_v1.py: 0.9997 over the far more steps of one worker
    eps=1e-3,  # slim mobilenet_v1.py
    images=64,  # slim mobilenet_v1_train.py: one worker's
)
_V1_OPTIMIZER = RMSProp(
    lr=0.72,  # sandler2018 §6.1, "following MobileNetV1": 0.045; for 64 images, sixteen of them
    decay=0.9,  # slim train_image_classifier.py
    momentum=0.9,  # slim train_image_classifier.py
    eps=1.0,  # slim train_image_classifier.py
)
_V1_SCHEDULE = Exponential(
    epochs=300,  # not in howard2017
    decay=0.98,  # sandler2018 §6.1, "following MobileNetV1"; slim mobilenet_v1_train.py: 0.94 per 2.5 epochs
    every=1,  # sandler2018 §6.1
)
_V1_REGULARIZATION = Regularization(
    weight_decay=4e-5,  # slim mobilenet_v1.py
    decay_norm=False,  # slim mobilenet_v1.py
    decay_bias=False,  # slim mobilenet_v1.py
    decay_depthwise=False,  # howard2017 §3.2: very little or none; slim mobilenet_v1.py: none
    dropout=0.001,  # slim mobilenet_v1.py
)
_V1_DEPARTURES = (
    _SYNCHRONOUS,
    "The length of 300 epochs, the batch of 1024, the least crop of a fifth of the image and the average of "
    "weights are assumed; the paper gives none of them. The rate and its decay are those that the authors' "
    "next paper calls MobileNetV1's.",
    "Colours are left alone; the paper says less distortion, and names the limit on small crops only.",
    _CENTRES,
    "The running statistics of batch norm keep 0.99, not 0.9997 as in the code, whose steps were many more.",
)
_V1_RELEASED = (
    "Weights of 2018, released without saying how they were trained; their network has ReLU6, here ReLU."
)


# Less distortion than Inception's, and a limit on small crops (howard2017 §3.2).
_V1_DATA_224 = Data(
    batch_size=1024,  # not in howard2017
    augment=(
        RandomResizedCrop(
            size=224,  # howard2017 Table 6
            area=(0.2, 1.0),  # not in howard2017, which limits small crops without a number
            ratio=(0.75, 1.33),  # slim inception_preprocessing.py
            attempts=100,  # slim inception_preprocessing.py
            rule="tensorflow",
            covered=0.1,  # slim inception_preprocessing.py
            fallback="whole",
            antialias=False,
        ),
        HorizontalFlip(),
    ),
    normalize=_NORMALIZE,
)
_V1_DATA_192 = Data(
    batch_size=1024,  # not in howard2017
    augment=(
        RandomResizedCrop(
            size=192,  # howard2017 Table 7
            area=(0.2, 1.0),  # not in howard2017, which limits small crops without a number
            ratio=(0.75, 1.33),  # slim inception_preprocessing.py
            attempts=100,  # slim inception_preprocessing.py
            rule="tensorflow",
            covered=0.1,  # slim inception_preprocessing.py
            fallback="whole",
            antialias=False,
        ),
        HorizontalFlip(),
    ),
    normalize=_NORMALIZE,
)
_V1_DATA_160 = Data(
    batch_size=1024,  # not in howard2017
    augment=(
        RandomResizedCrop(
            size=160,  # howard2017 Tables 7 and 9
            area=(0.2, 1.0),  # not in howard2017, which limits small crops without a number
            ratio=(0.75, 1.33),  # slim inception_preprocessing.py
            attempts=100,  # slim inception_preprocessing.py
            rule="tensorflow",
            covered=0.1,  # slim inception_preprocessing.py
            fallback="whole",
            antialias=False,
        ),
        HorizontalFlip(),
    ),
    normalize=_NORMALIZE,
)
_V1_DATA_128 = Data(
    batch_size=1024,  # not in howard2017
    augment=(
        RandomResizedCrop(
            size=128,  # howard2017 Table 7
            area=(0.2, 1.0),  # not in howard2017, which limits small crops without a number
            ratio=(0.75, 1.33),  # slim inception_preprocessing.py
            attempts=100,  # slim inception_preprocessing.py
            rule="tensorflow",
            covered=0.1,  # slim inception_preprocessing.py
            fallback="whole",
            antialias=False,
        ),
        HorizontalFlip(),
    ),
    normalize=_NORMALIZE,
)

MOBILENET_V1 = Recipe(
    name="mobilenet_v1",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=4_231_976,  # measured; howard2017 Table 6: 4.2 million
        gmacs=0.5687,  # measured; howard2017 Table 6: 0.569
        gmacs_size=224,  # howard2017 Table 6
        arguments={"width": 1.0},  # howard2017 Table 6
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_224,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=70.6,  # howard2017 Table 6
            source=HOWARD_2017,
            where="Table 6",
            evaluation=_INCEPTION_224,
        ),
        Target(
            top1=70.9,  # slim nets/mobilenet_v1.md
            top5=89.9,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_1.0_224, the released checkpoint",
            evaluation=_INCEPTION_224,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_X0_75 = Recipe(
    name="mobilenet_v1_x0_75",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=2_585_560,  # measured; howard2017 Table 6: 2.6 million
        gmacs=0.3254,  # measured; howard2017 Table 6: 0.325
        gmacs_size=224,  # howard2017 Table 6
        arguments={"width": 0.75},  # howard2017 Table 6
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_224,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=68.4,  # howard2017 Table 6
            source=HOWARD_2017,
            where="Table 6",
            evaluation=_INCEPTION_224,
        ),
        Target(
            top1=68.4,  # slim nets/mobilenet_v1.md
            top5=88.2,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_0.75_224, the released checkpoint",
            evaluation=_INCEPTION_224,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_X0_5 = Recipe(
    name="mobilenet_v1_x0_5",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=1_331_592,  # measured; howard2017 Table 6: 1.3 million
        gmacs=0.1495,  # measured; howard2017 Table 6: 0.149
        gmacs_size=224,  # howard2017 Table 6
        arguments={"width": 0.5},  # howard2017 Table 6
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_224,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=63.7,  # howard2017 Table 6
            source=HOWARD_2017,
            where="Table 6",
            evaluation=_INCEPTION_224,
        ),
        Target(
            top1=63.3,  # slim nets/mobilenet_v1.md
            top5=84.9,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_0.50_224, the released checkpoint",
            evaluation=_INCEPTION_224,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_X0_25 = Recipe(
    name="mobilenet_v1_x0_25",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=470_072,  # measured; howard2017 Table 6: 0.5 million
        gmacs=0.0410,  # measured; howard2017 Table 6: 0.041
        gmacs_size=224,  # howard2017 Table 6
        arguments={"width": 0.25},  # howard2017 Table 6
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_224,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=50.6,  # howard2017 Table 6
            source=HOWARD_2017,
            where="Table 6",
            evaluation=_INCEPTION_224,
        ),
        Target(
            top1=49.8,  # slim nets/mobilenet_v1.md
            top5=74.2,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_0.25_224, the released checkpoint",
            evaluation=_INCEPTION_224,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_192 = Recipe(
    name="mobilenet_v1_192",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=4_231_976,  # measured; howard2017 Table 7: 4.2 million
        gmacs=0.4181,  # measured; howard2017 Table 7: 0.418
        gmacs_size=192,  # howard2017 Table 7
        arguments={"width": 1.0},  # howard2017 Table 7
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_192,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_192,
    targets=(
        Target(
            top1=69.1,  # howard2017 Table 7
            source=HOWARD_2017,
            where="Table 7",
            evaluation=_INCEPTION_192,
        ),
        Target(
            top1=70.0,  # slim nets/mobilenet_v1.md
            top5=89.2,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_1.0_192, the released checkpoint",
            evaluation=_INCEPTION_192,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_160 = Recipe(
    name="mobilenet_v1_160",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=4_231_976,  # measured; howard2017 Table 7: 4.2 million
        gmacs=0.2907,  # measured; howard2017 Table 7: 0.290
        gmacs_size=160,  # howard2017 Table 7
        arguments={"width": 1.0},  # howard2017 Table 7
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_160,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_160,
    targets=(
        Target(
            top1=67.2,  # howard2017 Table 7
            source=HOWARD_2017,
            where="Table 7",
            evaluation=_INCEPTION_160,
        ),
        Target(
            top1=68.0,  # slim nets/mobilenet_v1.md
            top5=87.7,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_1.0_160, the released checkpoint",
            evaluation=_INCEPTION_160,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_128 = Recipe(
    name="mobilenet_v1_128",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=4_231_976,  # measured; howard2017 Table 7: 4.2 million
        gmacs=0.1864,  # measured; howard2017 Table 7: 0.186
        gmacs_size=128,  # howard2017 Table 7
        arguments={"width": 1.0},  # howard2017 Table 7
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_128,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_128,
    targets=(
        Target(
            top1=64.4,  # howard2017 Table 7
            source=HOWARD_2017,
            where="Table 7",
            evaluation=_INCEPTION_128,
        ),
        Target(
            top1=65.2,  # slim nets/mobilenet_v1.md
            top5=85.8,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_1.0_128, the released checkpoint",
            evaluation=_INCEPTION_128,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)

MOBILENET_V1_X0_5_160 = Recipe(
    name="mobilenet_v1_x0_5_160",
    family="MobileNet",
    year=2017,  # howard2017
    sources=(HOWARD_2017, SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "top1:mobilenet_v1",
        parameters=1_331_592,  # measured; howard2017 Table 9: 1.32 million
        gmacs=0.0765,  # measured; howard2017 Table 9: 0.076
        gmacs_size=160,  # howard2017 Table 9
        arguments={"width": 0.5},  # howard2017 Table 9
        batch_norm=_V1_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_V1_DATA_160,
    optimizer=_V1_OPTIMIZER,
    schedule=_V1_SCHEDULE,
    regularization=_V1_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_160,
    targets=(
        Target(
            top1=60.2,  # howard2017 Table 9
            source=HOWARD_2017,
            where="Table 9",
            evaluation=_INCEPTION_160,
        ),
        Target(
            top1=59.1,  # slim nets/mobilenet_v1.md
            top5=81.9,  # slim nets/mobilenet_v1.md
            source=SLIM,
            where="nets/mobilenet_v1.md, MobileNet_v1_0.50_160, the released checkpoint",
            evaluation=_INCEPTION_160,
            confidence="medium",
            note=_V1_RELEASED,
        ),
    ),
    departures=_V1_DEPARTURES,
)
# ---------------------------------------------------------------- MobileNet v2

# timm's networks with TensorFlow's padding. The paper's training: sixteen workers of 96 images.
_V2_BATCH_NORM = BatchNorm(
    momentum=0.997,  # slim mobilenet.py
    eps=1e-3,  # slim mobilenet.py
    images=96,  # sandler2018 §6.1: per GPU
)
_V2_SAME = {"pad_type": "same"}
_V2_OPTIMIZER = RMSProp(
    lr=0.72,  # sandler2018 §6.1: 0.045 a worker, sixteen of them
    decay=0.9,  # sandler2018 §6.1
    momentum=0.9,  # sandler2018 §6.1
    eps=1.0,  # slim train_image_classifier.py
)
_V2_SCHEDULE = Exponential(
    epochs=420,  # not in sandler2018; slim nets/mobilenet/README.md: 700,000 steps of 768 images
    decay=0.98,  # sandler2018 §6.1
    every=1,  # sandler2018 §6.1: per epoch
)
_V2_REGULARIZATION = Regularization(
    weight_decay=4e-5,  # sandler2018 §6.1
    decay_norm=False,  # slim mobilenet.py
    decay_bias=False,  # slim mobilenet.py
    decay_depthwise=False,  # slim mobilenet.py
    label_smoothing=0.1,  # slim nets/mobilenet/README.md
    dropout=0.2,  # slim mobilenet.py
)
_V2_DATA = Data(
    batch_size=1536,  # sandler2018 §6.1: 96 on each of 16 GPUs
    augment=_INCEPTION_AUGMENT,
    normalize=_NORMALIZE,
)
_V2_DEPARTURES = (
    _SYNCHRONOUS,
    _JITTER,
    _CENTRES,
    "The length, smoothing and averaging are the README's; the paper mentions none of them.",
)

MOBILENET_V2 = Recipe(
    name="mobilenet_v2",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_100",
        parameters=3_504_872,  # measured; sandler2018 Table 4: 3.4 million
        gmacs=0.3008,  # measured; sandler2018 Table 4: 0.300
        gmacs_size=224,  # sandler2018 Table 4
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_V2_DATA,
    optimizer=_V2_OPTIMIZER,
    schedule=_V2_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=72.0,  # sandler2018 Table 4
            source=SANDLER_2018,
            where="Table 4",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=_V2_DEPARTURES,
)

MOBILENET_V2_X1_4 = Recipe(
    name="mobilenet_v2_x1_4",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_140",
        parameters=6_108_776,  # measured; sandler2018 Table 4 prints 6.9 million, slim's README.md 6.06
        gmacs=0.5822,  # measured; sandler2018 Table 4: 0.585
        gmacs_size=224,  # sandler2018 Table 4
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_V2_DATA,
    optimizer=_V2_OPTIMIZER,
    schedule=_V2_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=74.7,  # sandler2018 Table 4
            source=SANDLER_2018,
            where="Table 4",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=_V2_DEPARTURES,
)

# The training of the README, whose checkpoints are released: eight clones in step. It gives these parameters
# for full width and says that its numbers can be reproduced so. The last layer is never under 1280 channels.
_SLIM_DATA = Data(
    batch_size=768,  # slim nets/mobilenet/README.md: 96 on each of 8 GPUs
    augment=_INCEPTION_AUGMENT,
    normalize=_NORMALIZE,
)
_SLIM_OPTIMIZER = RMSProp(
    lr=0.36,  # slim nets/mobilenet/README.md: 0.045 times 8 GPUs
    decay=0.9,  # slim train_image_classifier.py
    momentum=0.9,  # slim train_image_classifier.py
    eps=1.0,  # slim train_image_classifier.py
)
_SLIM_SCHEDULE = Exponential(
    epochs=420,  # slim nets/mobilenet/README.md: 700,000 steps of 768 images
    decay=0.98,  # slim nets/mobilenet/README.md
    every=2.5,  # slim nets/mobilenet/README.md
)

MOBILENET_V2_SLIM = Recipe(
    name="mobilenet_v2@slim",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_100",
        parameters=3_504_872,  # measured; slim nets/mobilenet/README.md: 3.47 million
        gmacs=0.3008,  # measured; slim nets/mobilenet/README.md: 0.300
        gmacs_size=224,  # slim nets/mobilenet/README.md
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_SLIM_DATA,
    optimizer=_SLIM_OPTIMIZER,
    schedule=_SLIM_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=71.8,  # slim nets/mobilenet/README.md
            top5=91.0,  # slim nets/mobilenet/README.md
            source=SLIM,
            where="nets/mobilenet/README.md, the released checkpoint",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=(_JITTER, _CENTRES),
)

MOBILENET_V2_X1_4_SLIM = Recipe(
    name="mobilenet_v2_x1_4@slim",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_140",
        parameters=6_108_776,  # measured; slim nets/mobilenet/README.md: 6.06 million
        gmacs=0.5822,  # measured; slim nets/mobilenet/README.md: 0.582
        gmacs_size=224,  # slim nets/mobilenet/README.md
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_SLIM_DATA,
    optimizer=_SLIM_OPTIMIZER,
    schedule=_SLIM_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=75.0,  # slim nets/mobilenet/README.md
            top5=92.5,  # slim nets/mobilenet/README.md
            source=SLIM,
            where="nets/mobilenet/README.md, the released checkpoint",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=(_JITTER, _CENTRES),
)

MOBILENET_V2_X1_3_SLIM = Recipe(
    name="mobilenet_v2_x1_3@slim",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "torchvision:mobilenet_v2",
        parameters=5_386_792,  # measured; slim nets/mobilenet/README.md: 5.34 million
        gmacs=0.5094,  # measured; slim nets/mobilenet/README.md: 0.509
        gmacs_size=224,  # slim nets/mobilenet/README.md
        arguments={"width_mult": 1.3},  # slim nets/mobilenet/README.md
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
        narrow={"width_mult": 0.25},  # measured: small enough for --tiny
    ),
    data=_SLIM_DATA,
    optimizer=_SLIM_OPTIMIZER,
    schedule=_SLIM_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=74.4,  # slim nets/mobilenet/README.md
            top5=92.1,  # slim nets/mobilenet/README.md
            source=SLIM,
            where="nets/mobilenet/README.md, the released checkpoint",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=(
        _JITTER,
        _CENTRES,
        "Padding is the same on all sides; TensorFlow's has its odd pixel at the bottom and right.",
    ),
)

MOBILENET_V2_X0_75_SLIM = Recipe(
    name="mobilenet_v2_x0_75@slim",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_075",
        parameters=2_636_424,  # measured; slim nets/mobilenet/README.md: 2.61 million
        gmacs=0.2091,  # measured; slim nets/mobilenet/README.md: 0.209
        gmacs_size=224,  # slim nets/mobilenet/README.md
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_SLIM_DATA,
    optimizer=_SLIM_OPTIMIZER,
    schedule=_SLIM_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=69.8,  # slim nets/mobilenet/README.md
            top5=89.6,  # slim nets/mobilenet/README.md
            source=SLIM,
            where="nets/mobilenet/README.md, the released checkpoint",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=(_JITTER, _CENTRES),
)

MOBILENET_V2_X0_5_SLIM = Recipe(
    name="mobilenet_v2_x0_5@slim",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_050",
        parameters=1_968_680,  # measured; slim nets/mobilenet/README.md: 1.95 million
        gmacs=0.0971,  # measured; slim nets/mobilenet/README.md: 0.097
        gmacs_size=224,  # slim nets/mobilenet/README.md
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_SLIM_DATA,
    optimizer=_SLIM_OPTIMIZER,
    schedule=_SLIM_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=65.4,  # slim nets/mobilenet/README.md
            top5=86.4,  # slim nets/mobilenet/README.md
            source=SLIM,
            where="nets/mobilenet/README.md, the released checkpoint",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=(_JITTER, _CENTRES),
)

MOBILENET_V2_X0_35_SLIM = Recipe(
    name="mobilenet_v2_x0_35@slim",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, SLIM, MEASURED),
    model=Model(
        "timm:mobilenetv2_035",
        parameters=1_677_128,  # measured; slim nets/mobilenet/README.md: 1.66 million
        gmacs=0.0593,  # measured; slim nets/mobilenet/README.md: 0.059
        gmacs_size=224,  # slim nets/mobilenet/README.md
        arguments=_V2_SAME,
        batch_norm=_V2_BATCH_NORM,
        initialization=_TRUNCATED,
    ),
    data=_SLIM_DATA,
    optimizer=_SLIM_OPTIMIZER,
    schedule=_SLIM_SCHEDULE,
    regularization=_V2_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=60.3,  # slim nets/mobilenet/README.md
            top5=82.9,  # slim nets/mobilenet/README.md
            source=SLIM,
            where="nets/mobilenet/README.md, the released checkpoint",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=(_JITTER, _CENTRES),
)

# ---------------------------------------------------------------- MobileNet v3

# timm's `tf_` networks have TensorFlow's padding.
_V3_BATCH_NORM = BatchNorm(
    momentum=0.99,  # howard2019 §6.1.1
    eps=1e-3,  # not in howard2019; slim mobilenet.py
    images=128,  # howard2019 §6.1.1: per chip
)
_V3_DATA = Data(
    batch_size=4096,  # howard2019 §6.1.1
    augment=_INCEPTION_AUGMENT,
    normalize=_NORMALIZE,
)
_V3_OPTIMIZER = RMSProp(
    lr=0.1,  # howard2019 §6.1.1
    decay=0.9,  # not in howard2019; timm's MobileNetV3
    momentum=0.9,  # howard2019 §6.1.1
    eps=1e-3,  # not in howard2019; timm's MobileNetV3
)
_V3_SCHEDULE = Exponential(
    epochs=600,  # not in howard2019; timm's MobileNetV3
    decay=0.99,  # howard2019 §6.1.1: "decay rate of 0.01"
    every=3,  # howard2019 §6.1.1
    warmup=Warmup(
        epochs=5,  # not in howard2019; timm's MobileNetV3
        start_lr=1e-6,  # not in howard2019; timm's MobileNetV3
    ),
)
_V3_REGULARIZATION = Regularization(
    weight_decay=1e-5,  # howard2019 §6.1.1
    decay_norm=False,  # not in howard2019; slim mobilenet.py
    decay_bias=False,  # not in howard2019; slim mobilenet.py
    decay_depthwise=False,  # not in howard2019; slim mobilenet.py
    dropout=0.2,  # howard2019 §6.1.1: 0.8, which is what is kept (slim)
)
_V3_DEPARTURES = (
    "The length of 600 epochs and the warm-up are timm's; the paper gives neither. At the printed decay the "
    "rate still is an eighth of its first value then, so the authors' run must have been longer.",
    "Decay and epsilon of RMSProp and what weight decay acts on are not in the paper.",
    "Layers begin as timm has them; the paper does not say how, and slim draws all from a truncated normal "
    "of 0.09.",
    _JITTER,
    _CENTRES,
)

MOBILENET_V3_LARGE = Recipe(
    name="mobilenet_v3_large",
    family="MobileNet",
    year=2019,  # howard2019
    sources=(HOWARD_2019, SLIM, MEASURED),
    model=Model(
        "timm:tf_mobilenetv3_large_100",
        parameters=5_483_032,  # measured; howard2019 Table 3: 5.4 million
        gmacs=0.2166,  # measured; howard2019 Table 3: 0.219
        gmacs_size=224,  # howard2019 Table 3
        batch_norm=_V3_BATCH_NORM,
    ),
    data=_V3_DATA,
    optimizer=_V3_OPTIMIZER,
    schedule=_V3_SCHEDULE,
    regularization=_V3_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=75.2,  # howard2019 Table 3
            source=HOWARD_2019,
            where="Table 3",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=_V3_DEPARTURES,
)

MOBILENET_V3_LARGE_X0_75 = Recipe(
    name="mobilenet_v3_large_x0_75",
    family="MobileNet",
    year=2019,  # howard2019
    sources=(HOWARD_2019, SLIM, MEASURED),
    model=Model(
        "timm:tf_mobilenetv3_large_075",
        parameters=3_993_528,  # measured; howard2019 Table 3: 4.0 million
        gmacs=0.1546,  # measured; howard2019 Table 3: 0.155
        gmacs_size=224,  # howard2019 Table 3
        batch_norm=_V3_BATCH_NORM,
    ),
    data=_V3_DATA,
    optimizer=_V3_OPTIMIZER,
    schedule=_V3_SCHEDULE,
    regularization=_V3_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=73.3,  # howard2019 Table 3
            source=HOWARD_2019,
            where="Table 3",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=_V3_DEPARTURES,
)

MOBILENET_V3_SMALL = Recipe(
    name="mobilenet_v3_small",
    family="MobileNet",
    year=2019,  # howard2019
    sources=(HOWARD_2019, SLIM, MEASURED),
    model=Model(
        "timm:tf_mobilenetv3_small_100",
        parameters=2_542_856,  # measured; howard2019 Table 3: 2.5 million
        gmacs=0.0565,  # measured; howard2019 Table 3: 0.056
        gmacs_size=224,  # howard2019 Table 3
        batch_norm=_V3_BATCH_NORM,
    ),
    data=_V3_DATA,
    optimizer=_V3_OPTIMIZER,
    schedule=_V3_SCHEDULE,
    regularization=_V3_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=67.4,  # howard2019 Table 3
            source=HOWARD_2019,
            where="Table 3",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=_V3_DEPARTURES,
)

MOBILENET_V3_SMALL_X0_75 = Recipe(
    name="mobilenet_v3_small_x0_75",
    family="MobileNet",
    year=2019,  # howard2019
    sources=(HOWARD_2019, SLIM, MEASURED),
    model=Model(
        "timm:tf_mobilenetv3_small_075",
        parameters=2_041_872,  # measured; howard2019 Table 3: 2.0 million
        gmacs=0.0434,  # measured; howard2019 Table 3: 0.044
        gmacs_size=224,  # howard2019 Table 3
        batch_norm=_V3_BATCH_NORM,
    ),
    data=_V3_DATA,
    optimizer=_V3_OPTIMIZER,
    schedule=_V3_SCHEDULE,
    regularization=_V3_REGULARIZATION,
    ema=_EMA,
    validation=_INCEPTION_224,
    targets=(
        Target(
            top1=65.4,  # howard2019 Table 3
            source=HOWARD_2019,
            where="Table 3",
            evaluation=_INCEPTION_224,
        ),
    ),
    departures=_V3_DEPARTURES,
)
# ---------------------------------------------------------------- torchvision's reference trainings

_TV_NORMALIZE = Normalize(
    mean=(123.675, 116.28, 103.53),  # torchvision classification/presets.py
    std=(58.395, 57.12, 57.375),  # torchvision classification/presets.py
)
_TV_SINGLE_CROP = Evaluation(
    resize=(256,),  # torchvision classification/presets.py
    crop=224,  # torchvision classification/presets.py
)

MOBILENET_V2_TORCHVISION = Recipe(
    name="mobilenet_v2@torchvision",
    family="MobileNet",
    year=2018,  # sandler2018
    sources=(SANDLER_2018, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:mobilenet_v2",
        parameters=3_504_872,  # torchvision MobileNet_V2_Weights
        gmacs=0.3008,  # measured; torchvision MobileNet_V2_Weights: 0.301
        gmacs_size=224,  # torchvision MobileNet_V2_Weights
        batch_norm=BatchNorm(
            momentum=0.9,  # torchvision mobilenetv2.py: PyTorch's default
            eps=1e-5,  # torchvision mobilenetv2.py: PyTorch's default
            images=32,  # torchvision classification/README.md: per GPU
        ),
        narrow={"width_mult": 0.25},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=256,  # torchvision classification/README.md: 32 on each of 8 GPUs
        augment=(
            RandomResizedCrop(size=224),  # torchvision classification/presets.py
            HorizontalFlip(),
        ),
        normalize=_TV_NORMALIZE,
    ),
    optimizer=SGD(
        lr=0.045,  # torchvision classification/README.md
        momentum=0.9,  # torchvision classification/README.md
    ),
    schedule=Exponential(
        epochs=300,  # torchvision classification/README.md
        decay=0.98,  # torchvision classification/README.md
        every=1,  # torchvision classification/README.md
    ),
    regularization=Regularization(
        weight_decay=4e-5,  # torchvision classification/README.md
        dropout=0.2,  # torchvision mobilenetv2.py
    ),
    validation=_TV_SINGLE_CROP,
    targets=(
        Target(
            top1=71.878,  # torchvision MobileNet_V2_Weights
            top5=90.286,  # torchvision MobileNet_V2_Weights
            source=TORCHVISION,
            where="MobileNet_V2_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP,
        ),
    ),
)

_TV_V3_BATCH_NORM = BatchNorm(
    momentum=0.99,  # torchvision mobilenetv3.py
    eps=1e-3,  # torchvision mobilenetv3.py
    images=128,  # torchvision classification/README.md: per GPU
)
_TV_V3_DATA = Data(
    batch_size=1024,  # torchvision classification/README.md: 128 on each of 8 GPUs
    augment=(
        RandomResizedCrop(size=224),  # torchvision classification/presets.py
        HorizontalFlip(),
        AutoAugment("original"),
        RandomErasing(probability=0.2),  # torchvision classification/README.md
    ),
    normalize=_TV_NORMALIZE,
)
_TV_V3_OPTIMIZER = RMSProp(
    lr=0.064,  # torchvision classification/README.md
    decay=0.9,  # torchvision classification/train.py
    momentum=0.9,  # torchvision classification/train.py
    eps=1e-3,  # torchvision classification/train.py: 0.0316, outside the root
)
_TV_V3_SCHEDULE = Exponential(
    epochs=600,  # torchvision classification/README.md
    decay=0.973,  # torchvision classification/README.md
    every=2,  # torchvision classification/README.md
)
_TV_V3_REGULARIZATION = Regularization(
    weight_decay=1e-5,  # torchvision classification/README.md
    dropout=0.2,  # torchvision mobilenetv3.py
)
_TV_V3_DEPARTURES = (
    "RMSProp is TensorFlow's: its epsilon is under the root and its mean square begins at 1; the reference "
    "adds 0.0316 after the root of a mean square that begins at 0.",
    "The last weights are measured; the published ones are averaged over three chosen epochs.",
)

MOBILENET_V3_LARGE_TORCHVISION = Recipe(
    name="mobilenet_v3_large@torchvision",
    family="MobileNet",
    year=2019,  # howard2019
    sources=(HOWARD_2019, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:mobilenet_v3_large",
        parameters=5_483_032,  # torchvision MobileNet_V3_Large_Weights
        gmacs=0.2166,  # measured; torchvision MobileNet_V3_Large_Weights: 0.217
        gmacs_size=224,  # torchvision MobileNet_V3_Large_Weights
        batch_norm=_TV_V3_BATCH_NORM,
        narrow={"width_mult": 0.25},  # measured: small enough for --tiny
    ),
    data=_TV_V3_DATA,
    optimizer=_TV_V3_OPTIMIZER,
    schedule=_TV_V3_SCHEDULE,
    regularization=_TV_V3_REGULARIZATION,
    validation=_TV_SINGLE_CROP,
    targets=(
        Target(
            top1=74.042,  # torchvision MobileNet_V3_Large_Weights
            top5=91.34,  # torchvision MobileNet_V3_Large_Weights
            source=TORCHVISION,
            where="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP,
        ),
    ),
    departures=_TV_V3_DEPARTURES,
)

MOBILENET_V3_SMALL_TORCHVISION = Recipe(
    name="mobilenet_v3_small@torchvision",
    family="MobileNet",
    year=2019,  # howard2019
    sources=(HOWARD_2019, TORCHVISION, MEASURED),
    model=Model(
        "torchvision:mobilenet_v3_small",
        parameters=2_542_856,  # torchvision MobileNet_V3_Small_Weights
        gmacs=0.0565,  # measured; torchvision MobileNet_V3_Small_Weights: 0.057
        gmacs_size=224,  # torchvision MobileNet_V3_Small_Weights
        batch_norm=_TV_V3_BATCH_NORM,
        narrow={"width_mult": 0.25},  # measured: small enough for --tiny
    ),
    data=_TV_V3_DATA,
    optimizer=_TV_V3_OPTIMIZER,
    schedule=_TV_V3_SCHEDULE,
    regularization=_TV_V3_REGULARIZATION,
    validation=_TV_SINGLE_CROP,
    targets=(
        Target(
            top1=67.668,  # torchvision MobileNet_V3_Small_Weights
            top5=87.402,  # torchvision MobileNet_V3_Small_Weights
            source=TORCHVISION,
            where="MobileNet_V3_Small_Weights.IMAGENET1K_V1",
            evaluation=_TV_SINGLE_CROP,
        ),
    ),
    departures=_TV_V3_DEPARTURES,
)
