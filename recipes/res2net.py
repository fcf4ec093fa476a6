"""Res2Net: Gao et al. 2019, and the v1b networks of their journal version."""

from recipes.schema import (
    SGD,
    BatchNorm,
    CutMix,
    Data,
    Evaluation,
    HorizontalFlip,
    Model,
    Normalize,
    RandomResizedCrop,
    Recipe,
    Regularization,
    Steps,
    Target,
)
from recipes.sources import GAO_2019, MEASURED, RES2NET_CODE, RES2NET_WEIGHTS, YUN_2019

_SINGLE_CROP = Evaluation(
    resize=(256,),  # res2net_code main.py
    crop=224,  # res2net_code main.py
)

_SINGLE_CROP_299 = Evaluation(
    resize=(342,),  # not in gao2019; the margin of res2net_code main.py, 299 * 256 / 224
    crop=299,  # gao2019 Table 1
)

_BATCH_NORM = BatchNorm(
    momentum=0.9,  # res2net_code res2net.py: torch's default, there 0.1 of the new
    eps=1e-5,  # res2net_code res2net.py: torch's default
    images=64,  # gao2019 §4.1: 256 images on 4 GPUs
)

_NORMALIZE = Normalize(
    mean=(123.675, 116.28, 103.53),  # res2net_code main.py: 0.485, 0.456, 0.406
    std=(58.395, 57.12, 57.375),  # res2net_code main.py: 0.229, 0.224, 0.225
)

_OPTIMIZER = SGD(
    lr=0.1,  # gao2019 §4.1
    momentum=0.9,  # gao2019 §4.1
)

_REGULARIZATION = Regularization(
    weight_decay=1e-4,  # gao2019 §4.1; on everything
    label_smoothing=0.1,  # res2net_code main.py; not in the paper, worth about 0.2 by an author
)

# ---------------------------------------------------------------- the paper's training

_DATA = Data(
    batch_size=256,  # gao2019 §4.1
    augment=(
        RandomResizedCrop(size=224),  # res2net_code main.py: torchvision's defaults
        HorizontalFlip(probability=0.5),  # res2net_code main.py
    ),
    normalize=_NORMALIZE,
)

_SCHEDULE = Steps(
    epochs=100,  # gao2019 §4.1
    milestones=(30, 60, 90),  # gao2019 §4.1: every 30 epochs
    gamma=0.1,  # gao2019 §4.1
)

_DEPARTURES = ("The last epoch is judged; the authors' code keeps the best on the validation set.",)

RES2NET50_26W_4S = Recipe(
    name="res2net50_26w_4s",
    family="Res2Net",
    year=2019,  # gao2019
    sources=(GAO_2019, RES2NET_CODE, RES2NET_WEIGHTS, MEASURED),
    model=Model(
        "timm:res2net50_26w_4s",
        # Convolutions begin with He by fan-out, as in the authors' code, and no batch norm at zero.
        arguments={"zero_init_last": False},  # res2net_code res2net.py
        parameters=25_699_120,  # measured; res2net_weights README.md: 25.70 million
        gmacs=4.255,  # measured; gao2019 Table 3: 4.2
        gmacs_size=224,  # gao2019 Table 1
        batch_norm=_BATCH_NORM,
        narrow={
            "layers": (2, 1, 1, 1),  # measured: small enough for --tiny
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
            top1=77.99,  # gao2019 Table 1: 22.01% error
            top5=93.85,  # gao2019 Table 1: 6.15% error
            source=GAO_2019,
            where="Tables 1 and 3",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RES2NET101_26W_4S = Recipe(
    name="res2net101_26w_4s",
    family="Res2Net",
    year=2019,  # gao2019
    sources=(GAO_2019, RES2NET_CODE, RES2NET_WEIGHTS, MEASURED),
    model=Model(
        "timm:res2net101_26w_4s",
        # Convolutions begin with He by fan-out, as in the authors' code, and no batch norm at zero.
        arguments={"zero_init_last": False},  # res2net_code res2net.py
        parameters=45_206_688,  # measured; res2net_weights README.md: 45.21 million
        gmacs=8.067,  # measured; gao2019 Table 2: 8.1
        gmacs_size=224,  # gao2019 Table 1
        batch_norm=_BATCH_NORM,
        narrow={
            "layers": (2, 1, 1, 1),  # measured: small enough for --tiny
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
            top1=79.19,  # gao2019 Table 2: 20.81% error
            top5=94.43,  # gao2019 Table 2: 5.57% error
            source=GAO_2019,
            where="Table 2",
            evaluation=_SINGLE_CROP,
        ),
    ),
    departures=_DEPARTURES,
)

RES2NET50_26W_4S_299 = Recipe(
    name="res2net50_26w_4s_299",
    family="Res2Net",
    year=2019,  # gao2019
    sources=(GAO_2019, RES2NET_CODE, RES2NET_WEIGHTS, MEASURED),
    model=Model(
        "timm:res2net50_26w_4s",
        # Convolutions begin with He by fan-out, as in the authors' code, and no batch norm at zero.
        arguments={"zero_init_last": False},  # res2net_code res2net.py
        parameters=25_699_120,  # measured; res2net_weights README.md: 25.70 million
        gmacs=7.928,  # measured; not in gao2019
        gmacs_size=299,  # gao2019 Table 1
        batch_norm=_BATCH_NORM,
        narrow={
            "layers": (2, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=Data(
        batch_size=256,  # gao2019 §4.1
        augment=(
            RandomResizedCrop(size=299),  # gao2019 Table 1
            HorizontalFlip(probability=0.5),  # res2net_code main.py
        ),
        normalize=_NORMALIZE,
    ),
    optimizer=_OPTIMIZER,
    schedule=_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP_299,
    targets=(
        Target(
            top1=78.59,  # gao2019 Table 1: 21.41% error
            top5=94.12,  # gao2019 Table 1: 5.88% error
            source=GAO_2019,
            where="Table 1, Res2Net-50-299",
            evaluation=_SINGLE_CROP_299,
        ),
    ),
    departures=(
        *_DEPARTURES,
        "Images are resized to 342 before the crop of 299; the paper does not say from what it crops.",
    ),
)

# ---------------------------------------------------------------- v1b: a proposal, the training is unreleased
# The authors wrote of something like mixup (2020), later of CutMix and its training strategy (2022); that of
# the CutMix paper stands here. Somebody else reached 79.80 with v1b-50 and its steps.

_V1B_DATA = Data(
    batch_size=256,  # gao2019 §4.1
    augment=(
        RandomResizedCrop(size=224),  # res2net_code main.py: torchvision's defaults
        HorizontalFlip(probability=0.5),  # res2net_code main.py
    ),
    normalize=_NORMALIZE,
    mixing=CutMix(alpha=1.0),  # not in gao2019; yun2019 §4.1, of every batch
)

_V1B_SCHEDULE = Steps(
    epochs=300,  # not in gao2019; yun2019 §4.1
    milestones=(75, 150, 225),  # not in gao2019; yun2019 §4.1
    gamma=0.1,  # not in gao2019; yun2019 §4.1
)

_V1B_DEPARTURES = (
    "The authors never released how v1b was trained; the CutMix paper's training of ResNet-50 stands in, "
    "with the label smoothing of their code for Res2Net-50. Its code also jitters colours, lights, and has "
    "Nesterov's momentum and one box for a batch; here each image has its own, and a partner among eight.",
    *_DEPARTURES,
)

RES2NET50_V1B_26W_4S = Recipe(
    name="res2net50_v1b_26w_4s",
    family="Res2Net",
    year=2021,  # gao2019
    sources=(GAO_2019, YUN_2019, RES2NET_CODE, RES2NET_WEIGHTS, MEASURED),
    model=Model(
        "timm:res2net50d",
        # Convolutions begin with He by fan-out, as in the authors' code, and no batch norm at zero.
        arguments={"zero_init_last": False},  # res2net_code res2net.py
        parameters=25_718_352,  # measured; res2net_weights README.md: 25.72 million
        gmacs=4.495,  # measured; res2net_weights README.md: 4.5
        gmacs_size=224,  # gao2019 Table 1
        batch_norm=_BATCH_NORM,
        narrow={
            "layers": (2, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_V1B_DATA,
    optimizer=_OPTIMIZER,
    schedule=_V1B_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=80.27,  # gao2019 TPAMI Table 1: 19.73% error
            top5=95.04,  # gao2019 TPAMI Table 1: 4.96% error
            source=GAO_2019,
            where="TPAMI version, Table 1 and §4.2.4",
            evaluation=_SINGLE_CROP,
            note="unreleased recipe: how the authors trained v1b was never published",
        ),
    ),
    departures=_V1B_DEPARTURES,
)

RES2NET101_V1B_26W_4S = Recipe(
    name="res2net101_v1b_26w_4s",
    family="Res2Net",
    year=2021,  # gao2019
    sources=(GAO_2019, YUN_2019, RES2NET_CODE, RES2NET_WEIGHTS, MEASURED),
    model=Model(
        "timm:res2net101d",
        # Convolutions begin with He by fan-out, as in the authors' code, and no batch norm at zero.
        arguments={"zero_init_last": False},  # res2net_code res2net.py
        parameters=45_225_920,  # measured; res2net_weights README.md: 45.23 million
        gmacs=8.307,  # measured; res2net_weights README.md: 8.3
        gmacs_size=224,  # gao2019 Table 1
        batch_norm=_BATCH_NORM,
        narrow={
            "layers": (2, 1, 1, 1),  # measured: small enough for --tiny
            "channels": (16, 32, 64, 128),  # measured: small enough for --tiny
        },
    ),
    data=_V1B_DATA,
    optimizer=_OPTIMIZER,
    schedule=_V1B_SCHEDULE,
    regularization=_REGULARIZATION,
    validation=_SINGLE_CROP,
    targets=(
        Target(
            top1=81.23,  # gao2019 TPAMI Table 1: 18.77% error
            top5=95.36,  # gao2019 TPAMI Table 1: 4.64% error
            source=GAO_2019,
            where="TPAMI version, Table 1 and §4.2.4",
            evaluation=_SINGLE_CROP,
            note="unreleased recipe: how the authors trained v1b was never published",
        ),
    ),
    departures=_V1B_DEPARTURES,
)
