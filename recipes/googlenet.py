"""GoogLeNet: Szegedy et al. 2014, by the schedule that works, by the paper's, and as in Caffe."""

from recipes.schema import (
    EMA,
    SGD,
    AuxiliaryHeads,
    ColorJitter,
    Data,
    Evaluation,
    Exponential,
    HorizontalFlip,
    Initialization,
    LayerStart,
    Lighting,
    Model,
    Normalize,
    Polynomial,
    RandomCrop,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Target,
    Xavier,
)
from recipes.sources import CAFFE, FB_TORCH, MEASURED, SZEGEDY_2014

_SINGLE_CROP = Evaluation(
    resize=(256,),  # not in szegedy2014; the least of the 144 crops' sides
    crop=224,  # szegedy2014 §5
)
_TEN_CROP = Evaluation(
    views="ten_crop",  # szegedy2014 §7
    resize=(256,),  # not in szegedy2014; the least of the 144 crops' sides
    crop=224,  # szegedy2014 §5
)
_CROPS_144 = Evaluation(
    views="crops_144",  # szegedy2014 §7
    resize=(256, 288, 320, 352),  # szegedy2014 §7
    crop=224,  # szegedy2014 §5
)

_HEADS = AuxiliaryHeads(
    weights=(0.3, 0.3),  # szegedy2014 §5
    parameters=6_379_728,  # measured; not in szegedy2014
)
_START = Initialization(
    Xavier(fan="fan_in"),  # not in szegedy2014; caffe train_val.prototxt, where the original was Gaussian
    bias=0.2,  # not in szegedy2014; caffe train_val.prototxt
    layers=(
        LayerStart("fc", bias=0.0),  # not in szegedy2014; caffe train_val.prototxt
        LayerStart("aux*.fc2", bias=0.0),  # not in szegedy2014; caffe train_val.prototxt
    ),
)
_START_WITHOUT_HEADS = Initialization(
    Xavier(fan="fan_in"),  # not in szegedy2014; caffe train_val.prototxt, where the original was Gaussian
    bias=0.2,  # not in szegedy2014; caffe train_val.prototxt
    layers=(
        LayerStart("fc", bias=0.0),  # not in szegedy2014; caffe train_val.prototxt
    ),
)
_DATA = Data(
    batch_size=32,  # not in szegedy2014; caffe train_val.prototxt, whose rate is known to work
    augment=(
        RandomResizedCrop(
            size=224,  # szegedy2014 §5
            area=(0.08, 1.0),  # szegedy2014 §6
            ratio=(3 / 4, 4 / 3),  # szegedy2014 §6
        ),
        # §6 names the photometric distortions of Howard 2013 without their strengths.
        ColorJitter(
            brightness=0.4,  # not in szegedy2014; fb_torch datasets/imagenet.lua
            contrast=0.4,  # not in szegedy2014; fb_torch datasets/imagenet.lua
            saturation=0.4,  # not in szegedy2014; fb_torch datasets/imagenet.lua
        ),
        Lighting(std=0.1),  # not in szegedy2014; fb_torch datasets/imagenet.lua
        HorizontalFlip(),
    ),
    normalize=Normalize(
        mean=(123.0, 117.0, 104.0),  # not in szegedy2014, §5 subtracts it; caffe train_val.prototxt
        std=(1.0, 1.0, 1.0),  # szegedy2014 §5: the mean is subtracted, no more
    ),
)
_OPTIMIZER = SGD(
    lr=0.01,  # not in szegedy2014; caffe quick_solver.prototxt
    momentum=0.9,  # szegedy2014 §6
    form="caffe",
)
_QUICK = Polynomial(
    epochs=60,  # not in szegedy2014; caffe readme.md: 2.4 million iterations of 32
    power=0.5,  # not in szegedy2014; caffe quick_solver.prototxt
)
_REGULARIZATION = Regularization(
    weight_decay=2e-4,  # not in szegedy2014; caffe quick_solver.prototxt
    decay_bias=False,  # not in szegedy2014; caffe train_val.prototxt
    dropout=0.4,  # szegedy2014 Table 1
)
_AVERAGE = EMA(decay=0.9999)  # szegedy2014 §6 averages the weights; not how fast

_ONE_WIDER = "One of the authors' seven networks is a wider one, whose channels are not published (§7)."

_SYNCHRONOUS = "Gradients of a batch are averaged; the authors' descent was asynchronous."
_CHANGING = (
    "One sampling of windows and one set of rates is kept; the authors changed both while their networks "
    "trained and say that no one recipe can be given."
)
_KERNEL = "Windows are resized bilinearly; the authors drew one of four ways in some trainings."
_SCHEDULE_DEPARTURE = (
    "The rate falls as the square root of what is left of 60 epochs (Caffe's replication); the paper's "
    "4% every 8 epochs is googlenet@paper."
)
_BIASES = "Biases learn at the rate of the weights; Caffe's learn twice as fast."

GOOGLENET = Recipe(
    name="googlenet",
    family="GoogLeNet",
    year=2014,  # szegedy2014
    sources=(SZEGEDY_2014, CAFFE, FB_TORCH, MEASURED),
    model=Model(
        "top1:googlenet",
        parameters=6_998_552,  # measured; szegedy2014 §1: a twelfth of AlexNet's
        gmacs=1.58,  # measured; szegedy2014 §3: 1.5
        gmacs_size=224,  # szegedy2014 §5
        auxiliary=_HEADS,
        initialization=_START,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_QUICK,
    regularization=_REGULARIZATION,
    ema=_AVERAGE,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top5=89.93,  # szegedy2014 Table 3
            source=SZEGEDY_2014,
            where="Table 3, 1 model, 1 crop",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top5=90.85,  # szegedy2014 Table 3
            source=SZEGEDY_2014,
            where="Table 3, 1 model, 10 crops",
            evaluation=_TEN_CROP,
        ),
        Target(
            top5=92.11,  # szegedy2014 Table 3
            source=SZEGEDY_2014,
            where="Table 3, 1 model, 144 crops",
            evaluation=_CROPS_144,
        ),
        Target(
            top5=91.91,  # szegedy2014 Table 3
            source=SZEGEDY_2014,
            where="Table 3, 7 models, 1 crop",
            evaluation=_SINGLE_CROP,
            ensemble=7,  # szegedy2014 Table 3
            note=_ONE_WIDER,
        ),
        Target(
            top5=92.38,  # szegedy2014 Table 3
            source=SZEGEDY_2014,
            where="Table 3, 7 models, 10 crops",
            evaluation=_TEN_CROP,
            ensemble=7,  # szegedy2014 Table 3
            note=_ONE_WIDER,
        ),
        Target(
            top5=93.33,  # szegedy2014 Table 3
            source=SZEGEDY_2014,
            where="Table 3, 7 models, 144 crops",
            evaluation=_CROPS_144,
            ensemble=7,  # szegedy2014 Table 3
            note=_ONE_WIDER,
        ),
    ),
    departures=(_SCHEDULE_DEPARTURE, _SYNCHRONOUS, _CHANGING, _KERNEL, _BIASES),
)

GOOGLENET_NOAUX = Recipe(
    name="googlenet@noaux",
    family="GoogLeNet",
    year=2014,  # szegedy2014
    sources=(SZEGEDY_2014, CAFFE, FB_TORCH, MEASURED),
    model=Model(
        "top1:googlenet",
        parameters=6_998_552,  # measured; szegedy2014 §1: a twelfth of AlexNet's
        gmacs=1.58,  # measured; szegedy2014 §3: 1.5
        gmacs_size=224,  # szegedy2014 §5
        arguments={"auxiliary": False},
        initialization=_START_WITHOUT_HEADS,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_QUICK,
    regularization=_REGULARIZATION,
    ema=_AVERAGE,
    validation=_SINGLE_CROP,
    targets=(),
    departures=(
        "The auxiliary heads are left out; the paper gives no accuracy without them.",
        _SCHEDULE_DEPARTURE,
        _SYNCHRONOUS,
        _CHANGING,
        _KERNEL,
        _BIASES,
    ),
)

# 0.96 every 8 epochs leaves 0.29 of the rate after 250: without the average of the weights it ends short.
GOOGLENET_PAPER = Recipe(
    name="googlenet@paper",
    family="GoogLeNet",
    year=2014,  # szegedy2014
    sources=(SZEGEDY_2014, CAFFE, FB_TORCH, MEASURED),
    model=Model(
        "top1:googlenet",
        parameters=6_998_552,  # measured; szegedy2014 §1: a twelfth of AlexNet's
        gmacs=1.58,  # measured; szegedy2014 §3: 1.5
        gmacs_size=224,  # szegedy2014 §5
        auxiliary=_HEADS,
        initialization=_START,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=Exponential(
        epochs=250,  # not in szegedy2014; caffe solver.prototxt: 10 million iterations of 32
        decay=0.96,  # szegedy2014 §6
        every=8,  # szegedy2014 §6
    ),
    regularization=_REGULARIZATION,
    ema=_AVERAGE,
    validation=_SINGLE_CROP,
    targets=(),
    departures=(_SYNCHRONOUS, _CHANGING, _KERNEL, _BIASES),
)

_SQUASHED = Evaluation(
    resize=(256,),  # caffe create_imagenet.sh
    squash=True,
    crop=224,  # caffe train_val.prototxt
)

GOOGLENET_BVLC = Recipe(
    name="googlenet@bvlc",
    family="GoogLeNet",
    year=2014,  # caffe
    sources=(CAFFE, SZEGEDY_2014, MEASURED),
    model=Model(
        "top1:googlenet",
        parameters=6_998_552,  # measured; szegedy2014 §1: a twelfth of AlexNet's
        gmacs=1.58,  # measured; szegedy2014 §3: 1.5
        gmacs_size=224,  # szegedy2014 §5
        auxiliary=_HEADS,
        initialization=_START,
        narrow={"width": 0.25},  # measured: small enough for --tiny
    ),
    data=Data(
        batch_size=32,  # caffe train_val.prototxt
        augment=(
            RandomCrop(
                size=224,  # caffe train_val.prototxt
                resize=(256, 256),  # caffe create_imagenet.sh
                central_square=True,
            ),
            HorizontalFlip(),
        ),
        normalize=Normalize(
            mean=(123.0, 117.0, 104.0),  # caffe train_val.prototxt
            std=(1.0, 1.0, 1.0),  # caffe train_val.prototxt
        ),
    ),
    optimizer=_OPTIMIZER,
    schedule=_QUICK,
    regularization=_REGULARIZATION,
    validation=_SQUASHED,
    targets=(
        Target(
            top1=68.7,  # caffe models/bvlc_googlenet/readme.md
            top5=88.9,  # caffe models/bvlc_googlenet/readme.md
            source=CAFFE,
            where="models/bvlc_googlenet/readme.md, center crop",
            evaluation=_SQUASHED,
        ),
    ),
    departures=(
        "Training windows come from the central square; Caffe squashes the whole image to 256 x 256.",
        _BIASES,
    ),
)
