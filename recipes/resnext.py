"""ResNeXt: Xie et al. 2016, and torchvision's weights by its reference training."""

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
    Normalize,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
    Uniform,
)
from recipes.sources import MEASURED, RESNEXT_CODE, TORCH_IMAGE, TORCHVISION, XIE_2016

# ---------------------------------------------------------------- the paper's training

_SINGLE_CROP = Evaluation(
    resize=(256,),  # resnext_code imagenet.lua
    crop=224,  # resnext_code imagenet.lua
    interpolation="bicubic",  # resnext_code transforms.lua
    antialias=False,  # torch_image image.c: the cubic kernel keeps its width when it shrinks
)

_SINGLE_CROP_320 = Evaluation(
    resize=(320,),  # xie2016 Table 5
    crop=320,  # xie2016 Table 5
    interpolation="bicubic",  # resnext_code transforms.lua
    antialias=False,  # torch_image image.c
)

_DATA = Data(
    batch_size=256,  # xie2016 §4
    augment=(
        RandomResizedCrop(
            size=224,  # resnext_code imagenet.lua
            area=(0.08, 1.0),  # resnext_code transforms.lua
            ratio=(3 / 4, 4 / 3),  # resnext_code transforms.lua
            attempts=10,  # resnext_code transforms.lua
            rule="linear",  # resnext_code transforms.lua: the ratio is uniform, then the sides may swap
            interpolation="bicubic",  # resnext_code transforms.lua
            antialias=False,  # torch_image image.c
        ),
        ColorJitter(
            brightness=0.4,  # resnext_code imagenet.lua
            contrast=0.4,  # resnext_code imagenet.lua
            saturation=0.4,  # resnext_code imagenet.lua
        ),
        Lighting(std=0.1),  # resnext_code imagenet.lua
        HorizontalFlip(probability=0.5),  # resnext_code imagenet.lua
    ),
    normalize=Normalize(
        mean=(123.675, 116.28, 103.53),  # resnext_code imagenet.lua: 0.485, 0.456, 0.406
        std=(58.395, 57.12, 57.375),  # resnext_code imagenet.lua: 0.229, 0.224, 0.225
    ),
)

_OPTIMIZER = SGD(
    lr=0.1,  # xie2016 §4
    momentum=0.9,  # xie2016 §4
    nesterov=True,  # resnext_code train.lua; the paper does not say
)

_SCHEDULE = Steps(
    epochs=100,  # resnext_code opts.lua
    milestones=(30, 60, 90),  # resnext_code train.lua; xie2016 §4: three times
    gamma=0.1,  # xie2016 §4
)

_REGULARIZATION = Regularization(weight_decay=1e-4)  # xie2016 §4; on everything, as in resnext_code

_BATCH_NORM = BatchNorm(
    momentum=0.9,  # resnext_code resnext.lua: Torch's default, there 0.1 of the new
    eps=1e-5,  # resnext_code resnext.lua: Torch's default
    images=32,  # xie2016 §4: 256 images on 8 GPUs
)

_INITIALIZATION = Initialization(
    He("fan_out"),  # resnext_code resnext.lua
    linear=Uniform(2048**-0.5),  # resnext_code resnext.lua: nn.Linear's own, its bias then set to 0
)

_DEPARTURES = (
    "Resized images line up by their pixels' edges; Torch lined up the centres of the corners. Cubics of "
    "the test bend by -0.75, Torch's by -0.5. Jittered colours are rounded and cut to 0..255 at each step.",
)

RESNEXT50_32X4D = Recipe(
    name="resnext50_32x4d",
    family="ResNeXt",
    year=2016,  # xie2016
    sources=(XIE_2016, RESNEXT_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnext50_32x4d",
        arguments={
            "zero_init_last": False,  # resnext_code resnext.lua
        },
        parameters=25_028_904,  # measured; xie2016 Table 1: 25.0 million
        gmacs=4.230,  # measured; xie2016 Table 1: 4.2 (Table 3: 4.1)
        gmacs_size=224,  # xie2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=77.8,  # xie2016 Table 3: 22.2% error
            source=XIE_2016,
            where="Table 3",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RESNEXT101_32X4D = Recipe(
    name="resnext101_32x4d",
    family="ResNeXt",
    year=2016,  # xie2016
    sources=(XIE_2016, RESNEXT_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnext101_32x4d",
        arguments={
            "zero_init_last": False,  # resnext_code resnext.lua
        },
        parameters=44_177_704,  # measured; resnext_code README.md: 44 million
        gmacs=7.970,  # measured; xie2016 Table 3: 7.8
        gmacs_size=224,  # xie2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=78.8,  # xie2016 Table 4: 21.2% error
            top5=94.4,  # xie2016 Table 4: 5.6% error
            source=XIE_2016,
            where="Tables 3 and 4",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RESNEXT101_64X4D = Recipe(
    name="resnext101_64x4d",
    family="ResNeXt",
    year=2016,  # xie2016
    sources=(XIE_2016, RESNEXT_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnext101_64x4d",
        arguments={
            "zero_init_last": False,  # resnext_code resnext.lua
        },
        parameters=83_455_272,  # measured; not in xie2016
        gmacs=15.460,  # measured; xie2016 Table 4: 15.6
        gmacs_size=224,  # xie2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=80.9,  # xie2016 Table 5: 19.1% error
            top5=95.6,  # xie2016 Table 5: 4.4% error
            source=XIE_2016,
            where="Table 5, tested at 320",
            evaluation=_SINGLE_CROP_320,
        ),
        Target(
            top1=79.6,  # xie2016 Table 4: 20.4% error
            top5=94.7,  # xie2016 Table 4: 5.3% error
            source=XIE_2016,
            where="Tables 4 and 5",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RESNEXT101_2X64D = Recipe(
    name="resnext101_2x64d",
    family="ResNeXt",
    year=2016,  # xie2016
    sources=(XIE_2016, RESNEXT_CODE, TORCH_IMAGE, MEASURED),
    model=Model(
        "timm:resnet101",
        arguments={
            "cardinality": 2,  # xie2016 Table 4
            "base_width": 64,  # xie2016 Table 4
            "zero_init_last": False,  # resnext_code resnext.lua
        },
        parameters=84_198_184,  # measured; not in xie2016
        gmacs=15.123,  # measured; xie2016 Table 4: 15.6
        gmacs_size=224,  # xie2016 Table 1
        batch_norm=_BATCH_NORM,
        initialization=_INITIALIZATION,
        narrow={
            "layers": (1, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_DATA,
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=79.3,  # xie2016 Table 4: 20.7% error
            top5=94.5,  # xie2016 Table 4: 5.5% error
            source=XIE_2016,
            where="Table 4",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

# ---------------------------------------------------------------- torchvision's references

_TORCHVISION_SINGLE_CROP = Evaluation(
    resize=(256,),  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
    crop=224,  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
)

_TORCHVISION_BATCH_NORM = BatchNorm(
    momentum=0.9,  # torchvision resnet.py: torch's default, there 0.1 of the new
    eps=1e-5,  # torchvision resnet.py: torch's default
    images=16,  # torchvision references/classification/README.md: of one of 64 GPUs
)

_TORCHVISION_DATA = Data(
    batch_size=1024,  # torchvision references/classification/README.md: 64 GPUs of 16
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
    lr=0.4,  # torchvision references/classification/README.md
    momentum=0.9,  # torchvision references/classification/train.py
)

_TORCHVISION_SCHEDULE = Steps(
    epochs=100,  # torchvision references/classification/README.md
    milestones=(30, 60, 90),  # torchvision references/classification/train.py
    gamma=0.1,  # torchvision references/classification/train.py
)

_TORCHVISION_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # torchvision references/classification/train.py; on everything
)

RESNEXT50_32X4D_TORCHVISION = Recipe(
    name="resnext50_32x4d@torchvision",
    family="ResNeXt",
    year=2016,  # xie2016
    sources=(TORCHVISION, XIE_2016, MEASURED),
    model=Model(
        "torchvision:resnext50_32x4d",
        parameters=25_028_904,  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
        gmacs=4.230,  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=77.618,  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
            top5=93.698,  # torchvision ResNeXt50_32X4D_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNeXt50_32X4D_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)

RESNEXT101_32X8D_TORCHVISION = Recipe(
    name="resnext101_32x8d@torchvision",
    family="ResNeXt",
    year=2016,  # xie2016
    sources=(TORCHVISION, XIE_2016, MEASURED),
    model=Model(
        "torchvision:resnext101_32x8d",
        parameters=88_791_336,  # torchvision ResNeXt101_32X8D_Weights.IMAGENET1K_V1
        gmacs=16.414,  # torchvision ResNeXt101_32X8D_Weights.IMAGENET1K_V1
        gmacs_size=224,  # torchvision ResNeXt101_32X8D_Weights.IMAGENET1K_V1
        batch_norm=_TORCHVISION_BATCH_NORM,
    ),
    data=_TORCHVISION_DATA,
    optimizer=_TORCHVISION_OPTIMIZER,
    schedule=_TORCHVISION_SCHEDULE,
    regularization=_TORCHVISION_REGULARIZATION,
    validation=_TORCHVISION_SINGLE_CROP,
    targets=(
        Target(
            top1=79.312,  # torchvision ResNeXt101_32X8D_Weights.IMAGENET1K_V1
            top5=94.526,  # torchvision ResNeXt101_32X8D_Weights.IMAGENET1K_V1
            source=TORCHVISION,
            where="ResNeXt101_32X8D_Weights.IMAGENET1K_V1",
            evaluation=_TORCHVISION_SINGLE_CROP,
        ),
    ),
)
