"""VGG: Simonyan and Zisserman 2014, network by network as §3.1 trains them one from another."""

from recipes.schema import (
    SGD,
    BatchNorm,
    Data,
    Evaluation,
    HorizontalFlip,
    Initialization,
    LayerStart,
    Lighting,
    Model,
    Normalize,
    RandomCrop,
    RandomResizedCrop,
    Recipe,
    Regularization,
    StartFrom,
    Steps,
    Target,
    Uniform,
    Xavier,
)
from recipes.sources import (
    HE_2015,
    KAIMINGHE,
    KRIZHEVSKY_2012,
    MEASURED,
    SIMONYAN_2014,
    SLIM,
    TORCHVISION,
)

_SOURCES = (SIMONYAN_2014, KRIZHEVSKY_2012, MEASURED)

# What all trainings of the paper share: everything but the scale S of the training images.
_MEAN = Normalize(
    mean=(123.68, 116.779, 103.939),  # not in simonyan2014, §2.1 subtracts it; the released models' file
    std=(1.0, 1.0, 1.0),  # simonyan2014 §2.1: subtracting the mean is the only preprocessing
)
_SHIFT = Lighting(std=0.1)  # simonyan2014 §3.1, as krizhevsky2012 §4.1
_S256 = Data(
    batch_size=256,  # simonyan2014 §3.1
    augment=(
        RandomCrop(
            size=224,  # simonyan2014 §3.1
            resize=(256, 256),  # simonyan2014 §3.1: S = 256
        ),
        HorizontalFlip(),
        _SHIFT,
    ),
    normalize=_MEAN,
)
_S384 = Data(
    batch_size=256,  # simonyan2014 §3.1
    augment=(
        RandomCrop(
            size=224,  # simonyan2014 §3.1
            resize=(384, 384),  # simonyan2014 §3.1: S = 384
        ),
        HorizontalFlip(),
        _SHIFT,
    ),
    normalize=_MEAN,
)
_JITTER = Data(
    batch_size=256,  # simonyan2014 §3.1
    augment=(
        RandomCrop(
            size=224,  # simonyan2014 §3.1
            resize=(256, 512),  # simonyan2014 §3.1: S in [256; 512]
        ),
        HorizontalFlip(),
        _SHIFT,
    ),
    normalize=_MEAN,
)
_OPTIMIZER = SGD(
    lr=0.01,  # simonyan2014 §3.1
    momentum=0.9,  # simonyan2014 §3.1
)
_SCHEDULE = Steps(
    epochs=74,  # simonyan2014 §3.1: 370 thousand iterations
    milestones=(25, 50, 65),  # not in simonyan2014 §3.1, which lowers it three times by hand
    gamma=0.1,  # simonyan2014 §3.1
)
_FINE_TUNING_OPTIMIZER = SGD(
    lr=1e-3,  # simonyan2014 §3.1: that of S = 384; it gives none for the jitter
    momentum=0.9,  # simonyan2014 §3.1
)
_FINE_TUNING_SCHEDULE = Steps(
    epochs=49,  # not in simonyan2014; what follows the first fall of the 74 epochs
    milestones=(25, 40),  # not in simonyan2014; what follows the first fall of the 74 epochs
    gamma=0.1,  # simonyan2014 §3.1
)
_REGULARIZATION = Regularization(
    weight_decay=5e-4,  # simonyan2014 §3.1
    decay_bias=False,  # not in simonyan2014; as is Caffe's habit
    dropout=0.5,  # simonyan2014 §3.1
)
# §3.1 draws from a normal distribution of variance 0.01, and says of its own initialization by another
# network that Glorot and Bengio's makes it unnecessary.
_START = Initialization(
    Xavier(),  # simonyan2014 §3.1
    layers=(
        # fc6 is a 7x7 convolution here: 25,088 inputs and 4,096 outputs of a layer that sees one position.
        LayerStart("pre_logits.fc1", weights=Uniform(bound=0.01434)),  # simonyan2014 §3.1: (6/29184)^0.5
    ),
)
_GLOROT = (
    "Weights begin as Glorot and Bengio say, which the paper recommends in hindsight; with its own variance "
    "of 0.01 the first scores are in the hundreds of millions."
)
_BY_HAND = "The rate falls at fixed epochs; the authors lowered it when validation accuracy stood still."
_LENGTH = "The paper gives no length for what follows S = 256; ours is the rest of the first schedule."

# §3.1: the first four convolutions and the classifier of A, by timm's names.
_LAYERS_OF_A = {
    "features.0": "features.0",
    "features.5": "features.3",
    "features.10": "features.6",
    "features.12": "features.8",
    "pre_logits": "pre_logits",
    "head": "head",
}

_SINGLE_CROP = Evaluation(
    resize=(256,),  # not in simonyan2014; torchvision
    crop=224,  # simonyan2014 §3.1
)
_DENSE_256 = Evaluation(
    views="dense",  # simonyan2014 §3.2
    resize=(256,),  # simonyan2014 §4.1: Q = S
    crop=224,  # simonyan2014 §3.1
)
_DENSE_384 = Evaluation(
    views="dense",  # simonyan2014 §3.2
    resize=(384,),  # simonyan2014 §4.1: Q = S, or 0.5 (256 + 512)
    crop=224,  # simonyan2014 §3.1
)
_DENSE_NEAR_256 = Evaluation(
    views="dense",  # simonyan2014 §3.2
    resize=(224, 256, 288),  # simonyan2014 §4.2: S - 32, S, S + 32
    crop=224,  # simonyan2014 §3.1
)
_DENSE_NEAR_384 = Evaluation(
    views="dense",  # simonyan2014 §3.2
    resize=(352, 384, 416),  # simonyan2014 §4.2: S - 32, S, S + 32
    crop=224,  # simonyan2014 §3.1
)
_DENSE_THREE = Evaluation(
    views="dense",  # simonyan2014 §3.2
    resize=(256, 384, 512),  # simonyan2014 §4.2
    crop=224,  # simonyan2014 §3.1
)
# The weights that the authors released are, in their own words (Caffe's model zoo), configurations D and E
# trained with scale jittering. Others measured them on crops, which the paper does not.
_CENTER_CROP = Evaluation(
    resize=(256,),  # kaiminghe README.md
    crop=224,  # kaiminghe README.md
)
_TEN_CROP = Evaluation(
    views="ten_crop",  # he2015 §3.4
    resize=(256,),  # kaiminghe README.md
    crop=224,  # he2015 §3.4
)
_SLIM_CROP = Evaluation(
    resize=(256,),  # slim vgg_preprocessing.py
    crop=224,  # slim vgg.py: default_image_size
    antialias=False,  # slim vgg_preprocessing.py: resize_bilinear
)
_RELEASED = "Measured by others on the weights that the authors released."

VGG11 = Recipe(
    name="vgg11",
    family="VGG",
    year=2014,  # simonyan2014
    sources=_SOURCES,
    model=Model(
        "top1:vgg",
        parameters=132_863_336,  # measured; simonyan2014 Table 2: 133 million
        gmacs=7.61,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "A"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_S256,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=70.4,  # simonyan2014 Table 3
            top5=89.6,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, A, S = 256, Q = 256",
            evaluation=_DENSE_256,
        ),
    ),
    departures=(_BY_HAND, _GLOROT),
)

VGG13 = Recipe(
    name="vgg13",
    family="VGG",
    year=2014,  # simonyan2014
    sources=_SOURCES,
    model=Model(
        "top1:vgg",
        parameters=133_047_848,  # measured; simonyan2014 Table 2: 133 million
        gmacs=11.31,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "B"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_S256,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg11", layers=_LAYERS_OF_A),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=71.3,  # simonyan2014 Table 3
            top5=90.1,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, B, S = 256, Q = 256",
            evaluation=_DENSE_256,
        ),
        Target(
            top1=71.8,  # simonyan2014 Table 4
            top5=90.4,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, B, S = 256, Q = 224, 256, 288",
            evaluation=_DENSE_NEAR_256,
        ),
    ),
    departures=(_BY_HAND, _GLOROT),
)

VGG16_S256 = Recipe(
    name="vgg16@s256",
    family="VGG",
    year=2014,  # simonyan2014
    sources=_SOURCES,
    model=Model(
        "top1:vgg",
        parameters=138_357_544,  # measured; simonyan2014 Table 2: 138 million
        gmacs=15.47,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "D"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_S256,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg11", layers=_LAYERS_OF_A),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=73.0,  # simonyan2014 Table 3
            top5=91.2,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, D, S = 256, Q = 256",
            evaluation=_DENSE_256,
        ),
        Target(
            top1=73.4,  # simonyan2014 Table 4
            top5=91.4,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, D, S = 256, Q = 224, 256, 288",
            evaluation=_DENSE_NEAR_256,
        ),
    ),
    departures=(_BY_HAND, _GLOROT),
)

VGG16_S384 = Recipe(
    name="vgg16@s384",
    family="VGG",
    year=2014,  # simonyan2014
    sources=_SOURCES,
    model=Model(
        "top1:vgg",
        parameters=138_357_544,  # measured; simonyan2014 Table 2: 138 million
        gmacs=15.47,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "D"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_S384,
    optimizer=_FINE_TUNING_OPTIMIZER,
    schedule=_FINE_TUNING_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg16@s256"),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=73.2,  # simonyan2014 Table 3
            top5=91.3,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, D, S = 384, Q = 384",
            evaluation=_DENSE_384,
        ),
        Target(
            top1=73.5,  # simonyan2014 Table 4
            top5=91.4,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, D, S = 384, Q = 352, 384, 416",
            evaluation=_DENSE_NEAR_384,
        ),
    ),
    departures=(_BY_HAND, _LENGTH),
)

VGG16 = Recipe(
    name="vgg16",
    family="VGG",
    year=2014,  # simonyan2014
    sources=(*_SOURCES, HE_2015, KAIMINGHE, SLIM),
    model=Model(
        "top1:vgg",
        parameters=138_357_544,  # measured; simonyan2014 Table 2: 138 million
        gmacs=15.47,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "D"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_JITTER,
    optimizer=_FINE_TUNING_OPTIMIZER,
    schedule=_FINE_TUNING_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg16@s384"),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.4,  # simonyan2014 Table 3
            top5=91.9,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, D, S = [256; 512], Q = 384",
            evaluation=_DENSE_384,
        ),
        Target(
            top1=75.2,  # simonyan2014 Table 4
            top5=92.5,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, D, S = [256; 512], Q = 256, 384, 512",
            evaluation=_DENSE_THREE,
        ),
        Target(
            top1=71.93,  # he2015 Table 3: 28.07% error
            top5=90.67,  # he2015 Table 3: 9.33% error
            source=HE_2015,
            where='Table 3, VGG-16, "based on our test"',
            evaluation=_TEN_CROP,
            confidence="medium",
            note="Measured by others, on the released weights as it seems; which ones is not said.",
        ),
        Target(
            top1=71.5,  # kaiminghe README.md: 28.5% error
            top5=90.1,  # kaiminghe README.md: 9.9% error
            source=KAIMINGHE,
            where="README.md, VGG-16, 1-crop, quoted from MatConvNet",
            evaluation=_CENTER_CROP,
            note=_RELEASED,
        ),
        Target(
            top1=71.5,  # slim README.md
            top5=89.8,  # slim README.md
            source=SLIM,
            where="README.md, VGG 16",
            evaluation=_SLIM_CROP,
            note=_RELEASED,
        ),
    ),
    departures=(_BY_HAND, _LENGTH),
)

VGG19_S256 = Recipe(
    name="vgg19@s256",
    family="VGG",
    year=2014,  # simonyan2014
    sources=_SOURCES,
    model=Model(
        "top1:vgg",
        parameters=143_667_240,  # measured; simonyan2014 Table 2: 144 million
        gmacs=19.63,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "E"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_S256,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg11", layers=_LAYERS_OF_A),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=72.7,  # simonyan2014 Table 3
            top5=91.0,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, E, S = 256, Q = 256",
            evaluation=_DENSE_256,
        ),
        Target(
            top1=73.1,  # simonyan2014 Table 4
            top5=91.3,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, E, S = 256, Q = 224, 256, 288",
            evaluation=_DENSE_NEAR_256,
        ),
    ),
    departures=(_BY_HAND, _GLOROT),
)

VGG19_S384 = Recipe(
    name="vgg19@s384",
    family="VGG",
    year=2014,  # simonyan2014
    sources=_SOURCES,
    model=Model(
        "top1:vgg",
        parameters=143_667_240,  # measured; simonyan2014 Table 2: 144 million
        gmacs=19.63,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "E"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_S384,
    optimizer=_FINE_TUNING_OPTIMIZER,
    schedule=_FINE_TUNING_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg19@s256"),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=73.1,  # simonyan2014 Table 3
            top5=91.3,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, E, S = 384, Q = 384",
            evaluation=_DENSE_384,
        ),
        Target(
            top1=73.3,  # simonyan2014 Table 4
            top5=91.4,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, E, S = 384, Q = 352, 384, 416",
            evaluation=_DENSE_NEAR_384,
        ),
    ),
    departures=(_BY_HAND, _LENGTH),
)

VGG19 = Recipe(
    name="vgg19",
    family="VGG",
    year=2014,  # simonyan2014
    sources=(*_SOURCES, SLIM),
    model=Model(
        "top1:vgg",
        parameters=143_667_240,  # measured; simonyan2014 Table 2: 144 million
        gmacs=19.63,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "E"},
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_JITTER,
    optimizer=_FINE_TUNING_OPTIMIZER,
    schedule=_FINE_TUNING_SCHEDULE,
    regularization=_REGULARIZATION,
    starts_from=StartFrom("vgg19@s384"),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.5,  # simonyan2014 Table 3
            top5=92.0,  # simonyan2014 Table 3
            source=SIMONYAN_2014,
            where="Table 3, E, S = [256; 512], Q = 384",
            evaluation=_DENSE_384,
        ),
        Target(
            top1=75.2,  # simonyan2014 Table 4
            top5=92.5,  # simonyan2014 Table 4
            source=SIMONYAN_2014,
            where="Table 4, E, S = [256; 512], Q = 256, 384, 512",
            evaluation=_DENSE_THREE,
        ),
        Target(
            top1=76.0,  # simonyan2014 Table 6
            top5=92.9,  # simonyan2014 Table 6
            source=SIMONYAN_2014,
            where="Table 6, post-submission D and E, dense",
            evaluation=_DENSE_THREE,
            ensemble=2,  # simonyan2014 Table 6
            members=("vgg16", "vgg19"),
        ),
        Target(
            top1=71.1,  # slim README.md
            top5=89.8,  # slim README.md
            source=SLIM,
            where="README.md, VGG 19",
            evaluation=_SLIM_CROP,
            note=_RELEASED,
        ),
    ),
    departures=(_BY_HAND, _LENGTH),
)

# The paper's training, from scratch and with jitter, of the networks with batch norm; nobody published it.
_WITH_NORM = (
    "The paper's networks have no batch norm; with it they are trained from scratch, with the jitter."
)

VGG11_BN = Recipe(
    name="vgg11_bn",
    family="VGG",
    year=2014,  # simonyan2014
    sources=(SIMONYAN_2014, KRIZHEVSKY_2012, TORCHVISION, MEASURED),
    model=Model(
        "top1:vgg",
        parameters=132_868_840,  # measured; simonyan2014 Table 2: 133 million
        gmacs=7.61,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "A", "batch_norm": True},
        batch_norm=BatchNorm(
            momentum=0.9,  # not in simonyan2014; torchvision
            eps=1e-5,  # not in simonyan2014; torchvision
            images=64,  # simonyan2014 §3.3: 256 images on 4 GPUs
        ),
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_JITTER,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(),
    departures=(_WITH_NORM, _BY_HAND, _GLOROT),
)

VGG13_BN = Recipe(
    name="vgg13_bn",
    family="VGG",
    year=2014,  # simonyan2014
    sources=(SIMONYAN_2014, KRIZHEVSKY_2012, TORCHVISION, MEASURED),
    model=Model(
        "top1:vgg",
        parameters=133_053_736,  # measured; simonyan2014 Table 2: 133 million
        gmacs=11.31,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "B", "batch_norm": True},
        batch_norm=BatchNorm(
            momentum=0.9,  # not in simonyan2014; torchvision
            eps=1e-5,  # not in simonyan2014; torchvision
            images=64,  # simonyan2014 §3.3: 256 images on 4 GPUs
        ),
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_JITTER,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(),
    departures=(_WITH_NORM, _BY_HAND, _GLOROT),
)

VGG16_BN = Recipe(
    name="vgg16_bn",
    family="VGG",
    year=2014,  # simonyan2014
    sources=(SIMONYAN_2014, KRIZHEVSKY_2012, TORCHVISION, MEASURED),
    model=Model(
        "top1:vgg",
        parameters=138_365_992,  # measured; simonyan2014 Table 2: 138 million
        gmacs=15.47,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "D", "batch_norm": True},
        batch_norm=BatchNorm(
            momentum=0.9,  # not in simonyan2014; torchvision
            eps=1e-5,  # not in simonyan2014; torchvision
            images=64,  # simonyan2014 §3.3: 256 images on 4 GPUs
        ),
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_JITTER,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(),
    departures=(_WITH_NORM, _BY_HAND, _GLOROT),
)

VGG19_BN = Recipe(
    name="vgg19_bn",
    family="VGG",
    year=2014,  # simonyan2014
    sources=(SIMONYAN_2014, KRIZHEVSKY_2012, TORCHVISION, MEASURED),
    model=Model(
        "top1:vgg",
        parameters=143_678_248,  # measured; simonyan2014 Table 2: 144 million
        gmacs=19.63,  # measured; not in simonyan2014
        gmacs_size=224,  # simonyan2014 §2.1
        arguments={"configuration": "E", "batch_norm": True},
        batch_norm=BatchNorm(
            momentum=0.9,  # not in simonyan2014; torchvision
            eps=1e-5,  # not in simonyan2014; torchvision
            images=64,  # simonyan2014 §3.3: 256 images on 4 GPUs
        ),
        initialization=_START,
        narrow={"width": 0.125},  # measured: small enough for --tiny
    ),
    data=_JITTER,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(),
    departures=(_WITH_NORM, _BY_HAND, _GLOROT),
)

# torchvision's training of its eight networks: with batch norm at its usual rate, without at a tenth of it.
_TORCHVISION_DATA = Data(
    batch_size=256,  # torchvision train.py: 8 GPUs of 32 images
    augment=(
        RandomResizedCrop(size=224),  # torchvision presets.py
        HorizontalFlip(),
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # torchvision presets.py
        std=(58.395, 57.12, 57.375),  # torchvision presets.py
    ),
)
_TORCHVISION_OPTIMIZER = SGD(
    lr=0.01,  # torchvision README.md: 0.1 is too high without batch norm
    momentum=0.9,  # torchvision train.py
)
_TORCHVISION_NORM_OPTIMIZER = SGD(
    lr=0.1,  # torchvision README.md: the default parameters (train.py)
    momentum=0.9,  # torchvision train.py
)
_TORCHVISION_SCHEDULE = Steps(
    epochs=90,  # torchvision train.py
    milestones=(30, 60),  # torchvision train.py: every 30 epochs
    gamma=0.1,  # torchvision train.py
)
_TORCHVISION_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # torchvision train.py
    dropout=0.5,  # torchvision vgg.py
)
_TORCHVISION_NORM = BatchNorm(
    momentum=0.9,  # torchvision vgg.py: PyTorch's default
    eps=1e-5,  # torchvision vgg.py: PyTorch's default
    images=32,  # torchvision train.py: 8 GPUs of 32 images
)

VGG11_TORCHVISION = Recipe(
    name="vgg11@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg11",
        parameters=132_863_336,  # measured; torchvision: the same
        gmacs=7.61,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=69.02,  # torchvision
            top5=88.628,  # torchvision
            source=TORCHVISION,
            where="VGG11_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG13_TORCHVISION = Recipe(
    name="vgg13@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg13",
        parameters=133_047_848,  # measured; torchvision: the same
        gmacs=11.31,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=69.928,  # torchvision
            top5=89.246,  # torchvision
            source=TORCHVISION,
            where="VGG13_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG16_TORCHVISION = Recipe(
    name="vgg16@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg16",
        parameters=138_357_544,  # measured; torchvision: the same
        gmacs=15.47,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=71.592,  # torchvision
            top5=90.382,  # torchvision
            source=TORCHVISION,
            where="VGG16_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG19_TORCHVISION = Recipe(
    name="vgg19@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg19",
        parameters=143_667_240,  # measured; torchvision: the same
        gmacs=19.63,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=72.376,  # torchvision
            top5=90.876,  # torchvision
            source=TORCHVISION,
            where="VGG19_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG11_BN_TORCHVISION = Recipe(
    name="vgg11_bn@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg11_bn",
        parameters=132_868_840,  # measured; torchvision: the same
        gmacs=7.61,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
        batch_norm=_TORCHVISION_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_NORM_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=70.37,  # torchvision
            top5=89.81,  # torchvision
            source=TORCHVISION,
            where="VGG11_BN_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG13_BN_TORCHVISION = Recipe(
    name="vgg13_bn@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg13_bn",
        parameters=133_053_736,  # measured; torchvision: the same
        gmacs=11.31,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
        batch_norm=_TORCHVISION_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_NORM_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=71.586,  # torchvision
            top5=90.374,  # torchvision
            source=TORCHVISION,
            where="VGG13_BN_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG16_BN_TORCHVISION = Recipe(
    name="vgg16_bn@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg16_bn",
        parameters=138_365_992,  # measured; torchvision: the same
        gmacs=15.47,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
        batch_norm=_TORCHVISION_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_NORM_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=73.36,  # torchvision
            top5=91.516,  # torchvision
            source=TORCHVISION,
            where="VGG16_BN_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)

VGG19_BN_TORCHVISION = Recipe(
    name="vgg19_bn@torchvision",
    family="VGG",
    year=2017,  # torchvision
    sources=(TORCHVISION, SIMONYAN_2014, MEASURED),
    model=Model(
        "torchvision:vgg19_bn",
        parameters=143_678_248,  # measured; torchvision: the same
        gmacs=19.63,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
        batch_norm=_TORCHVISION_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_NORM_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.218,  # torchvision
            top5=91.842,  # torchvision
            source=TORCHVISION,
            where="VGG19_BN_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)
