"""AlexNet: Krizhevsky, Sutskever, Hinton 2012, and its later forms in one tower."""

from recipes.schema import (
    SGD,
    Data,
    Evaluation,
    HorizontalFlip,
    Initialization,
    LayerStart,
    Lighting,
    Model,
    Normal,
    Normalize,
    RandomCrop,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
)
from recipes.sources import (
    CAFFE,
    CUDA_CONVNET2,
    KRIZHEVSKY_2012,
    KRIZHEVSKY_2014,
    MEASURED,
    TENSORPACK,
    TORCHVISION,
)

_TEN_CROP = Evaluation(
    views="ten_crop",  # krizhevsky2012 §4.1
    resize=(256,),  # krizhevsky2012 §2
    central_square=True,
    crop=224,  # krizhevsky2012 §4.1
)

_SINGLE_CROP = Evaluation(
    resize=(256,),  # krizhevsky2012 §2
    crop=224,  # krizhevsky2012 §4.1
)

ALEXNET = Recipe(
    name="alexnet",
    family="AlexNet",
    year=2012,  # krizhevsky2012
    sources=(KRIZHEVSKY_2012, CUDA_CONVNET2, TENSORPACK, MEASURED),
    model=Model(
        "top1:alexnet",
        parameters=60_965_224,  # measured; krizhevsky2012 abstract: 60 million
        gmacs=0.724,  # measured; not in krizhevsky2012
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
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=59.3,  # krizhevsky2012 Table 2
            top5=81.8,  # krizhevsky2012 Table 2
            source=KRIZHEVSKY_2012,
            where='Table 2, row "1 CNN" (validation)',
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=61.9,  # krizhevsky2012 Table 2
            top5=83.6,  # krizhevsky2012 Table 2
            source=KRIZHEVSKY_2012,
            where='Table 2, row "5 CNNs" (validation)',
            evaluation=_TEN_CROP,
            ensemble=5,  # krizhevsky2012 Table 2
        ),
        Target(
            top1=61.0,  # krizhevsky2012 Table 2
            top5=83.4,  # krizhevsky2012 Table 2
            source=KRIZHEVSKY_2012,
            where='Table 2, row "1 CNN*" (validation)',
            evaluation=_TEN_CROP,
            extra_data="ImageNet Fall 2011 (15 million images of 22 thousand classes)",
            note="The network has a sixth convolution, whose size is not published.",
        ),
        Target(
            top1=63.3,  # krizhevsky2012 Table 2
            top5=84.6,  # krizhevsky2012 Table 2
            source=KRIZHEVSKY_2012,
            where='Table 2, row "7 CNNs*" (validation)',
            evaluation=_TEN_CROP,
            ensemble=7,  # krizhevsky2012 Table 2
            extra_data="ImageNet Fall 2011 (15 million images of 22 thousand classes), two of the seven",
            note="Five networks of this recipe and two with a sixth convolution begun on the extra data.",
        ),
    ),
    departures=(
        "The rate falls at fixed epochs; the authors lowered it by hand.",
        "One mean per channel is subtracted, not the mean image.",
    ),
)

ALEXNET_OWT = Recipe(
    name="alexnet@owt",
    family="AlexNet",
    year=2014,  # krizhevsky2014
    sources=(KRIZHEVSKY_2012, KRIZHEVSKY_2014, CUDA_CONVNET2, MEASURED, TORCHVISION),
    model=Model(
        "top1:alexnet",
        parameters=61_100_840,  # measured; not in krizhevsky2014
        gmacs=0.714,  # measured; not in krizhevsky2014
        gmacs_size=224,  # cuda-convnet2 TrainingExample.md
        arguments={
            "channels": (64, 192, 384, 256, 256),  # cuda-convnet2 layers-imagenet-1gpu.cfg
            "hidden": 4096,  # cuda-convnet2 layers-imagenet-1gpu.cfg
            "groups": 1,  # cuda-convnet2 layers-imagenet-1gpu.cfg
            "rectified": False,
        },
        initialization=Initialization(
            Normal(std=0.01),  # cuda-convnet2 layers-imagenet-1gpu.cfg
            ones_bias=("conv2", "conv4", "conv5", "fc6", "fc7"),  # cuda-convnet2 layers-imagenet-1gpu.cfg
            layers=(
                LayerStart("conv[345]", weights=Normal(std=0.03)),  # cuda-convnet2 layers-imagenet-1gpu.cfg
                LayerStart("fc8", bias=-7.0),  # cuda-convnet2 layers-imagenet-1gpu.cfg
            ),
        ),
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=128,  # cuda-convnet2 TrainingExample.md
        augment=(
            RandomCrop(
                size=224,  # cuda-convnet2 TrainingExample.md
                resize=(256, 256),  # krizhevsky2012 §2
                central_square=True,
            ),
            HorizontalFlip(),
            Lighting(std=0.1),  # cuda-convnet2 TrainingExample.md
        ),
        normalize=Normalize(
            mean=(123.675, 116.28, 103.53),  # not in krizhevsky2014; torchvision's channel means
            std=(1.0, 1.0, 1.0),  # krizhevsky2012 §2: raw RGB values
        ),
    ),
    optimizer=SGD(
        lr=0.01,  # cuda-convnet2 layer-params-imagenet-1gpu.cfg
        momentum=0.9,  # cuda-convnet2 layer-params-imagenet-1gpu.cfg
        form="caffe",
    ),
    schedule=Steps(
        epochs=90,  # cuda-convnet2 TrainingExample.md
        milestones=(22.5, 45, 67.5),  # cuda-convnet2 layer-params-imagenet-1gpu.cfg: four equal parts
        gamma=250 ** (-1 / 3),  # cuda-convnet2 layer-params-imagenet-1gpu.cfg: to 1/250 in the end
    ),
    regularization=Regularization(
        weight_decay=5e-4,  # cuda-convnet2 layer-params-imagenet-1gpu.cfg
        decay_bias=False,  # cuda-convnet2 layer-params-imagenet-1gpu.cfg
        dropout=0.5,  # cuda-convnet2 layers-imagenet-1gpu.cfg
    ),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=57.45,  # cuda-convnet2 TrainingExample.md
            top5=80.19,  # cuda-convnet2 TrainingExample.md
            source=CUDA_CONVNET2,
            where="wiki, TrainingExample.md, --test-only",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=59.58,  # cuda-convnet2 TrainingExample.md
            top5=81.85,  # cuda-convnet2 TrainingExample.md
            source=CUDA_CONVNET2,
            where="wiki, TrainingExample.md, --multiview-test",
            evaluation=_TEN_CROP,
        ),
    ),
    departures=(
        "Biases learn at the rate of the weights; the author's begin at twice that and end at a tenth of it.",
        "One mean per channel is subtracted, not the mean image.",
        "Colours vary by the variances that fb.resnet.torch has of ImageNet's components; the author's code "
        "has standard deviations, 2 to 17 times as much, and divides training images by 1.1.",
    ),
)

ALEXNET_HALF = Recipe(
    name="alexnet@half",
    family="AlexNet",
    year=2012,  # krizhevsky2012
    sources=(KRIZHEVSKY_2012, CUDA_CONVNET2, TENSORPACK, TORCHVISION, MEASURED),
    model=Model(
        "top1:alexnet",
        parameters=16_630_440,  # measured; not in krizhevsky2012
        gmacs=0.311,  # measured; not in krizhevsky2012
        gmacs_size=224,  # krizhevsky2012 §3.5
        arguments={
            "channels": (48, 128, 192, 192, 128),  # krizhevsky2012 §3.5: what one of the two GPUs holds
            "hidden": 2048,  # krizhevsky2012 §3.5: what one of the two GPUs holds
            "groups": 1,  # krizhevsky2012 §3.5
        },
        initialization=Initialization(
            Normal(std=0.01),  # krizhevsky2012 §5
            ones_bias=("conv2", "conv4", "conv5", "fc6", "fc7"),  # krizhevsky2012 §5
        ),
        narrow={"width": 0.5},  # measured: small enough for --tiny
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
        milestones=(30, 60, 80),  # not in krizhevsky2012; tensorpack
        gamma=0.1,  # krizhevsky2012 §5
    ),
    regularization=Regularization(
        weight_decay=5e-4,  # krizhevsky2012 §5
        decay_bias=False,  # cuda-convnet2
        dropout=0.5,  # krizhevsky2012 §4.2
    ),
    validation=_SINGLE_CROP,
    targets=(),
    departures=(
        "The network is one of the paper's two towers; the paper gives no accuracy of it.",
        "The rate falls at fixed epochs; the authors lowered it by hand.",
        "One mean per channel is subtracted, not the mean image.",
    ),
)

_SQUASHED = Evaluation(
    resize=(256,),  # caffe create_imagenet.sh
    squash=True,
    crop=227,  # caffe models/bvlc_alexnet/train_val.prototxt
)

ALEXNET_BVLC = Recipe(
    name="alexnet@bvlc",
    family="AlexNet",
    year=2014,  # caffe
    sources=(CAFFE, KRIZHEVSKY_2012, MEASURED),
    model=Model(
        "top1:alexnet",
        parameters=60_965_224,  # measured; krizhevsky2012 abstract: 60 million
        gmacs=0.724,  # measured; not in krizhevsky2012
        gmacs_size=227,  # caffe models/bvlc_alexnet/train_val.prototxt
        arguments={"k": 1.0},  # caffe src/caffe/proto/caffe.proto: LRNParameter's default
        initialization=Initialization(
            Normal(std=0.01),  # caffe models/bvlc_alexnet/train_val.prototxt
            layers=(
                LayerStart("conv[245]", bias=0.1),  # caffe models/bvlc_alexnet/train_val.prototxt
                LayerStart(
                    "fc[67]",
                    weights=Normal(std=0.005),  # caffe models/bvlc_alexnet/train_val.prototxt
                    bias=0.1,  # caffe models/bvlc_alexnet/train_val.prototxt
                ),
            ),
        ),
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=256,  # caffe models/bvlc_alexnet/train_val.prototxt
        augment=(
            RandomCrop(
                size=227,  # caffe models/bvlc_alexnet/train_val.prototxt
                resize=(256, 256),  # caffe create_imagenet.sh
                central_square=True,
            ),
            HorizontalFlip(),
        ),
        normalize=Normalize(
            mean=(122.679, 116.669, 104.007),  # caffe examples/00-classification.ipynb: of the mean image
            std=(1.0, 1.0, 1.0),  # caffe models/bvlc_alexnet/train_val.prototxt
        ),
    ),
    optimizer=SGD(
        lr=0.01,  # caffe models/bvlc_alexnet/solver.prototxt
        momentum=0.9,  # caffe models/bvlc_alexnet/solver.prototxt
        form="caffe",
    ),
    schedule=Steps(
        epochs=72,  # caffe models/bvlc_alexnet/readme.md: 360 thousand iterations of 256
        milestones=(20, 40, 60),  # caffe models/bvlc_alexnet/solver.prototxt: every 100 thousand iterations
        gamma=0.1,  # caffe models/bvlc_alexnet/solver.prototxt
    ),
    regularization=Regularization(
        weight_decay=5e-4,  # caffe models/bvlc_alexnet/solver.prototxt
        decay_bias=False,  # caffe models/bvlc_alexnet/train_val.prototxt
        dropout=0.5,  # caffe models/bvlc_alexnet/train_val.prototxt
    ),
    validation=_SQUASHED,
    targets=(
        Target(
            top1=57.1,  # caffe models/bvlc_alexnet/readme.md
            top5=80.2,  # caffe models/bvlc_alexnet/readme.md
            source=CAFFE,
            where="models/bvlc_alexnet/readme.md, center crop",
            evaluation=_SQUASHED,
        ),
    ),
    departures=(
        "Training windows come from the central square; Caffe squashes the whole image to 256 x 256.",
        "Biases learn at the rate of the weights; Caffe's learn twice as fast.",
        "One mean per channel is subtracted, not the mean image.",
    ),
)

ALEXNET_TORCHVISION = Recipe(
    name="alexnet@torchvision",
    family="AlexNet",
    year=2017,  # torchvision
    sources=(TORCHVISION, KRIZHEVSKY_2014, MEASURED),
    model=Model(
        "torchvision:alexnet",
        parameters=61_100_840,  # measured; torchvision: the same
        gmacs=0.714,  # measured; torchvision: the same
        gmacs_size=224,  # torchvision
        least_size=63,  # torchvision
    ),
    data=Data(
        batch_size=256,  # torchvision: 8 GPUs of 32 images
        augment=(
            RandomResizedCrop(size=224),  # torchvision presets.py
            HorizontalFlip(),
        ),
        normalize=Normalize(
            mean=(123.675, 116.28, 103.53),  # torchvision presets.py
            std=(58.395, 57.12, 57.375),  # torchvision presets.py
        ),
    ),
    optimizer=SGD(
        lr=0.01,  # torchvision README.md
        momentum=0.9,  # torchvision train.py
    ),
    schedule=Steps(
        epochs=90,  # torchvision train.py
        milestones=(30, 60),  # torchvision train.py: every 30 epochs
        gamma=0.1,  # torchvision train.py
    ),
    regularization=Regularization(
        weight_decay=1e-4,  # torchvision train.py
        dropout=0.5,  # torchvision alexnet.py
    ),
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=56.522,  # torchvision
            top5=79.066,  # torchvision
            source=TORCHVISION,
            where="AlexNet_Weights.IMAGENET1K_V1",
            evaluation=_SINGLE_CROP,
        ),
    ),
)
