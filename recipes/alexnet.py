"""AlexNet: Krizhevsky, Sutskever, Hinton 2012."""

from recipes.schema import (
    SGD,
    Data,
    Evaluation,
    HorizontalFlip,
    Initialization,
    Lighting,
    Model,
    Normal,
    Normalize,
    RandomCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
)
from recipes.sources import CUDA_CONVNET2, KRIZHEVSKY_2012, MEASURED, TENSORPACK

_TEN_CROP = Evaluation(
    views="ten_crop",  # krizhevsky2012 §4.1
    resize=(256,),  # krizhevsky2012 §2
    central_square=True,
    crop=224,  # krizhevsky2012 §4.1
)

ALEXNET = Recipe(
    name="alexnet",
    family="AlexNet",
    year=2012,  # krizhevsky2012
    sources=(KRIZHEVSKY_2012, CUDA_CONVNET2, TENSORPACK, MEASURED),
    model=Model(
        "top1:alexnet2012",
        parameters=60_965_224,  # measured; krizhevsky2012 abstract: 60 million
        gmacs=0.714,  # measured; not in krizhevsky2012
        gmacs_size=224,  # krizhevsky2012 §3.5
        initialization=Initialization(
            Normal(std=0.01),  # krizhevsky2012 §5
            ones_bias=("conv2", "conv4", "conv5", "fc6", "fc7"),  # krizhevsky2012 §5
        ),
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=128,  # krizhevsky2012 §5
        augment=(
            RandomCrop(
                size=224,  # krizhevsky2012 §4.1
                resize=(256, 256),  # krizhevsky2012 §2
                central_square=True,
            ),
            HorizontalFlip(),
            Lighting(std=0.1),  # krizhevsky2012 §4.1
        ),
        # The mean of the training pixels; not scaled, since the initialization expects raw values.
        normalize=Normalize(
            mean=(123.675, 116.28, 103.53),  # not in krizhevsky2012; torchvision's channel means
            std=(1.0, 1.0, 1.0),  # krizhevsky2012 §2: raw RGB values
        ),
    ),
    optimizer=SGD(
        lr=0.01,  # krizhevsky2012 §5
        momentum=0.9,  # krizhevsky2012 §5
        form="caffe",
    ),
    schedule=Steps(
        epochs=90,  # krizhevsky2012 §5: roughly 90 cycles
        # krizhevsky2012 §5 divides three times, by hand, when the validation error stops improving.
        milestones=(30, 60, 80),  # not in krizhevsky2012; tensorpack
        gamma=0.1,  # krizhevsky2012 §5
    ),
    regularization=Regularization(
        weight_decay=5e-4,  # krizhevsky2012 §5
        decay_bias=False,  # cuda-convnet2
        dropout=0.5,  # krizhevsky2012 §4.2
    ),
    validation=Evaluation(
        resize=(256,),  # krizhevsky2012 §2
        crop=224,  # krizhevsky2012 §4.1
    ),
    targets=(
        Target(
            top1=59.3,  # krizhevsky2012 Table 2
            top5=81.8,  # krizhevsky2012 Table 2
            source=KRIZHEVSKY_2012,
            where='Table 2, row "1 CNN" (validation)',
            evaluation=_TEN_CROP,
        ),
    ),
    departures=(
        "The rate falls at fixed epochs; the authors lowered it by hand.",
        "One mean per channel is subtracted, not the mean image.",
    ),
)
