"""Memory that is handed out again, and never while somebody looks at it."""

import numpy as np

from pipeline.data import buffers
from pipeline.data.buffers import Buffers


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_last_view_of_it_is_gone():
    source = Buffers()
    first = source.take(1000)
    view, where = first[10:20], address(first)
    del first
    other = source.take(1000)
    assert not np.shares_memory(other, view)
    del view
    assert address(source.take(900)) == where


def test_an_array_is_as_long_as_asked_and_may_be_written():
    source = Buffers()
    for count in (10, 5000, 3, 0, 4000):
        array = source.take(count)
        array[:] = 7
        assert array.shape == (count,)
        assert array.dtype == np.uint8


def test_the_largest_are_not_kept():
    source = Buffers()
    array = source.take(buffers._LARGEST + 1)
    del array
    assert not source._free
