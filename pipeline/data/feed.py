"""From the numbers of images to what a graph makes of them: read ahead, fed, and mended where a file fails.

DALI loses the batch in which a file fails to decode, and cannot say which file it was. The images of that
batch are then decoded one by one with the graph's own decoder; what it cannot decode and Pillow can is given
to it as a bitmap, what neither can is replaced (`bad_files.py`), and the batch is made again in a fresh
pipeline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.data.bad_files import BadFile
from pipeline.data.geometry import Windows
from pipeline.data.graph import Decoding, Device, Graph, Row
from pipeline.data.operation import Draw
from pipeline.data.pillow import DAMAGE, Content, as_bitmap
from pipeline.data.runner import Images, Runner
from pipeline.data.split import Split
from pipeline.data.storage import Reading, Storage
from pipeline.errors import Top1Error, is_out_of_memory

_CHUNKS_AHEAD = 2  # read while DALI makes those before
_LAST_BYTES = 1024  # of a file, where the marker is looked for that ends a JPEG


@dataclass
class Chunk:
    """Images that DALI makes at once: the step of each pass in it, and the draw of all of them."""

    steps: list[int]
    draw: Draw
    contents: list[Content] = field(default_factory=list)


class Feed:
    """Runs chunks of a split through a graph.

    windows: the geometry of a draw. on_bad: is told of every file that does not decode, each time it is met;
    what it raises ends the run, else the next image in the manifest takes the file's place.
    """

    def __init__(
        self,
        split: Split,
        graph: Graph,
        windows: Callable[[Draw], Windows],
        on_bad: Callable[[BadFile], None],
        device: Device,
        most_images: int,
    ) -> None:
        self._split = split
        self._graph = graph
        self._windows = windows
        self._on_bad = on_bad
        self._storage = Storage(split)
        self._runner = Runner(graph, device, most_images)
        self._decoder = _Decoder(graph.decoding, device)
        self._on_gpu = device.device_id is not None
        # Looked at before they are fed again. What comes out does not depend on it.
        self._suspects: set[int] = set()

    def run(self, chunks: Iterable[Chunk]) -> Generator[tuple[Chunk, Images], None, None]:
        """Yield the images of each chunk, with the chunk as it was made: its draw names what was seen."""
        read = self._read(chunks)
        made: deque[Chunk] = deque()  # in the pipeline, not yet come out

        def rows() -> Iterator[Row]:
            yield from map(self._row, list(made))  # again, after a failure
            for chunk in read:
                made.append(chunk)
                yield self._row(chunk)

        while True:
            try:
                for images in self._runner.run(rows()):
                    yield made.popleft(), images
                return
            except RuntimeError as error:  # DALI raises no other kind
                if is_out_of_memory(error) or not any(
                    self._mend(chunk, range(len(chunk.contents))) for chunk in made
                ):
                    raise  # where no file is at fault it goes on its way

    def _read(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield chunks with their contents, some chunks later than they are asked to be read."""
        reading: deque[tuple[Chunk, Reading]] = deque()
        for chunk in chunks:
            reading.append((chunk, self._storage.read_ahead(chunk.draw.indices)))
            if len(reading) > _CHUNKS_AHEAD:
                yield self._complete(*reading.popleft())
        while reading:
            yield self._complete(*reading.popleft())

    def _complete(self, chunk: Chunk, reading: Reading) -> Chunk:
        chunk.contents = reading.contents()
        indices = chunk.draw.indices.tolist()
        doubtful = [
            slot
            for slot, (index, content) in enumerate(zip(indices, chunk.contents, strict=True))
            if index in self._suspects or not len(content) or (self._on_gpu and lacks_its_end(content))
        ]
        self._mend(chunk, doubtful)
        return chunk

    def _row(self, chunk: Chunk) -> Row:
        return self._graph.row(chunk.contents, self._windows(chunk.draw), chunk.draw)

    def _mend(self, chunk: Chunk, slots: Iterable[int]) -> bool:
        """Make sure that some images of a chunk decode; return whether that changed what it holds."""
        indices = chunk.draw.indices.copy()
        changed = False
        for slot in slots:
            indices[slot], content = self._usable(chunk.draw, slot)
            changed |= not np.array_equal(content, chunk.contents[slot])
            chunk.contents[slot] = content
        chunk.draw = replace(chunk.draw, indices=indices)
        return changed

    def _usable(self, draw: Draw, slot: int) -> tuple[int, Content]:
        """Return the first image, from that of a slot on, whose own draw decodes, and its content."""
        first, images = int(draw.indices[slot]), len(self._split)
        for index in (*range(first, images), *range(first)):
            one = replace(draw, indices=np.array([index]), repeats=draw.repeats[slot : slot + 1])
            try:
                return index, self._decodable(index, one)
            except DAMAGE as error:
                self._suspects.add(index)
                reason = getattr(error, "strerror", None) or str(error)
                self._on_bad(BadFile(index, str(self._split.path(index)), reason, draw.epoch))
        raise Top1Error(
            f"none of the {images} images of {self._split.folder} decodes; run `top1 prep verify` on the data"
        )

    def _decodable(self, index: int, draw: Draw) -> Content:
        """Return the content of the one image of `draw` as DALI decodes it. Raises one of DAMAGE."""
        content = self._storage.read(index)
        if self._on_gpu and lacks_its_end(content):
            as_bitmap(content, tuple(self._split.sizes[index].tolist()))  # for what it raises
        if self._decoder.decodes(content, self._windows(draw)):
            return content
        self._suspects.add(index)
        return as_bitmap(content, tuple(self._split.sizes[index].tolist()))


def lacks_its_end(content: Content) -> bool:
    """Whether this is a JPEG without the marker that ends one, which may have something after it.

    A GPU makes grey of what is missing of such a file and says nothing (nvJPEG 13.3); Pillow refuses it.
    """
    begins_as_one = content[:2].tobytes() == b"\xff\xd8"
    return begins_as_one and b"\xff\xd9" not in content[-_LAST_BYTES:].tobytes()


class _Decoder:
    """Tells what DALI decodes, one image at a time."""

    def __init__(self, decoding: Decoding, device: Device) -> None:
        self._decoding = decoding
        self._runner = Runner(decoding, replace(device, threads=1, prefetch=1), most_images=1)

    def decodes(self, content: Content, windows: Windows) -> bool:
        try:
            for _ in self._runner.run([self._decoding.row([content], windows)]):
                pass
        except RuntimeError:
            return False
        return True
