"""LeNet-5: LeCun, Bottou, Bengio, Haffner 1998."""

from recipes.schema import (
    SGD,
    CenterCrop,
    Data,
    Evaluation,
    Model,
    Normalize,
    Piecewise,
    Recipe,
    Regularization,
    Target,
)
from recipes.sources import LECUN_1998, MEASURED

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
    ),
    departures=(
        "Plain stochastic gradient descent replaces the stochastic diagonal Levenberg-Marquardt method: "
        "the paper's global rate of each pass is every weight's rate, not divided by its curvature.",
        "The ten RBF codes are +-1 vectors drawn once from a fixed seed, an alternative the paper names; "
        "its drawings of characters are published only as a picture.",
        "The MAP criterion's constant j, which bounds the penalty of very wrong classes, is left out.",
    ),
)
