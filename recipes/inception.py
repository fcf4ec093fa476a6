"""Inception after GoogLeNet: with batch norm, Inception-v3, Inception-v4 and Inception-ResNet-v2."""

from recipes.schema import (
    EMA,
    SGD,
    AuxiliaryHeads,
    BatchNorm,
    ColorJitter,
    Data,
    Evaluation,
    Exponential,
    He,
    HorizontalFlip,
    Initialization,
    LayerStart,
    Lighting,
    Model,
    Normalize,
    PixelJitter,
    RandomResizedCrop,
    Recipe,
    Regularization,
    RMSProp,
    Target,
    TruncatedNormal,
    Xavier,
)
from recipes.sources import (
    FB_TORCH,
    GOOGLE_INCEPTION,
    IOFFE_2015,
    MEASURED,
    SLIM,
    SZEGEDY_2014,
    SZEGEDY_2015,
    SZEGEDY_2016,
)

# ---- Batch normalization: four trainings of one network, Figure 3

_SINGLE_CROP_224 = Evaluation(
    resize=(256,),  # not in ioffe2015; the least of the 144 crops' sides
    crop=224,  # ioffe2015 Figure 5
)
_SLIM_WINDOW_224 = Evaluation(
    window="inception",  # slim inception_preprocessing.py
    resize=(224,),  # slim inception_v2.py: default_image_size
    crop=224,  # slim inception_v2.py: default_image_size
    antialias=False,  # slim inception_preprocessing.py: resize_bilinear
)
_CROPS_144_224 = Evaluation(
    views="crops_144",  # ioffe2015 §4.2.3, as szegedy2014 §7
    resize=(256, 288, 320, 352),  # szegedy2014 §7
    crop=224,  # ioffe2015 Figure 5
)
_WINDOW_224 = RandomResizedCrop(
    size=224,  # ioffe2015 Figure 5
    area=(0.08, 1.0),  # szegedy2014 §6
    ratio=(3 / 4, 4 / 3),  # szegedy2014 §6
)
_UNIT_RANGE = Normalize(
    mean=(127.5, 127.5, 127.5),  # slim inception_preprocessing.py: pixels to [-1, 1]
    std=(127.5, 127.5, 127.5),  # slim inception_preprocessing.py: pixels to [-1, 1]
)
_DATA_LESS_DISTORTED = Data(
    batch_size=32,  # ioffe2015 §4.2
    augment=(_WINDOW_224, HorizontalFlip()),
    normalize=_UNIT_RANGE,
)
_DATA_DISTORTED = Data(
    batch_size=32,  # ioffe2015 §4.2
    augment=(
        _WINDOW_224,
        ColorJitter(
            brightness=0.4,  # not in ioffe2015; fb_torch datasets/imagenet.lua
            contrast=0.4,  # not in ioffe2015; fb_torch datasets/imagenet.lua
            saturation=0.4,  # not in ioffe2015; fb_torch datasets/imagenet.lua
        ),
        Lighting(std=0.1),  # not in ioffe2015; fb_torch datasets/imagenet.lua
        HorizontalFlip(),
    ),
    normalize=_UNIT_RANGE,
)
_SLIM_NORM_32 = BatchNorm(
    momentum=0.9997,  # not in ioffe2015; slim inception_utils.py
    eps=1e-3,  # not in ioffe2015; slim inception_utils.py
    images=32,  # ioffe2015 §4.2
)
_SLIM_START = Initialization(
    He(),  # not in ioffe2015; slim inception_utils.py
    layers=(
        LayerStart("depthwise1", TruncatedNormal(std=1.0)),  # not in ioffe2015; slim inception_v2.py
        LayerStart("conv1.0", TruncatedNormal(std=1.0)),  # not in ioffe2015; slim inception_v2.py
        LayerStart("conv2_reduce.0", TruncatedNormal(std=0.1)),  # not in ioffe2015; slim inception_v2.py
        LayerStart("blocks.*.three.0.0", TruncatedNormal(std=0.09)),  # not in ioffe2015; slim
        LayerStart("blocks.*.double3.0.0", TruncatedNormal(std=0.09)),  # not in ioffe2015; slim
        LayerStart("blocks.*.project.0", TruncatedNormal(std=0.1)),  # not in ioffe2015; slim
    ),
)
_FAST = Exponential(
    epochs=150,  # ioffe2015 §4.2.2: 6 million steps of 32 images
    decay=0.94,  # not in ioffe2015, which decays six times faster than its baseline; szegedy2015 §8
    every=2,  # not in ioffe2015; szegedy2015 §8
)
_SLOW = Exponential(
    epochs=774,  # ioffe2015 Figure 3: 31 million steps of 32 images
    decay=0.94,  # not in ioffe2015; szegedy2015 §8
    every=12,  # ioffe2015 §4.2.1: six times slower than the accelerated networks
)
_REGULARIZATION_REDUCED = Regularization(
    weight_decay=4e-5,  # not in ioffe2015; slim inception_utils.py
    decay_norm=False,  # not in ioffe2015; slim inception_utils.py
    decay_bias=False,  # not in ioffe2015; slim inception_utils.py
    decay_depthwise=False,  # not in ioffe2015; slim inception_utils.py: conv2d and fully_connected alone
)
_REGULARIZATION_FULL = Regularization(
    weight_decay=2e-4,  # ioffe2015 §4.2.1: five times that of the accelerated networks
    decay_norm=False,  # not in ioffe2015; slim inception_utils.py
    decay_bias=False,  # not in ioffe2015; slim inception_utils.py
    decay_depthwise=False,  # not in ioffe2015; slim inception_utils.py: conv2d and fully_connected alone
    dropout=0.4,  # ioffe2015 §4.2.3: that of the original Inception
)
_SYNCHRONOUS = "Gradients of a batch are averaged; the authors' descent was distributed and asynchronous."
_LAYOUT = (
    "The pool projections of 4c and 4d have 96 channels, as in the released code; the paper's table has 128, "
    "which contradicts its own sums. Its 13.6 million parameters fit neither."
)
_HEADLESS = (
    "There are no auxiliary heads: the paper speaks of one fully-connected layer, and the code has none."
)
_NO_NORMALIZATION = (
    "There is no response normalization; the paper removes it from the accelerated networks only."
)
_UNDISTORTED = (
    "Colours are not distorted; the paper distorts them less than before and does not say how much."
)
_UNSTATED = (
    "Momentum, weight decay, decay of the rate and the start of the weights are those of the released code; "
    "the paper does not give them. That code decays no part of the separable first layer; here its 1x1 half "
    "decays."
)
# What is known of the weights that Google released with its code: README.md says "trained internally".
_RELEASED = "Weights that Google released without saying how it trained them."

BN_INCEPTION = Recipe(
    name="bn_inception",
    family="Inception",
    year=2015,  # ioffe2015
    sources=(IOFFE_2015, SZEGEDY_2014, SZEGEDY_2015, SLIM, MEASURED),
    model=Model(
        "top1:bn_inception",
        parameters=11_188_288,  # measured; ioffe2015 §4.2: 13.6 million
        gmacs=1.93,  # measured; not in ioffe2015
        gmacs_size=224,  # ioffe2015 Figure 5
        batch_norm=_SLIM_NORM_32,
        initialization=_SLIM_START,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA_LESS_DISTORTED,
    optimizer=SGD(
        lr=0.045,  # ioffe2015 §4.2.2: BN-x30
        momentum=0.9,  # not in ioffe2015; slim train_image_classifier.py
    ),
    schedule=_FAST,
    regularization=_REGULARIZATION_REDUCED,
    validation=_SINGLE_CROP_224,
    targets=(
        Target(
            top1=74.8,  # ioffe2015 Figure 3
            top5=92.18,  # ioffe2015 Figure 4
            source=IOFFE_2015,
            where="Figure 3, BN-x30; Figure 4, single crop",
            evaluation=_SINGLE_CROP_224,
        ),
        Target(
            top1=78.01,  # ioffe2015 Figure 4
            top5=94.18,  # ioffe2015 Figure 4
            source=IOFFE_2015,
            where="Figure 4, BN-Inception multicrop",
            evaluation=_CROPS_144_224,
        ),
        Target(
            top1=79.9,  # ioffe2015 Figure 4
            top5=95.1,  # ioffe2015 Figure 4
            source=IOFFE_2015,
            where="Figure 4, BN-Inception ensemble",
            evaluation=_CROPS_144_224,
            ensemble=6,  # ioffe2015 Figure 4
            note="§4.2.3 changes each of the six: its start, dropout of 5 or 10%, where norm stands.",
        ),
        Target(
            top1=73.9,  # slim README.md
            top5=91.8,  # slim README.md
            source=SLIM,
            where="README.md, Inception V2, the released checkpoint",
            evaluation=_SLIM_WINDOW_224,
            confidence="medium",
            note="Weights that Google released without saying how it trained them. Their first layer has a "
            "bias and no batch norm.",
        ),
    ),
    departures=(_SYNCHRONOUS, _LAYOUT, _HEADLESS, _UNDISTORTED, _UNSTATED),
)

BN_INCEPTION_X5 = Recipe(
    name="bn_inception@x5",
    family="Inception",
    year=2015,  # ioffe2015
    sources=(IOFFE_2015, SZEGEDY_2014, SZEGEDY_2015, SLIM, MEASURED),
    model=Model(
        "top1:bn_inception",
        parameters=11_188_288,  # measured; ioffe2015 §4.2: 13.6 million
        gmacs=1.93,  # measured; not in ioffe2015
        gmacs_size=224,  # ioffe2015 Figure 5
        batch_norm=_SLIM_NORM_32,
        initialization=_SLIM_START,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA_LESS_DISTORTED,
    optimizer=SGD(
        lr=0.0075,  # ioffe2015 §4.2.2: BN-x5
        momentum=0.9,  # not in ioffe2015; slim train_image_classifier.py
    ),
    schedule=_FAST,
    regularization=_REGULARIZATION_REDUCED,
    validation=_SINGLE_CROP_224,
    targets=(
        Target(
            top1=73.0,  # ioffe2015 Figure 3
            source=IOFFE_2015,
            where="Figure 3, BN-x5",
            evaluation=_SINGLE_CROP_224,
        ),
    ),
    departures=(
        _SYNCHRONOUS,
        _LAYOUT,
        _HEADLESS,
        _UNDISTORTED,
        _UNSTATED,
        "It trains as long as BN-x30; the paper does not say how long BN-x5 trained.",
    ),
)

BN_INCEPTION_BASELINE = Recipe(
    name="bn_inception@baseline",
    family="Inception",
    year=2015,  # ioffe2015
    sources=(IOFFE_2015, SZEGEDY_2014, SZEGEDY_2015, SLIM, FB_TORCH, MEASURED),
    model=Model(
        "top1:bn_inception",
        parameters=11_188_288,  # measured; ioffe2015 §4.2: 13.6 million
        gmacs=1.93,  # measured; not in ioffe2015
        gmacs_size=224,  # ioffe2015 Figure 5
        batch_norm=_SLIM_NORM_32,
        initialization=_SLIM_START,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA_DISTORTED,
    optimizer=SGD(
        lr=0.0015,  # ioffe2015 §4.2.2
        momentum=0.9,  # not in ioffe2015; slim train_image_classifier.py
    ),
    schedule=_SLOW,
    regularization=_REGULARIZATION_FULL,
    validation=_SINGLE_CROP_224,
    targets=(
        Target(
            top1=72.7,  # ioffe2015 Figure 3
            source=IOFFE_2015,
            where="Figure 3, BN-Baseline",
            evaluation=_SINGLE_CROP_224,
        ),
    ),
    departures=(
        _SYNCHRONOUS,
        _LAYOUT,
        _HEADLESS,
        _NO_NORMALIZATION,
        _UNSTATED,
        "It trains as long as the network without batch norm; the paper does not say how long it trained.",
    ),
)

BN_INCEPTION_WITHOUT = Recipe(
    name="bn_inception@nobn",
    family="Inception",
    year=2015,  # ioffe2015
    sources=(IOFFE_2015, SZEGEDY_2014, SZEGEDY_2015, SLIM, FB_TORCH, MEASURED),
    model=Model(
        "top1:bn_inception",
        parameters=11_178_336,  # measured; ioffe2015 §4.2: 13.6 million
        gmacs=1.93,  # measured; not in ioffe2015
        gmacs_size=224,  # ioffe2015 Figure 5
        arguments={"batch_norm": False},
        initialization=Initialization(He()),  # not in ioffe2015; slim inception_utils.py
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA_DISTORTED,
    optimizer=SGD(
        lr=0.0015,  # ioffe2015 §4.2.2
        momentum=0.9,  # not in ioffe2015; slim train_image_classifier.py
    ),
    schedule=_SLOW,
    regularization=_REGULARIZATION_FULL,
    validation=_SINGLE_CROP_224,
    targets=(
        Target(
            top1=72.2,  # ioffe2015 Figure 3
            source=IOFFE_2015,
            where="Figure 3, Inception",
            evaluation=_SINGLE_CROP_224,
        ),
    ),
    departures=(_SYNCHRONOUS, _LAYOUT, _HEADLESS, _NO_NORMALIZATION, _UNSTATED),
)

# ---- Inception-v3 and what follows: 299 pixels, RMSProp

_WINDOW_299 = Evaluation(
    window="inception",
    resize=(299,),  # szegedy2015 §8
    crop=299,  # szegedy2015 §8
    antialias=False,  # google_inception image_processing.py: resize_bilinear
    without_blacklist=True,  # szegedy2015 §10
)
_SLIM_WINDOW_299 = Evaluation(
    window="inception",  # slim inception_preprocessing.py
    resize=(299,),  # slim inception_v3.py: default_image_size
    crop=299,  # slim inception_v3.py: default_image_size
    antialias=False,  # slim inception_preprocessing.py: resize_bilinear
)
_CROPS_144_299 = Evaluation(
    views="crops_144",  # szegedy2015 §10, as szegedy2014 §7
    resize=(341, 384, 427, 470),  # not in szegedy2015; szegedy2014 §7 times 299/224
    crop=299,  # szegedy2015 §8
    antialias=False,  # google_inception image_processing.py: resize_bilinear
)
_CROPS_144_299_FILTERED = Evaluation(
    views="crops_144",  # szegedy2015 §10, as szegedy2014 §7
    resize=(341, 384, 427, 470),  # not in szegedy2015; szegedy2014 §7 times 299/224
    crop=299,  # szegedy2015 §8
    antialias=False,  # google_inception image_processing.py: resize_bilinear
    without_blacklist=True,  # szegedy2015 §10
)
# The papers are silent on it; this is the code that trained the released Inception-v3.
_AUGMENT = (
    RandomResizedCrop(
        size=299,  # szegedy2015 §8
        area=(0.05, 1.0),  # google_inception image_processing.py
        ratio=(0.75, 1.33),  # google_inception image_processing.py
        attempts=100,  # google_inception image_processing.py
        rule="tensorflow",
        covered=0.1,  # google_inception image_processing.py: min_object_covered
        fallback="whole",  # google_inception image_processing.py
        antialias=False,  # google_inception image_processing.py: resize_images
    ),
    HorizontalFlip(),
    PixelJitter(shift=32.0),  # google_inception image_processing.py: random_brightness
    ColorJitter(
        contrast=0.5,  # google_inception image_processing.py
        saturation=0.5,  # google_inception image_processing.py
        hue=0.2,  # google_inception image_processing.py
    ),
)
_DATA_V3 = Data(
    batch_size=1600,  # szegedy2015 §8: 50 replicas of 32 images
    augment=_AUGMENT,
    normalize=_UNIT_RANGE,
)
_DATA_V4 = Data(
    batch_size=640,  # not in szegedy2016, which has 20 replicas; szegedy2015 §8: 32 images each
    augment=_AUGMENT,
    normalize=_UNIT_RANGE,
)
_NORM = BatchNorm(
    momentum=0.9997,  # slim inception_utils.py
    eps=1e-3,  # slim inception_utils.py
    images=32,  # szegedy2015 §8: those of a replica
)
_OPTIMIZER = RMSProp(
    lr=0.045,  # szegedy2015 §8, szegedy2016 §4
    decay=0.9,  # szegedy2015 §8, szegedy2016 §4
    momentum=0.9,  # google_inception inception_train.py; not in szegedy2015
    eps=1.0,  # szegedy2015 §8, szegedy2016 §4
)
_AVERAGE = EMA(decay=0.9999)  # google_inception inception_model.py; szegedy2015 §8 averages, not how fast
_SMOOTHED = Regularization(
    weight_decay=4e-5,  # google_inception inception_model.py
    decay_norm=False,  # google_inception inception_model.py
    decay_bias=False,  # google_inception inception_model.py
    label_smoothing=0.1,  # szegedy2015 §7
    dropout=0.2,  # google_inception inception_model.py: 0.8 are kept
    clip_norm=2.0,  # szegedy2015 §8; not in szegedy2016, which finds clipping useful
)

_REPLICAS = "Gradients of all replicas are averaged at every step; the authors' code waits for most of them."
_BOXES = "Windows are drawn without bounding boxes of objects, and resized by one kernel instead of four."
_COLOUR = (
    "Colours are distorted in any of the orders, not two of them; contrast turns about the mean of the grey "
    "image, saturation is blended with grey and not scaled in HSV, and brightness is added last and not cut "
    "off at white."
)
_SCALE = "Batch norm has a learned scale; the authors' code has none before a ReLU."
_UNPUBLISHED_V4 = (
    "The images of a replica, length, smoothing, clipping and speed of the average are Inception-v3's, "
    "or read off the figures; the paper does not give them."
)
_NO_HEAD = "There is no auxiliary head, as in the paper; the released code has one of weight 0.4."

INCEPTION_V3 = Recipe(
    name="inception_v3",
    family="Inception",
    year=2015,  # szegedy2015
    sources=(SZEGEDY_2015, SZEGEDY_2016, SZEGEDY_2014, GOOGLE_INCEPTION, SLIM, MEASURED),
    model=Model(
        "top1:inception_v3",
        parameters=23_834_568,  # measured; szegedy2015 §1: less than 25 million
        gmacs=5.71,  # measured; szegedy2015 Table 3: 4.8
        gmacs_size=299,  # szegedy2015 §8
        batch_norm=_NORM,
        auxiliary=AuxiliaryHeads(
            weights=(0.4,),  # google_inception inception_model.py
            parameters=3_326_696,  # measured; not in szegedy2015
        ),
        initialization=Initialization(
            TruncatedNormal(std=0.1),  # google_inception inception_model.py
            layers=(
                LayerStart("AuxLogits.conv1.conv", TruncatedNormal(std=0.01)),  # google_inception
                LayerStart("fc", TruncatedNormal(std=0.01)),  # google_inception ops.py
                LayerStart("AuxLogits.fc", TruncatedNormal(std=0.001)),  # google_inception
            ),
        ),
        narrow={"width": 0.25},  # measured: small enough for --tiny
        least_size=75,  # measured: the last map has one position
    ),
    data=_DATA_V3,
    optimizer=_OPTIMIZER,
    schedule=Exponential(
        epochs=100,  # szegedy2015 §8
        decay=0.94,  # szegedy2015 §8
        every=2,  # szegedy2015 §8
    ),
    regularization=_SMOOTHED,
    ema=_AVERAGE,
    validation=_WINDOW_299,
    targets=(
        Target(
            top1=78.8,  # szegedy2015 Table 3
            top5=94.4,  # szegedy2015 Table 3
            images=48_238,  # szegedy2015 §10
            source=SZEGEDY_2015,
            where="Table 3, Inception-v2 BN auxiliary, which is Inception-v3",
            evaluation=_WINDOW_299,
        ),
        Target(
            top1=81.23,  # szegedy2015 Table 4
            top5=95.8,  # szegedy2015 Table 4
            images=48_238,  # szegedy2015 §10
            source=SZEGEDY_2015,
            where="Table 4, Inception-v3, 144 crops",
            evaluation=_CROPS_144_299_FILTERED,
        ),
        Target(
            top1=81.1,  # szegedy2016 Table 4
            top5=95.7,  # szegedy2016 Table 4
            source=SZEGEDY_2016,
            where="Table 4 (AAAI Table 3), Inception-v3, 144 crops, all images",
            evaluation=_CROPS_144_299,
        ),
        Target(
            top1=82.8,  # szegedy2015 Table 5
            top5=96.42,  # szegedy2015 Table 5
            images=48_238,  # szegedy2015 §10
            source=SZEGEDY_2015,
            where="Table 5, Inception-v3, 4 models, 144 crops",
            evaluation=_CROPS_144_299_FILTERED,
            ensemble=4,  # szegedy2015 Table 5
            confidence="medium",
        ),
        Target(
            top1=78.0,  # slim README.md
            top5=93.9,  # slim README.md
            source=SLIM,
            where="README.md, Inception V3, the released checkpoint, all images",
            evaluation=_SLIM_WINDOW_299,
            confidence="medium",
            note=_RELEASED,
        ),
    ),
    departures=(_REPLICAS, _BOXES, _COLOUR, _SCALE),
)

INCEPTION_V4 = Recipe(
    name="inception_v4",
    family="Inception",
    year=2016,  # szegedy2016
    sources=(SZEGEDY_2016, SZEGEDY_2015, SZEGEDY_2014, GOOGLE_INCEPTION, SLIM, MEASURED),
    model=Model(
        "timm:inception_v4",
        parameters=42_679_816,  # measured; not in szegedy2016
        gmacs=12.25,  # measured; not in szegedy2016
        gmacs_size=299,  # szegedy2016 Figure 3
        batch_norm=_NORM,
        initialization=Initialization(
            He(),  # slim inception_utils.py
            linear=Xavier(),  # slim inception_v4.py: fully_connected's own
        ),
        least_size=75,  # measured: the last map has one position
    ),
    data=_DATA_V4,
    optimizer=_OPTIMIZER,
    schedule=Exponential(
        epochs=160,  # not in szegedy2016; where its figures end
        decay=0.94,  # szegedy2016 §4
        every=2,  # szegedy2016 §4
    ),
    regularization=_SMOOTHED,
    ema=_AVERAGE,
    validation=_WINDOW_299,
    targets=(
        Target(
            top1=80.0,  # szegedy2016 Table 2
            top5=95.0,  # szegedy2016 Table 2
            images=48_238,  # szegedy2015 §10
            source=SZEGEDY_2016,
            where="Table 2 (AAAI Table 1), Inception-v4",
            evaluation=_WINDOW_299,
        ),
        Target(
            top1=82.3,  # szegedy2016 Table 4
            top5=96.2,  # szegedy2016 Table 4
            source=SZEGEDY_2016,
            where="Table 4 (AAAI Table 3), Inception-v4, 144 crops, all images",
            evaluation=_CROPS_144_299,
        ),
        Target(
            top1=83.6,  # szegedy2016 AAAI Table 4
            top5=96.9,  # szegedy2016 AAAI Table 4
            source=SZEGEDY_2016,
            where="AAAI Table 4, Inception-v4 and three Inception-ResNet-v2, 144 crops, all images",
            evaluation=_CROPS_144_299,
            ensemble=4,  # szegedy2016 AAAI Table 4
            members=("inception_v4", "inception_resnet_v2", "inception_resnet_v2", "inception_resnet_v2"),
            confidence="medium",
        ),
        Target(
            top1=80.2,  # slim README.md
            top5=95.2,  # slim README.md
            source=SLIM,
            where="README.md, Inception V4, the released checkpoint, all images",
            evaluation=_SLIM_WINDOW_299,
            confidence="medium",
            note=_RELEASED,
        ),
    ),
    departures=(_REPLICAS, _BOXES, _COLOUR, _SCALE, _UNPUBLISHED_V4, _NO_HEAD),
)

INCEPTION_RESNET_V2 = Recipe(
    name="inception_resnet_v2",
    family="Inception",
    year=2016,  # szegedy2016
    sources=(SZEGEDY_2016, SZEGEDY_2015, SZEGEDY_2014, GOOGLE_INCEPTION, SLIM, MEASURED),
    model=Model(
        "timm:inception_resnet_v2",
        parameters=55_843_464,  # measured; not in szegedy2016
        gmacs=13.16,  # measured; not in szegedy2016
        gmacs_size=299,  # szegedy2016 Figure 15
        batch_norm=_NORM,
        initialization=Initialization(Xavier()),  # slim inception_resnet_v2.py: conv2d's own
        least_size=75,  # measured: the last map has one position
    ),
    data=_DATA_V4,
    optimizer=_OPTIMIZER,
    schedule=Exponential(
        epochs=160,  # not in szegedy2016; where its figures end
        decay=0.94,  # szegedy2016 §4
        every=2,  # szegedy2016 §4
    ),
    regularization=Regularization(
        weight_decay=4e-5,  # slim inception_resnet_v2.py
        decay_norm=False,  # slim inception_resnet_v2.py
        decay_bias=True,  # slim inception_resnet_v2.py: biases_regularizer
        label_smoothing=0.1,  # not in szegedy2016; szegedy2015 §7
        dropout=0.2,  # slim inception_resnet_v2.py: 0.8 are kept
        clip_norm=2.0,  # not in szegedy2016, which finds clipping useful; szegedy2015 §8
    ),
    ema=_AVERAGE,
    validation=_WINDOW_299,
    targets=(
        Target(
            top1=80.1,  # szegedy2016 Table 2
            top5=95.1,  # szegedy2016 Table 2
            images=48_238,  # szegedy2015 §10
            source=SZEGEDY_2016,
            where="Table 2 (AAAI Table 1), Inception-ResNet-v2",
            evaluation=_WINDOW_299,
        ),
        Target(
            top1=82.2,  # szegedy2016 Table 4
            top5=96.3,  # szegedy2016 Table 4
            source=SZEGEDY_2016,
            where="Table 4 (AAAI Table 3), Inception-ResNet-v2, 144 crops, all images",
            evaluation=_CROPS_144_299,
        ),
        Target(
            top1=80.4,  # slim README.md
            top5=95.3,  # slim README.md
            source=SLIM,
            where="README.md, Inception-ResNet-v2, the released checkpoint, all images",
            evaluation=_SLIM_WINDOW_299,
            confidence="medium",
            note=_RELEASED,
        ),
    ),
    departures=(
        _REPLICAS,
        _BOXES,
        _COLOUR,
        _SCALE,
        _UNPUBLISHED_V4,
        _NO_HEAD,
        "The network is the released one, of 10, 20 and 10 blocks with Inception-v3's stem; §3.2 of "
        "the paper gives it Inception-v4's.",
    ),
)
