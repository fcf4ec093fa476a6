"""ResNet: He et al. 2015, and how FAIR, Goyal et al. 2017 and torchvision trained it."""

from recipes.schema import (
    SGD,
    BatchNorm,
    ColorJitter,
    Data,
    Evaluation,
    He,
    HorizontalFlip,
    Initialization,
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
    Uniform,
)
from recipes.sources import (
    FB_TORCH,
    GOYAL_2017,
    HE_2015,
    HE_2015B,
    HE_2016,
    KAIMINGHE,
    KRIZHEVSKY_2012,
    MEASURED,
    PYCLS,
    RESNEXT_CODE,
    TORCH_IMAGE,
    TORCHVISION,
)

# ---------------------------------------------------------------- the paper's training

_SOURCES = (
    HE_2015,
    HE_2015B,
    HE_2016,
    KAIMINGHE,
    KRIZHEVSKY_2012,
    FB_TORCH,
    RESNEXT_CODE,
    PYCLS,
    TORCHVISION,
    MEASURED,
)

_SINGLE_CROP = Evaluation(
    resize=(256,),  # kaiminghe README.md
    crop=224,  # kaiminghe README.md
)

_TEN_CROP = Evaluation(
    views="ten_crop",  # he2015 §3.4; softmax scores are averaged (kaiminghe README.md)
    resize=(256,),  # kaiminghe README.md: corners of the whole image, not of its central square
    crop=224,  # he2015 §3.4
)

# "Scores" (§3.4) are taken for probabilities: the authors' README averages "softmax scores" over ten crops,
# and VGG, whose fully-convolutional form the paper adopts, averages class posteriors over scales and mirrors.
_FIVE_SCALES = Evaluation(
    views="dense",  # he2015 §3.4: fully convolutional
    resize=(224, 256, 384, 480, 640),  # he2015 §3.4
    crop=224,  # he2015 §3.4: what it was trained at
)

_SINGLE_CROP_320 = Evaluation(
    resize=(320,),  # he2016 Table 5
    crop=320,  # he2016 Table 5
)

_BATCH_NORM = BatchNorm(
    momentum=0.9,  # not in he2015; torchvision. Only a view of progress: the statistics are re-estimated
    eps=1e-5,  # not in he2015; torchvision
    images=32,  # kaiminghe README.md: 256 images on 8 GPUs
    # The authors average over "a sufficiently large training batch" after training, with no moving average.
    reestimated_over=8_192,  # not in kaiminghe; pycls BN.NUM_SAMPLES_PRECISE
)

# Normal with variance 2 / fan-in, biases zero, gamma 1 in every block (he2015 §3.4, he2015b §2.2).
_INITIALIZATION = Initialization(He("fan_in"))

_DATA = Data(
    batch_size=256,  # he2015 §3.4
    augment=(
        RandomCrop(
            size=224,  # he2015 §3.4
            resize=(256, 480),  # he2015 §3.4
        ),
        HorizontalFlip(),  # he2015 §3.4
        Lighting(std=0.1),  # krizhevsky2012 §4.1, which he2015 §3.4 calls the standard color augmentation
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # not in he2015, whose mean is per pixel; torchvision's per channel
        std=(1.0, 1.0, 1.0),  # he2015 §3.4: only the mean is subtracted
    ),
)

_OPTIMIZER = SGD(
    lr=0.1,  # he2015 §3.4
    momentum=0.9,  # he2015 §3.4
    form="caffe",  # kaiminghe README.md
)

_SCHEDULE = Steps(
    epochs=120,  # he2015 §3.4: up to 600,000 iterations of 256 images
    # The paper divides when the error plateaus; the authors' next paper gives the first two places.
    milestones=(
        30,  # he2016 appendix
        60,  # he2016 appendix
        90,  # not in he2015; resnext_code train.lua
    ),
    gamma=0.1,  # he2015 §3.4
)

_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # he2015 §3.4
    decay_norm=False,  # fb_torch README.md: the paper's decay is on convolutions' weights alone
    decay_bias=False,  # fb_torch README.md
)

_DEPARTURES = (
    "The rate falls at fixed epochs; the authors lowered it when the error stopped falling.",
    "One mean per channel is subtracted, not the mean image.",
    "Batch-norm statistics are re-estimated over 8,192 images; the authors say only that they were enough.",
    "The classifier's weights decay as the convolutions' do; FAIR's list of differences names only those.",
)
_DENSE_DEPARTURE = (
    "The five-scale test takes the mirrored image too and averages after the softmax, both as VGG's does; "
    "the paper says neither."
)

RESNET18 = Recipe(
    name="resnet18",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "basic",
            "layers": (2, 2, 2, 2),  # he2015 Table 1
            "shortcut": "A",  # he2015 §4.1, Table 2
        },
        parameters=11_515_688,  # measured; not in he2015
        gmacs=1.795,  # measured; he2015 Table 1: 1.8
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=72.12,  # he2015 Table 2: 27.88% error
            source=HE_2015,
            where="Table 2, option A, 10-crop",
            evaluation=_TEN_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RESNET34 = Recipe(
    name="resnet34",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "basic",
            "layers": (3, 4, 6, 3),  # he2015 Table 1
            "shortcut": "A",  # he2015 §4.1, Table 2
        },
        parameters=21_623_848,  # measured; not in he2015
        gmacs=3.645,  # measured; he2015 Table 1: 3.6
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.97,  # he2015 Tables 2 and 3: 25.03% error
            top5=92.24,  # he2015 Tables 2 and 3: 7.76% error
            source=HE_2015,
            where="Tables 2 and 3, option A, 10-crop",
            evaluation=_TEN_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RESNET34_B = Recipe(
    name="resnet34_b",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "basic",
            "layers": (3, 4, 6, 3),  # he2015 Table 1
            "shortcut": "B",  # he2015 §4.1, Table 3
        },
        parameters=21_797_672,  # measured; not in he2015
        gmacs=3.664,  # measured; he2015 Table 1: 3.6
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=75.48,  # he2015 Table 3: 24.52% error
            top5=92.54,  # he2015 Table 3: 7.46% error
            source=HE_2015,
            where="Table 3, option B, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=78.16,  # he2015 Table 4: 21.84% error
            top5=94.29,  # he2015 Table 4: 5.71% error
            source=HE_2015,
            where="Table 4, option B",
            evaluation=_FIVE_SCALES,
        ),
    ),
    departures=(*_DEPARTURES, _DENSE_DEPARTURE),
)

RESNET34_C = Recipe(
    name="resnet34_c",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "basic",
            "layers": (3, 4, 6, 3),  # he2015 Table 1
            "shortcut": "C",  # he2015 §4.1, Table 3
        },
        parameters=22_716_840,  # measured; not in he2015
        gmacs=3.831,  # measured; he2015 Table 1: 3.6
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=75.81,  # he2015 Table 3: 24.19% error
            top5=92.6,  # he2015 Table 3: 7.40% error
            source=HE_2015,
            where="Table 3, option C, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=78.47,  # he2015 Table 4: 21.53% error
            top5=94.4,  # he2015 Table 4: 5.60% error
            source=HE_2015,
            where="Table 4, option C",
            evaluation=_FIVE_SCALES,
        ),
    ),
    departures=(*_DEPARTURES, _DENSE_DEPARTURE),
)

RESNET50 = Recipe(
    name="resnet50",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "bottleneck",
            "layers": (3, 4, 6, 3),  # he2015 Table 1
            "shortcut": "B",  # he2015 §4.1: projections where the size changes
        },
        parameters=25_557_032,  # measured; not in he2015
        gmacs=3.858,  # measured; he2015 Table 1: 3.8
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.15,  # he2015 Table 3: 22.85% error
            top5=93.29,  # he2015 Table 3: 6.71% error
            source=HE_2015,
            where="Table 3, option B, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=79.26,  # he2015 Table 4: 20.74% error
            top5=94.75,  # he2015 Table 4: 5.25% error
            source=HE_2015,
            where="Table 4",
            evaluation=_FIVE_SCALES,
        ),
        Target(
            top1=75.3,  # kaiminghe README.md: 24.7% error
            top5=92.2,  # kaiminghe README.md: 7.8% error
            source=KAIMINGHE,
            where="README.md, 1-crop (not in the paper)",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(*_DEPARTURES, _DENSE_DEPARTURE),
)

RESNET101 = Recipe(
    name="resnet101",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "bottleneck",
            "layers": (3, 4, 23, 3),  # he2015 Table 1
            "shortcut": "B",  # he2015 §4.1: projections where the size changes
        },
        parameters=44_549_160,  # measured; not in he2015
        gmacs=7.570,  # measured; he2015 Table 1: 7.6
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.25,  # he2015 Table 3: 21.75% error
            top5=93.95,  # he2015 Table 3: 6.05% error
            source=HE_2015,
            where="Table 3, option B, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=80.13,  # he2015 Table 4: 19.87% error
            top5=95.4,  # he2015 Table 4: 4.60% error
            source=HE_2015,
            where="Table 4",
            evaluation=_FIVE_SCALES,
        ),
        Target(
            top1=76.4,  # kaiminghe README.md: 23.6% error
            top5=92.9,  # kaiminghe README.md: 7.1% error
            source=KAIMINGHE,
            where="README.md, 1-crop (not in the paper)",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(*_DEPARTURES, _DENSE_DEPARTURE),
)

RESNET152 = Recipe(
    name="resnet152",
    family="ResNet",
    year=2015,  # he2015
    sources=_SOURCES,
    model=Model(
        "top1:resnet_v1",
        arguments={
            "block": "bottleneck",
            "layers": (3, 8, 36, 3),  # he2015 Table 1
            "shortcut": "B",  # he2015 §4.1: projections where the size changes
        },
        parameters=60_192_808,  # measured; not in he2015
        gmacs=11.282,  # measured; he2015 Table 1: 11.3
        gmacs_size=224,  # he2015 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "width": 0.25,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.57,  # he2015 Table 3: 21.43% error
            top5=94.29,  # he2015 Table 3: 5.71% error
            source=HE_2015,
            where="Table 3, option B, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=80.62,  # he2015 Table 4: 19.38% error
            top5=95.51,  # he2015 Table 4: 4.49% error
            source=HE_2015,
            where="Table 4",
            evaluation=_FIVE_SCALES,
        ),
        Target(
            top1=77.0,  # kaiminghe README.md: 23.0% error
            top5=93.3,  # kaiminghe README.md: 6.7% error
            source=KAIMINGHE,
            where="README.md, 1-crop (not in the paper)",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=78.7,  # he2016 Table 5: 21.3% error
            top5=94.5,  # he2016 Table 5: 5.5% error
            source=HE_2016,
            where="Table 5, the original ResNet-152 tested at 320",
            evaluation=_SINGLE_CROP_320,
        ),
        Target(
            top5=96.43,  # he2015 Table 5: 3.57% error
            source=HE_2015,
            where="Table 5 (ILSVRC test set)",
            evaluation=_FIVE_SCALES,
            images=100_000,  # he2015 §4.1: the test set
            ensemble=6,  # he2015 §4.1
            note="on the test set, whose labels were never published; of the six networks of different depth "
            "the paper names only two, both ResNet-152",
        ),
    ),
    departures=(*_DEPARTURES, _DENSE_DEPARTURE),
)

# ---------------------------------------------------------------- FAIR's training (fb.resnet.torch)

_FB_SINGLE_CROP = Evaluation(
    resize=(256,),  # fb_torch imagenet.lua
    crop=224,  # fb_torch imagenet.lua
    interpolation="bicubic",  # fb_torch transforms.lua
    antialias=False,  # torch_image image.c: the cubic kernel keeps its width when it shrinks
)

_FB_TEN_CROP = Evaluation(
    views="ten_crop",
    resize=(256,),  # fb_torch imagenet.lua
    crop=224,  # fb_torch imagenet.lua
    interpolation="bicubic",  # fb_torch transforms.lua
    antialias=False,  # torch_image image.c
    average="scores",  # fb_torch train.lua: the sum over crops, with exp() commented out
)

_FB_DATA = Data(
    batch_size=256,  # fb_torch TRAINING.md
    augment=(
        RandomResizedCrop(
            size=224,  # fb_torch imagenet.lua
            area=(0.08, 1.0),  # fb_torch transforms.lua
            ratio=(3 / 4, 4 / 3),  # fb_torch transforms.lua
            attempts=10,  # fb_torch transforms.lua
            rule="linear",  # fb_torch transforms.lua: the ratio is uniform, then the sides may swap
            interpolation="bicubic",  # fb_torch transforms.lua
            antialias=False,  # torch_image image.c
        ),
        ColorJitter(
            brightness=0.4,  # fb_torch imagenet.lua
            contrast=0.4,  # fb_torch imagenet.lua
            saturation=0.4,  # fb_torch imagenet.lua
        ),
        Lighting(std=0.1),  # fb_torch imagenet.lua
        HorizontalFlip(probability=0.5),  # fb_torch imagenet.lua
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # fb_torch imagenet.lua: 0.485, 0.456, 0.406
        std=(58.395, 57.12, 57.375),  # fb_torch imagenet.lua: 0.229, 0.224, 0.225
    ),
)

_FB_OPTIMIZER = SGD(
    lr=0.1,  # fb_torch opts.lua
    momentum=0.9,  # fb_torch opts.lua
    nesterov=True,  # fb_torch train.lua
)

_FB_SCHEDULE = Steps(
    epochs=90,  # fb_torch opts.lua
    milestones=(30, 60),  # fb_torch train.lua
    gamma=0.1,  # fb_torch train.lua
)

_FB_REGULARIZATION = Regularization(weight_decay=1e-4)  # fb_torch opts.lua; on everything (README.md)

_FB_DEPARTURES = (
    "Resized images line up by their pixels' edges; Torch lined up the centres of the corners. Cubics of "
    "the test bend by -0.75, Torch's by -0.5. Jittered colours are rounded and cut to 0..255 at each step.",
)

RESNET18_FB_TORCH = Recipe(
    name="resnet18@fb_torch",
    family="ResNet",
    year=2016,  # fb_torch
    sources=(FB_TORCH, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet18",  # fb_torch README.md
        arguments={"zero_init_last": False},  # fb_torch resnet.lua
        parameters=11_689_512,  # measured
        gmacs=1.814,  # measured
        gmacs_size=224,  # fb_torch imagenet.lua
        batch_norm=BatchNorm(
            momentum=0.9,  # fb_torch resnet.lua: Torch's default, there 0.1 of the new
            eps=1e-5,  # fb_torch resnet.lua: Torch's default
            images=64,  # fb_torch TRAINING.md: 256 images on 4 GPUs
        ),
        initialization=Initialization(
            He("fan_out"),  # fb_torch resnet.lua
            linear=Uniform(512**-0.5),  # fb_torch resnet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_FB_DATA,
    optimizer=_FB_OPTIMIZER,
    schedule=_FB_SCHEDULE,
    regularization=_FB_REGULARIZATION,
    validation=_FB_SINGLE_CROP,
    targets=(
        Target(
            top1=69.57,  # fb_torch pretrained/README.md: 30.43% error
            top5=89.24,  # fb_torch pretrained/README.md: 10.76% error
            source=FB_TORCH,
            where="pretrained/README.md, 1-crop",
            evaluation=_FB_SINGLE_CROP,
        ),
        Target(
            top1=71.78,  # fb_torch pretrained/README.md: 28.22% error
            top5=90.58,  # fb_torch pretrained/README.md: 9.42% error
            source=FB_TORCH,
            where="pretrained/README.md, 10-crop",
            evaluation=_FB_TEN_CROP,
        ),
    ),
    departures=_FB_DEPARTURES,
)

RESNET34_FB_TORCH = Recipe(
    name="resnet34@fb_torch",
    family="ResNet",
    year=2016,  # fb_torch
    sources=(FB_TORCH, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet34",  # fb_torch README.md
        arguments={"zero_init_last": False},  # fb_torch resnet.lua
        parameters=21_797_672,  # measured
        gmacs=3.664,  # measured
        gmacs_size=224,  # fb_torch imagenet.lua
        batch_norm=BatchNorm(
            momentum=0.9,  # fb_torch resnet.lua: Torch's default, there 0.1 of the new
            eps=1e-5,  # fb_torch resnet.lua: Torch's default
            images=64,  # fb_torch TRAINING.md: 256 images on 4 GPUs
        ),
        initialization=Initialization(
            He("fan_out"),  # fb_torch resnet.lua
            linear=Uniform(512**-0.5),  # fb_torch resnet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_FB_DATA,
    optimizer=_FB_OPTIMIZER,
    schedule=_FB_SCHEDULE,
    regularization=_FB_REGULARIZATION,
    validation=_FB_SINGLE_CROP,
    targets=(
        Target(
            top1=73.27,  # fb_torch pretrained/README.md: 26.73% error
            top5=91.26,  # fb_torch pretrained/README.md: 8.74% error
            source=FB_TORCH,
            where="pretrained/README.md, 1-crop",
            evaluation=_FB_SINGLE_CROP,
        ),
        Target(
            top1=75.24,  # fb_torch pretrained/README.md: 24.76% error
            top5=92.65,  # fb_torch pretrained/README.md: 7.35% error
            source=FB_TORCH,
            where="pretrained/README.md, 10-crop",
            evaluation=_FB_TEN_CROP,
        ),
    ),
    departures=_FB_DEPARTURES,
)

RESNET50_FB_TORCH = Recipe(
    name="resnet50@fb_torch",
    family="ResNet",
    year=2016,  # fb_torch
    sources=(FB_TORCH, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet50",  # fb_torch README.md: the stride is in the 3x3
        arguments={"zero_init_last": False},  # fb_torch resnet.lua
        parameters=25_557_032,  # measured
        gmacs=4.089,  # measured
        gmacs_size=224,  # fb_torch imagenet.lua
        batch_norm=BatchNorm(
            momentum=0.9,  # fb_torch resnet.lua: Torch's default, there 0.1 of the new
            eps=1e-5,  # fb_torch resnet.lua: Torch's default
            images=64,  # fb_torch TRAINING.md: 256 images on 4 GPUs
        ),
        initialization=Initialization(
            He("fan_out"),  # fb_torch resnet.lua
            linear=Uniform(2048**-0.5),  # fb_torch resnet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_FB_DATA,
    optimizer=_FB_OPTIMIZER,
    schedule=_FB_SCHEDULE,
    regularization=_FB_REGULARIZATION,
    validation=_FB_SINGLE_CROP,
    targets=(
        Target(
            top1=75.99,  # fb_torch pretrained/README.md: 24.01% error
            top5=92.98,  # fb_torch pretrained/README.md: 7.02% error
            source=FB_TORCH,
            where="pretrained/README.md, 1-crop",
            evaluation=_FB_SINGLE_CROP,
        ),
        Target(
            top1=77.76,  # fb_torch pretrained/README.md: 22.24% error
            top5=93.92,  # fb_torch pretrained/README.md: 6.08% error
            source=FB_TORCH,
            where="pretrained/README.md, 10-crop",
            evaluation=_FB_TEN_CROP,
        ),
    ),
    departures=(
        *_FB_DEPARTURES,
        "The last batch norm of a block is before the addition; in FAIR's released ResNet-50 it is after.",
    ),
)

RESNET101_FB_TORCH = Recipe(
    name="resnet101@fb_torch",
    family="ResNet",
    year=2016,  # fb_torch
    sources=(FB_TORCH, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet101",  # fb_torch README.md: the stride is in the 3x3
        arguments={"zero_init_last": False},  # fb_torch resnet.lua
        parameters=44_549_160,  # measured
        gmacs=7.801,  # measured
        gmacs_size=224,  # fb_torch imagenet.lua
        batch_norm=BatchNorm(
            momentum=0.9,  # fb_torch resnet.lua: Torch's default, there 0.1 of the new
            eps=1e-5,  # fb_torch resnet.lua: Torch's default
            images=32,  # fb_torch TRAINING.md: 256 images on 8 GPUs
        ),
        initialization=Initialization(
            He("fan_out"),  # fb_torch resnet.lua
            linear=Uniform(2048**-0.5),  # fb_torch resnet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_FB_DATA,
    optimizer=_FB_OPTIMIZER,
    schedule=_FB_SCHEDULE,
    regularization=_FB_REGULARIZATION,
    validation=_FB_SINGLE_CROP,
    targets=(
        Target(
            top1=77.56,  # fb_torch pretrained/README.md: 22.44% error
            top5=93.79,  # fb_torch pretrained/README.md: 6.21% error
            source=FB_TORCH,
            where="pretrained/README.md, 1-crop",
            evaluation=_FB_SINGLE_CROP,
        ),
        Target(
            top1=78.92,  # fb_torch pretrained/README.md: 21.08% error
            top5=94.65,  # fb_torch pretrained/README.md: 5.35% error
            source=FB_TORCH,
            where="pretrained/README.md, 10-crop",
            evaluation=_FB_TEN_CROP,
        ),
    ),
    departures=_FB_DEPARTURES,
)

RESNET152_FB_TORCH = Recipe(
    name="resnet152@fb_torch",
    family="ResNet",
    year=2016,  # fb_torch
    sources=(FB_TORCH, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet152",  # fb_torch README.md: the stride is in the 3x3
        arguments={"zero_init_last": False},  # fb_torch resnet.lua
        parameters=60_192_808,  # measured
        gmacs=11.514,  # measured
        gmacs_size=224,  # fb_torch imagenet.lua
        batch_norm=BatchNorm(
            momentum=0.9,  # fb_torch resnet.lua: Torch's default, there 0.1 of the new
            eps=1e-5,  # fb_torch resnet.lua: Torch's default
            images=32,  # fb_torch TRAINING.md: 256 images on 8 GPUs
        ),
        initialization=Initialization(
            He("fan_out"),  # fb_torch resnet.lua
            linear=Uniform(2048**-0.5),  # fb_torch resnet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_FB_DATA,
    optimizer=_FB_OPTIMIZER,
    schedule=_FB_SCHEDULE,
    regularization=_FB_REGULARIZATION,
    validation=_FB_SINGLE_CROP,
    targets=(
        Target(
            top1=77.84,  # fb_torch pretrained/README.md: 22.16% error
            top5=93.84,  # fb_torch pretrained/README.md: 6.16% error
            source=FB_TORCH,
            where="pretrained/README.md, 1-crop",
            evaluation=_FB_SINGLE_CROP,
        ),
        Target(
            top1=79.31,  # fb_torch pretrained/README.md: 20.69% error
            top5=94.79,  # fb_torch pretrained/README.md: 5.21% error
            source=FB_TORCH,
            where="pretrained/README.md, 10-crop",
            evaluation=_FB_TEN_CROP,
        ),
    ),
    departures=_FB_DEPARTURES,
)

# ---------------------------------------------------------------- Goyal et al. 2017

_GOYAL_SINGLE_CROP = Evaluation(
    resize=(256,),  # not in goyal2017; fb_torch imagenet.lua
    crop=224,  # goyal2017 §5.1
    interpolation="bicubic",  # not in goyal2017; fb_torch transforms.lua
    antialias=False,  # torch_image image.c
)

RESNET50_GOYAL2017 = Recipe(
    name="resnet50@goyal2017",
    family="ResNet",
    year=2017,  # goyal2017
    sources=(GOYAL_2017, FB_TORCH, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet50",  # goyal2017 §5.1: the stride is in the 3x3, as in fb.resnet.torch
        parameters=25_557_032,  # measured; not in goyal2017
        gmacs=4.089,  # measured; not in goyal2017
        gmacs_size=224,  # goyal2017 §5.1
        batch_norm=BatchNorm(
            momentum=0.9,  # goyal2017 §5.1
            eps=1e-5,  # not in goyal2017; fb_torch
            images=32,  # goyal2017 §5.1: of one worker
        ),
        initialization=Initialization(
            He("fan_out"),  # goyal2017 §5.1 cites He et al.; fb_torch resnet.lua counts the outputs
            linear=Normal(std=0.01),  # goyal2017 §5.1
            zero_gamma=("layer*.bn3",),  # goyal2017 §5.1
        ),
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=Data(
        batch_size=256,  # goyal2017 §5.1
        augment=(
            RandomResizedCrop(
                size=224,  # goyal2017 §5.1
                area=(0.08, 1.0),  # goyal2017 §5.1 takes fb_torch transforms.lua
                ratio=(3 / 4, 4 / 3),  # goyal2017 §5.1 takes fb_torch transforms.lua
                attempts=10,  # goyal2017 §5.1 takes fb_torch transforms.lua
                rule="linear",
                interpolation="bicubic",
                antialias=False,  # torch_image image.c
            ),
            HorizontalFlip(),  # goyal2017 §5.1
        ),
        normalize=Normalize(
            mean=(123.675, 116.28, 103.53),  # goyal2017 §5.1 takes fb_torch imagenet.lua
            std=(58.395, 57.12, 57.375),  # goyal2017 §5.1 takes fb_torch imagenet.lua
        ),
    ),
    optimizer=SGD(
        lr=0.1,  # goyal2017 §5.1: 0.1 per 256 images
        momentum=0.9,  # goyal2017 §5.1
        nesterov=True,  # goyal2017 §5.1
    ),
    # The warm-up goes from 0.1 to the scaled rate, and 256 images scale to 0.1: there is none to do.
    schedule=Steps(
        epochs=90,  # goyal2017 §5.1
        milestones=(30, 60, 80),  # goyal2017 §5.1
        gamma=0.1,  # goyal2017 §5.1
    ),
    regularization=Regularization(
        weight_decay=1e-4,  # goyal2017 §5.1
        decay_norm=False,  # goyal2017 §5.1
    ),
    validation=_GOYAL_SINGLE_CROP,
    targets=(
        Target(
            top1=76.40,  # goyal2017 Table 1: 23.60% error
            std=0.12,  # goyal2017 Table 1, over 5 runs
            source=GOYAL_2017,
            where="Table 1, baseline of 256 images",
            evaluation=_GOYAL_SINGLE_CROP,
        ),
    ),
    report="median_of_last_five",  # goyal2017 §5.1
    departures=("The resizing of fb.resnet.torch, without antialiasing, stands where the paper names none.",),
)

# ---------------------------------------------------------------- torchvision's references

_TORCHVISION_SINGLE_CROP = Evaluation(
    resize=(256,),  # torchvision ResNet50_Weights.IMAGENET1K_V1
    crop=224,  # torchvision ResNet50_Weights.IMAGENET1K_V1
)

_TORCHVISION_BATCH_NORM = BatchNorm(
    momentum=0.9,  # torchvision resnet.py: torch's default, there 0.1 of the new
    eps=1e-5,  # torchvision resnet.py: torch's default
    images=32,  # torchvision references/classification/train.py: of one of 8 GPUs
)

_TORCHVISION_DATA = Data(
    batch_size=256,  # torchvision references/classification/README.md: 8 GPUs of 32
    augment=(
        RandomResizedCrop(size=224),  # torchvision references/classification/presets.py
        HorizontalFlip(probability=0.5),  # torchvision references/classification/presets.py
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # torchvision references/classification/presets.py
        std=(58.395, 57.12, 57.375),  # torchvision references/classification/presets.py
    ),
)

_TORCHVISION_OPTIMIZER = SGD(
    lr=0.1,  # torchvision references/classification/train.py
    momentum=0.9,  # torchvision references/classification/train.py
)

_TORCHVISION_SCHEDULE = Steps(
    epochs=90,  # torchvision references/classification/train.py
    milestones=(30, 60),  # torchvision references/classification/train.py
    gamma=0.1,  # torchvision references/classification/train.py
)

_TORCHVISION_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # torchvision references/classification/train.py; on everything
)

RESNET18_TORCHVISION = Recipe(
    name="resnet18@torchvision",
    family="ResNet",
    year=2015,  # he2015
    sources=(TORCHVISION, HE_2015, MEASURED),
    model=Model(
        "torchvision:resnet18",
        parameters=11_689_512,  # torchvision ResNet18_Weights.IMAGENET1K_V1
        gmacs=1.814,  # torchvision ResNet18_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNet18_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=69.758,  # torchvision ResNet18_Weights.IMAGENET1K_V1
            top5=89.078,  # torchvision ResNet18_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNet18_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)

RESNET34_TORCHVISION = Recipe(
    name="resnet34@torchvision",
    family="ResNet",
    year=2015,  # he2015
    sources=(TORCHVISION, HE_2015, MEASURED),
    model=Model(
        "torchvision:resnet34",
        parameters=21_797_672,  # torchvision ResNet34_Weights.IMAGENET1K_V1
        gmacs=3.664,  # torchvision ResNet34_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNet34_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=73.314,  # torchvision ResNet34_Weights.IMAGENET1K_V1
            top5=91.42,  # torchvision ResNet34_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNet34_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)

RESNET50_TORCHVISION = Recipe(
    name="resnet50@torchvision",
    family="ResNet",
    year=2015,  # he2015
    sources=(TORCHVISION, HE_2015, MEASURED),
    model=Model(
        "torchvision:resnet50",
        parameters=25_557_032,  # torchvision ResNet50_Weights.IMAGENET1K_V1
        gmacs=4.089,  # torchvision ResNet50_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNet50_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"width_per_group": 8},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=76.13,  # torchvision ResNet50_Weights.IMAGENET1K_V1
            top5=92.862,  # torchvision ResNet50_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNet50_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)

RESNET101_TORCHVISION = Recipe(
    name="resnet101@torchvision",
    family="ResNet",
    year=2015,  # he2015
    sources=(TORCHVISION, HE_2015, MEASURED),
    model=Model(
        "torchvision:resnet101",
        parameters=44_549_160,  # torchvision ResNet101_Weights.IMAGENET1K_V1
        gmacs=7.801,  # torchvision ResNet101_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNet101_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"width_per_group": 8},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=77.374,  # torchvision ResNet101_Weights.IMAGENET1K_V1
            top5=93.546,  # torchvision ResNet101_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNet101_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)

RESNET152_TORCHVISION = Recipe(
    name="resnet152@torchvision",
    family="ResNet",
    year=2015,  # he2015
    sources=(TORCHVISION, HE_2015, MEASURED),
    model=Model(
        "torchvision:resnet152",
        parameters=60_192_808,  # torchvision ResNet152_Weights.IMAGENET1K_V1
        gmacs=11.514,  # torchvision ResNet152_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNet152_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"width_per_group": 8},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=78.312,  # torchvision ResNet152_Weights.IMAGENET1K_V1
            top5=94.046,  # torchvision ResNet152_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNet152_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)
