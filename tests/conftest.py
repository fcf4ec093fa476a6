"""What several tests share."""

import pytest

pytest_plugins = ["mlflow_server"]


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory):
    """A folder with the demo set, made once per test process."""
    from data_prep.demo import prepare_demo

    folder = tmp_path_factory.mktemp("data") / "demo"
    prepare_demo(folder)
    return folder
