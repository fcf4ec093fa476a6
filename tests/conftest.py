"""What several tests share."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from few_digits import few_digits

pytest_plugins = ["mlflow_server", "ports"]


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the long form of the campaign of faults")


def pytest_collection_modifyitems(items):
    """Begin with what takes minutes, so that no process is left alone with it in the end."""
    long = ("test_slurm_survival", "test_slurm_submit", "test_readme", "test_training", "test_sync")
    items.sort(key=lambda item: next((n for n, name in enumerate(long) if name in item.nodeid), len(long)))


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory):
    """A folder with the demo set, made once per test process."""
    from data_prep.demo import prepare_demo

    folder = tmp_path_factory.mktemp("data") / "demo"
    prepare_demo(folder)
    return folder


@pytest.fixture(scope="session")
def small_data(demo_data, tmp_path_factory):
    """160 training and 40 validation digits: five batches an epoch."""
    return few_digits(demo_data, tmp_path_factory.mktemp("small") / "digits", train=16, val=4)


@pytest.fixture(scope="session")
def slurm_programs():
    """Skip where SLURM is not installed; with CI=true that is a failure."""
    from slurm.dev_cluster import PACKAGES, missing_programs

    missing = missing_programs()
    if missing:
        reason = f"no {', '.join(missing)}: apt-get install --no-install-recommends {PACKAGES}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def site(slurm_programs, small_data, tmp_path_factory):
    """A real SLURM of four nodes with two fake GPUs each, and its description."""
    from slurm_jobs import Site

    from slurm.dev_cluster import down, up
    from slurm.dev_config import DevCluster
    from slurm.dev_daemons import environment

    folder = Path(tempfile.mkdtemp(prefix="top1-slurm-"))  # short: it holds sockets
    up(folder, DevCluster(nodes=4, kill_wait=10))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        yield Site(folder, tmp_path_factory.mktemp("site"), small_data)
    down(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def own(site):
    """Recipes of one's own: one ends soon, one fails, each has a child, two are a pair, one is endless."""
    from slurm_jobs import RECIPES

    path = site.home / "own.py"
    path.write_text(RECIPES)
    return {name: f"{path}:{name}" for name in ("GOOD", "BAD", "CHILD", "HEIR", "PAIR", "LONG")}
