"""LeNet-5: LeCun, Bottou, Bengio, Haffner 1998, and the network that goes by its name today."""

from recipes.schema import (
    SGD,
    CenterCrop,
    Data,
    Evaluation,
    Initialization,
    InverseDecay,
    Model,
    Normalize,
    Piecewise,
    Recipe,
    Regularization,
    Target,
    Xavier,
)
from recipes.sources import CAFFE, LECUN_1998, MEASURED

_EVALUATION = Evaluation(
    views="single_crop",
    resize=(28,),  # lecun1998 §III-A: 28x28 digits
    squash=True,
    crop=32,  # lecun1998 §II-B: centred in a 32x32 field
)

LENET5 = Recipe(
    name="lenet5",
    family="LeNet",
    year=1998,  # lecun1998
    sources=(LECUN_1998, MEASURED),
    model=Model(
        "top1:lenet5",
        parameters=60_000,  # lecun1998 §II-B; the RBF codes are not trained
        gmacs=0.000332,  # measured: convolutions (C3 by its table), subsampling's coefficients left out
        gmacs_size=32,  # lecun1998 §II-B
        num_classes=10,  # lecun1998 §II-B
    ),
    data=Data(
        dataset="mnist",
        color="gray",
        batch_size=1,  # lecun1998 §III-B: weights are updated after each pattern
        augment=(
            CenterCrop(
                resize=28,  # lecun1998 §III-A
                squash=True,
                size=32,  # lecun1998 §II-B
            ),
        ),
        # Background -0.1, foreground 1.175: (pixel - 20) / 200.
        normalize=Normalize(mean=(20.0,), std=(200.0,)),  # lecun1998 §II-B
    ),
    optimizer=SGD(lr=5e-4),  # lecun1998 §III-B
    schedule=Piecewise(
        periods=(
            (2, 5e-4),  # lecun1998 §III-B
            (3, 2e-4),  # lecun1998 §III-B
            (3, 1e-4),  # lecun1998 §III-B
            (4, 5e-5),  # lecun1998 §III-B
            (8, 1e-5),  # lecun1998 §III-B
        )
    ),
    regularization=Regularization(),
    validation=_EVALUATION,
    targets=(
        Target(
            top1=99.05,  # lecun1998 §III-B
            images=10_000,  # lecun1998 §III-A
            source=LECUN_1998,
            where="§III-B: 0.95% test error, 60,000 undistorted digits",
            evaluation=_EVALUATION,
        ),
        Target(
            top1=99.2,  # lecun1998 §III-B
            images=10_000,  # lecun1998 §III-A
            source=LECUN_1998,
            where="§III-B: 0.8% test error, 60,000 digits and 540,000 distortions of them",
            evaluation=_EVALUATION,
            extra_data="540,000 random planar affine distortions of the training digits",
            note="The distortions (shift, scaling, squeezing, horizontal shear) are not made here.",
        ),
    ),
    departures=(
        "Plain stochastic gradient descent replaces the stochastic diagonal Levenberg-Marquardt method: "
        "the paper's global rate of each pass is every weight's rate, not divided by its curvature.",
        "The ten RBF codes are +-1 vectors drawn once from a fixed seed, an alternative the paper names; "
        "its drawings of characters are published only as a picture.",
        "The MAP criterion's constant j, which bounds the penalty of very wrong classes, is left out.",
    ),
)

# Caffe's solver for MNIST, which trains a wider network (20 and 50 maps, 500 units) than this one.
_MODERN_DATA = Data(
    dataset="mnist",
    color="gray",
    batch_size=64,  # caffe lenet_train_test.prototxt
    augment=(
        CenterCrop(
            resize=28,  # lecun1998 §III-A
            squash=True,
            size=32,  # lecun1998 §II-B (caffe: the 28x28 digits)
        ),
    ),
    normalize=Normalize(
        mean=(0.0,),  # caffe lenet_train_test.prototxt
        std=(256.0,),  # caffe lenet_train_test.prototxt
    ),
)
_MODERN_OPTIMIZER = SGD(
    lr=0.01,  # caffe lenet_solver.prototxt
    momentum=0.9,  # caffe lenet_solver.prototxt
    form="caffe",
)
_MODERN_SCHEDULE = InverseDecay(
    epochs=10_000 * 64 / 60_000,  # caffe lenet_solver.prototxt: 10,000 iterations
    gamma=1e-4 * 60_000 / 64,  # caffe lenet_solver.prototxt: 0.0001 an iteration
    power=0.75,  # caffe lenet_solver.prototxt
)
_MODERN_REGULARIZATION = Regularization(
    weight_decay=5e-4,  # caffe lenet_solver.prototxt
)
_MODERN_START = Initialization(Xavier(fan="fan_in"))  # caffe lenet_train_test.prototxt
_MODERN_DEPARTURES = (
    "The solver is Caffe's, made for a wider network; its biases learn twice as fast, and ours do not.",
)

LENET5_MODERN = Recipe(
    name="lenet5@modern",
    family="LeNet",
    year=2014,  # caffe
    sources=(LECUN_1998, CAFFE, MEASURED),
    model=Model(
        "top1:lenet5_modern",
        parameters=61_706,  # measured; lecun1998 §II-B: 60,000 with the partial C3
        gmacs=0.000417,  # measured; lecun1998 §II-B: 340,908 connections with the partial C3
        gmacs_size=32,  # lecun1998 §II-B
        num_classes=10,  # lecun1998 §II-B
        arguments={"pooling": "max", "activation": "relu"},
        initialization=_MODERN_START,
    ),
    data=_MODERN_DATA,
    optimizer=_MODERN_OPTIMIZER,
    schedule=_MODERN_SCHEDULE,
    regularization=_MODERN_REGULARIZATION,
    validation=_EVALUATION,
    targets=(),
    departures=_MODERN_DEPARTURES,
)

LENET5_RELU = Recipe(
    name="lenet5@relu",
    family="LeNet",
    year=2014,  # caffe
    sources=(LECUN_1998, CAFFE, MEASURED),
    model=Model(
        "top1:lenet5_modern",
        parameters=61_706,  # measured; lecun1998 §II-B: 60,000 with the partial C3
        gmacs=0.000417,  # measured; lecun1998 §II-B: 340,908 connections with the partial C3
        gmacs_size=32,  # lecun1998 §II-B
        num_classes=10,  # lecun1998 §II-B
        arguments={"pooling": "mean", "activation": "relu"},
        initialization=_MODERN_START,
    ),
    data=_MODERN_DATA,
    optimizer=_MODERN_OPTIMIZER,
    schedule=_MODERN_SCHEDULE,
    regularization=_MODERN_REGULARIZATION,
    validation=_EVALUATION,
    targets=(),
    departures=_MODERN_DEPARTURES,
)

LENET5_TANH = Recipe(
    name="lenet5@tanh",
    family="LeNet",
    year=2014,  # caffe
    sources=(LECUN_1998, CAFFE, MEASURED),
    model=Model(
        "top1:lenet5_modern",
        parameters=61_706,  # measured; lecun1998 §II-B: 60,000 with the partial C3
        gmacs=0.000417,  # measured; lecun1998 §II-B: 340,908 connections with the partial C3
        gmacs_size=32,  # lecun1998 §II-B
        num_classes=10,  # lecun1998 §II-B
        arguments={"pooling": "mean", "activation": "tanh"},
        initialization=_MODERN_START,
    ),
    data=_MODERN_DATA,
    optimizer=_MODERN_OPTIMIZER,
    schedule=_MODERN_SCHEDULE,
    regularization=_MODERN_REGULARIZATION,
    validation=_EVALUATION,
    targets=(),
    departures=_MODERN_DEPARTURES,
)
