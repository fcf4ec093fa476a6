"""What the campaign of faults shares: little data, and how a recipe is trained on them."""

from pathlib import Path

import pytest
from few_digits import few_digits

OWN = Path(__file__).with_name("fault_recipes.py")
OPTIONS = ("--tracking", "none", "--device", "cpu", "--threads", "1", "--log-every", "1")


@pytest.fixture(scope="session")
def long(request):
    """Whether the long form of the campaign was asked for."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def digits(demo_data, tmp_path_factory):
    """80 training and 20 validation digits: five batches an epoch."""
    return few_digits(demo_data, tmp_path_factory.mktemp("faults") / "digits", train=8, val=2)


@pytest.fixture(scope="session")
def train_of(digits):
    """Return the command that trains one of the four recipes, a checkpoint every third step."""

    def command(name, folder, epochs=4):
        small = ("--tiny", "--set", f"schedule.epochs={epochs}", "--set", "data.batch_size=16")
        where = ("--data", digits, "--run", folder)
        return ["train", f"{OWN}:{name}", *small, *where, *OPTIONS, "--checkpoint-every", "3"]

    return command
