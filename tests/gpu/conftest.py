"""What only a GPU shows: `make gpu`. Not part of `make test`, which has none.

TOP1_TEST_DEVICE=cpu runs it without one, to try the tests themselves.
"""

import os

import pytest
from few_digits import few_digits


@pytest.fixture(scope="session")
def device():
    return os.environ.get("TOP1_TEST_DEVICE", "cuda")


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """96 training images of ImageNet's sizes, noise with the spectrum of photographs."""
    from pipeline.bench.images import generate

    return generate(tmp_path_factory.mktemp("photographs"), 96, 2)


@pytest.fixture(scope="session")
def digits(demo_data, tmp_path_factory):
    """80 training and 20 validation digits: five batches an epoch."""
    return few_digits(demo_data, tmp_path_factory.mktemp("gpu") / "digits", train=8, val=2)
