"""A manifest of ImageNet's size, of generated entries."""

import numpy as np
import pyarrow as pa

from pipeline.data.manifest import SCHEMA, write_manifest


def write_big_manifest(folder, images, val=50_000):
    """Write the manifest of `images` images, `val` of them for validation, of 1,000 classes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    splits = ["train"] * (images - val) + ["val"] * val
    labels = np.concatenate([np.sort(np.arange(count) % 1000) for count in (images - val, val)])
    names = [f"n{1_000_000 + label:08d}" for label in labels]
    digests = pa.Array.from_buffers(pa.binary(32), images, [None, pa.py_buffer(rng.bytes(32 * images))])
    columns = {
        "split": pa.array(splits),
        "path": [
            f"{split}/{name}/{name}_{n}.JPEG"
            for n, (split, name) in enumerate(zip(splits, names, strict=True))
        ],
        "label": labels,
        "bytes": rng.integers(50_000, 170_000, images),
        "sha256": digests,
        "width": rng.choice([500, 375, 333, 640], images),
        "height": rng.choice([375, 500, 333, 480], images),
        "flags": np.zeros(images, np.int32),
        "shard": pa.nulls(images),
        "offset": pa.nulls(images),
    }
    table = pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)
    classes = [f"n{1_000_000 + label:08d}" for label in range(1000)]
    return write_manifest(folder, table, name="imagenet", classes=classes, command="generated")
