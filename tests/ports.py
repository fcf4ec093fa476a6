"""Ports of this machine: one that is free, and one where nothing answers, a fixture by way of conftest.py."""

import socket

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def refused():
    """An address where nothing listens: its port is bound meanwhile, so nobody else will."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"
