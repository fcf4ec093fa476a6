"""DenseNet: Huang et al. 2016, the larger networks of Pleiss et al. 2017, and torchvision's weights."""

from recipes.schema import (
    SGD,
    BatchNorm,
    ColorJitter,
    Cosine,
    Data,
    Evaluation,
    He,
    HorizontalFlip,
    Initialization,
    Lighting,
    Model,
    Normalize,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
    Uniform,
)
from recipes.sources import (
    DENSENET_CODE,
    HUANG_2016,
    MEASURED,
    PLEISS_2017,
    TORCH_IMAGE,
    TORCHVISION,
)

# ---------------------------------------------------------------- the paper's training
# The paper refers to fb.resnet.torch for the data; the authors' code is a copy of it with their network.

_SINGLE_CROP = Evaluation(
    resize=(256,),  # densenet_code imagenet.lua
    crop=224,  # densenet_code imagenet.lua
    interpolation="bicubic",  # densenet_code transforms.lua
    antialias=False,  # torch_image image.c: the cubic kernel keeps its width when it shrinks
)

_TEN_CROP = Evaluation(
    views="ten_crop",
    resize=(256,),  # densenet_code imagenet.lua
    crop=224,  # densenet_code imagenet.lua
    interpolation="bicubic",  # densenet_code transforms.lua
    antialias=False,  # torch_image image.c
    average="scores",  # densenet_code train.lua: the sum over crops, with exp() commented out
)

_DATA = Data(
    batch_size=256,  # huang2016 §4.2
    augment=(
        RandomResizedCrop(
            size=224,  # densenet_code imagenet.lua
            area=(0.08, 1.0),  # densenet_code transforms.lua
            ratio=(3 / 4, 4 / 3),  # densenet_code transforms.lua
            attempts=10,  # densenet_code transforms.lua
            rule="linear",  # densenet_code transforms.lua: the ratio is uniform, then the sides may swap
            interpolation="bicubic",  # densenet_code transforms.lua
            antialias=False,  # torch_image image.c
        ),
        ColorJitter(
            brightness=0.4,  # densenet_code imagenet.lua
            contrast=0.4,  # densenet_code imagenet.lua
            saturation=0.4,  # densenet_code imagenet.lua
        ),
        Lighting(std=0.1),  # densenet_code imagenet.lua
        HorizontalFlip(probability=0.5),  # densenet_code imagenet.lua
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # densenet_code imagenet.lua: 0.485, 0.456, 0.406
        std=(58.395, 57.12, 57.375),  # densenet_code imagenet.lua: 0.229, 0.224, 0.225
    ),
)

_OPTIMIZER = SGD(
    lr=0.1,  # huang2016 §4.2
    momentum=0.9,  # huang2016 §4.2
    nesterov=True,  # huang2016 §4.2
)

_SCHEDULE = Steps(
    epochs=90,  # huang2016 §4.2
    milestones=(30, 60),  # huang2016 §4.2
    gamma=0.1,  # huang2016 §4.2
)

# On everything, batch norm's scales and biases included; dropout is 0 on ImageNet (densenet_code opts.lua).
_REGULARIZATION = Regularization(weight_decay=1e-4)  # huang2016 §4.2

_BATCH_NORM = BatchNorm(
    momentum=0.9,  # densenet_code densenet.lua: Torch's default, there 0.1 of the new
    eps=1e-5,  # densenet_code densenet.lua: Torch's default
    images=64,  # densenet_code README.md: 256 images on 4 GPUs
)

_DEPARTURES = (
    "Resized images line up by their pixels' edges; Torch lined up the centres of the corners. Cubics of "
    "the test bend by -0.75, Torch's by -0.5. Jittered colours are rounded and cut to 0..255 at each step.",
)

DENSENET121 = Recipe(
    name="densenet121",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 32,  # huang2016 Table 1
            "block_config": (6, 12, 24, 16),  # huang2016 Table 1
        },
        parameters=7_978_856,  # measured; not in huang2016
        gmacs=2.834,  # measured; not in huang2016 as a number
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(1024**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=74.98,  # huang2016 Table 3: 25.02% error
            top5=92.29,  # huang2016 Table 3: 7.71% error
            source=HUANG_2016,
            where="Table 3, single-crop",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=76.39,  # huang2016 Table 3: 23.61% error
            top5=93.34,  # huang2016 Table 3: 6.66% error
            source=HUANG_2016,
            where="Table 3, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=75.0,  # densenet_code README.md: 25.0% error
            source=DENSENET_CODE,
            where="README.md, models in the original paper",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

DENSENET169 = Recipe(
    name="densenet169",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 32,  # huang2016 Table 1
            "block_config": (6, 12, 32, 32),  # huang2016 Table 1
        },
        parameters=14_149_480,  # measured; not in huang2016
        gmacs=3.360,  # measured; not in huang2016 as a number
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(1664**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=76.2,  # huang2016 Table 3: 23.80% error
            top5=93.15,  # huang2016 Table 3: 6.85% error
            source=HUANG_2016,
            where="Table 3, single-crop",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=77.92,  # huang2016 Table 3: 22.08% error
            top5=94.08,  # huang2016 Table 3: 5.92% error
            source=HUANG_2016,
            where="Table 3, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=76.4,  # densenet_code README.md: 23.6% error
            source=DENSENET_CODE,
            where="README.md, models in the original paper",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

DENSENET201 = Recipe(
    name="densenet201",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 32,  # huang2016 Table 1
            "block_config": (6, 12, 48, 32),  # huang2016 Table 1
        },
        parameters=20_013_928,  # measured; huang2016 §4.2: 20 million
        gmacs=4.291,  # measured; not in huang2016 as a number
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(1920**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.42,  # huang2016 Table 3: 22.58% error
            top5=93.66,  # huang2016 Table 3: 6.34% error
            source=HUANG_2016,
            where="Table 3, single-crop",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=78.54,  # huang2016 Table 3: 21.46% error
            top5=94.46,  # huang2016 Table 3: 5.54% error
            source=HUANG_2016,
            where="Table 3, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=77.5,  # densenet_code README.md: 22.5% error
            source=DENSENET_CODE,
            where="README.md, models in the original paper",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

DENSENET264 = Recipe(
    name="densenet264",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 32,  # huang2016 Table 1
            "block_config": (6, 12, 64, 48),  # huang2016 Table 1
        },
        parameters=33_337_704,  # measured; not in huang2016
        gmacs=5.752,  # measured; not in huang2016 as a number
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(2688**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.85,  # huang2016 Table 3: 22.15% error
            top5=93.88,  # huang2016 Table 3: 6.12% error
            source=HUANG_2016,
            where="Table 3, single-crop",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=79.2,  # huang2016 Table 3: 20.80% error
            top5=94.71,  # huang2016 Table 3: 5.29% error
            source=HUANG_2016,
            where="Table 3, 10-crop",
            evaluation=_TEN_CROP,
        ),
        Target(
            top1=77.9,  # densenet_code README.md: 22.1% error
            source=DENSENET_CODE,
            where="README.md, models in the tech report",
            evaluation=_SINGLE_CROP,
            note="The technical report trained it for 100 epochs.",
        ),
    ),
    departures=(
        *_DEPARTURES,
        "The paper gives no training of its own for the deepest network; that of the others is taken.",
    ),
)

DENSENET161 = Recipe(
    name="densenet161",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 48,  # densenet_code README.md
            "block_config": (6, 12, 36, 24),  # densenet_code densenet.lua
        },
        parameters=28_681_000,  # measured; not in huang2016
        gmacs=7.728,  # measured; not in huang2016
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=BatchNorm(
            momentum=0.9,  # densenet_code densenet.lua: Torch's default, there 0.1 of the new
            eps=1e-5,  # densenet_code densenet.lua: Torch's default
            images=32,  # densenet_code README.md: 4 GPUs, here of a batch of 128
        ),
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(2208**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=Data(
        batch_size=128,  # huang2016 arXiv v3 §4.2: what the GPUs' memory held
        augment=(
            RandomResizedCrop(
                size=224,  # densenet_code imagenet.lua
                area=(0.08, 1.0),  # densenet_code transforms.lua
                ratio=(3 / 4, 4 / 3),  # densenet_code transforms.lua
                attempts=10,  # densenet_code transforms.lua
                rule="linear",  # densenet_code transforms.lua: the ratio is uniform, then the sides may swap
                interpolation="bicubic",  # densenet_code transforms.lua
                antialias=False,  # torch_image image.c
            ),
            ColorJitter(
                brightness=0.4,  # densenet_code imagenet.lua
                contrast=0.4,  # densenet_code imagenet.lua
                saturation=0.4,  # densenet_code imagenet.lua
            ),
            Lighting(std=0.1),  # densenet_code imagenet.lua
            HorizontalFlip(probability=0.5),  # densenet_code imagenet.lua
        ),
        normalize=Normalize(
            mean=(123.675, 116.28, 103.53),  # densenet_code imagenet.lua: 0.485, 0.456, 0.406
            std=(58.395, 57.12, 57.375),  # densenet_code imagenet.lua: 0.229, 0.224, 0.225
        ),
    ),
    optimizer=_OPTIMIZER,
    schedule=Steps(
        epochs=100,  # huang2016 arXiv v3 §4.2
        milestones=(30, 60, 90),  # huang2016 arXiv v3 §4.2
        gamma=0.1,  # huang2016 §4.2
    ),
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.8,  # densenet_code README.md: 22.2% error
            source=DENSENET_CODE,
            where="README.md, models in the original paper",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=(
        *_DEPARTURES,
        "Batch 128 and 100 epochs are those of an earlier version of the paper, read in a transcription.",
    ),
)

# ---------------------------------------------------------------- the technical report's networks

_REPORT_SCHEDULE = Steps(
    epochs=100,  # pleiss2017 §5
    milestones=(30, 60, 90),  # densenet_code train.lua: every 30 epochs
    gamma=0.1,  # huang2016 §4.2, which pleiss2017 §5 follows
)

_COSINE = Cosine(
    epochs=100,  # pleiss2017 §5: 0.05 (cos(pi t / 100) + 1)
)

_REPORT_BATCH_NORM = BatchNorm(
    momentum=0.9,  # densenet_code densenet.lua: Torch's default, there 0.1 of the new
    eps=1e-5,  # densenet_code densenet.lua: Torch's default
    images=32,  # pleiss2017 abstract: 8 GPUs
)

_COSINE_DEPARTURES = (
    *_DEPARTURES,
    "The technical report gives rate and length alone; all else is the paper's, as in its other trainings.",
)

DENSENET232_K48_PLEISS2017 = Recipe(
    name="densenet232_k48@pleiss2017",
    family="DenseNet",
    year=2017,  # pleiss2017
    sources=(PLEISS_2017, HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 48,  # densenet_code README.md
            "block_config": (6, 12, 48, 48),  # densenet_code README.md: depth 232; pleiss2017 prints 6, 32
        },
        parameters=55_570_984,  # measured; pleiss2017 §5: 55 million
        gmacs=10.119,  # measured
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_REPORT_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(3648**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_REPORT_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.8,  # densenet_code README.md: 21.2% error
            source=DENSENET_CODE,
            where="README.md, models in the tech report, DenseNet-232 (k=48)",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

DENSENET264_PLEISS2017 = Recipe(
    name="densenet264@pleiss2017",
    family="DenseNet",
    year=2017,  # pleiss2017
    sources=(PLEISS_2017, HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 32,  # pleiss2017 §5
            "block_config": (6, 12, 64, 48),  # huang2016 Table 1; pleiss2017 prints 6, 32, deeper than 264
        },
        parameters=33_337_704,  # measured; pleiss2017 §5: 33 million
        gmacs=5.752,  # measured
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_REPORT_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(2688**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_COSINE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.4,  # densenet_code README.md: 21.6% error
            source=DENSENET_CODE,
            where="README.md, models in the tech report, DenseNet-cosine-264 (k=32)",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_COSINE_DEPARTURES,
)

DENSENET264_K48_PLEISS2017 = Recipe(
    name="densenet264_k48@pleiss2017",
    family="DenseNet",
    year=2017,  # pleiss2017
    sources=(PLEISS_2017, HUANG_2016, DENSENET_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "top1:densenet",
        arguments={
            "growth_rate": 48,  # pleiss2017 §5
            "block_config": (6, 12, 64, 48),  # huang2016 Table 1; pleiss2017 prints 6, 32, deeper than 264
        },
        parameters=72_686_632,  # measured; pleiss2017 abstract: 73 million
        gmacs=12.851,  # measured
        gmacs_size=224,  # huang2016 Table 1
        batch_norm=_REPORT_BATCH_NORM,
        initialization=Initialization(
            He("fan_out"),  # densenet_code densenet.lua
            linear=Uniform(4032**-0.5),  # densenet_code densenet.lua: nn.Linear's own, its bias then set to 0
        ),
        narrow={
            "block_config": (2, 2, 2, 2),  # measured: small enough for --tiny
            "growth_rate": 8,  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_COSINE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=79.74,  # pleiss2017 abstract, §5: 20.26% error
            source=PLEISS_2017,
            where="abstract and §5, the deepest cosine DenseNet",
            evaluation=_SINGLE_CROP,
        ),
        Target(
            top1=79.6,  # densenet_code README.md: 20.4% error
            source=DENSENET_CODE,
            where="README.md, models in the tech report, DenseNet-cosine-264 (k=48)",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_COSINE_DEPARTURES,
)

# ---------------------------------------------------------------- torchvision's references

_TORCHVISION_SINGLE_CROP = Evaluation(
    resize=(256,),  # torchvision DenseNet121_Weights.IMAGENET1K_V1
    crop=224,  # torchvision DenseNet121_Weights.IMAGENET1K_V1
)

_TORCHVISION_BATCH_NORM = BatchNorm(
    momentum=0.9,  # torchvision densenet.py: torch's default, there 0.1 of the new
    eps=1e-5,  # torchvision densenet.py: torch's default
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

_TORCHVISION_DEPARTURES = (
    "torchvision publishes no training of its DenseNets; its reference training of ResNets stands in.",
)

DENSENET121_TORCHVISION = Recipe(
    name="densenet121@torchvision",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(TORCHVISION, HUANG_2016, MEASURED),
    model=Model(
        "torchvision:densenet121",
        parameters=7_978_856,  # torchvision DenseNet121_Weights.IMAGENET1K_V1
        gmacs=2.834,  # torchvision DenseNet121_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision DenseNet121_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"bn_size": 1},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=74.434,  # torchvision DenseNet121_Weights.IMAGENET1K_V1
            top5=91.972,  # torchvision DenseNet121_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="DenseNet121_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
            note="how these weights were trained was never published",
        ),
    ),
    departures=_TORCHVISION_DEPARTURES,
)

DENSENET169_TORCHVISION = Recipe(
    name="densenet169@torchvision",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(TORCHVISION, HUANG_2016, MEASURED),
    model=Model(
        "torchvision:densenet169",
        parameters=14_149_480,  # torchvision DenseNet169_Weights.IMAGENET1K_V1
        gmacs=3.360,  # torchvision DenseNet169_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision DenseNet169_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"bn_size": 1},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=75.6,  # torchvision DenseNet169_Weights.IMAGENET1K_V1
            top5=92.806,  # torchvision DenseNet169_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="DenseNet169_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
            note="how these weights were trained was never published",
        ),
    ),
    departures=_TORCHVISION_DEPARTURES,
)

DENSENET201_TORCHVISION = Recipe(
    name="densenet201@torchvision",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(TORCHVISION, HUANG_2016, MEASURED),
    model=Model(
        "torchvision:densenet201",
        parameters=20_013_928,  # torchvision DenseNet201_Weights.IMAGENET1K_V1
        gmacs=4.291,  # torchvision DenseNet201_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision DenseNet201_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"bn_size": 1},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=76.896,  # torchvision DenseNet201_Weights.IMAGENET1K_V1
            top5=93.37,  # torchvision DenseNet201_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="DenseNet201_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
            note="how these weights were trained was never published",
        ),
    ),
    departures=_TORCHVISION_DEPARTURES,
)

DENSENET161_TORCHVISION = Recipe(
    name="densenet161@torchvision",
    family="DenseNet",
    year=2016,  # huang2016
    sources=(TORCHVISION, HUANG_2016, MEASURED),
    model=Model(
        "torchvision:densenet161",
        parameters=28_681_000,  # torchvision DenseNet161_Weights.IMAGENET1K_V1
        gmacs=7.728,  # torchvision DenseNet161_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision DenseNet161_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
        narrow={"bn_size": 1},  # measured: small enough for --tiny
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=77.138,  # torchvision DenseNet161_Weights.IMAGENET1K_V1
            top5=93.56,  # torchvision DenseNet161_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="DenseNet161_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
            note="how these weights were trained was never published",
        ),
    ),
    departures=_TORCHVISION_DEPARTURES,
)
