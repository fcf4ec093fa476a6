"""What was published about data sets: sums of archives and numbers of images, each with its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Top1Error

CLASS_TAR = re.compile(r"(n\d{8})\.tar")  # what releases of ImageNet name the tar of a class


@dataclass(frozen=True)
class Published:
    """A published set. md5: of its archives, by what they hold. images: of each split."""

    name: str
    md5: Mapping[str, str]
    images: Mapping[str, int]
    classes: int

    def check_sum(self, holds: str, archive: Path, md5: str) -> None:
        """Raise Top1Error where an archive is not the published one."""
        if md5 != self.md5[holds]:
            raise Top1Error(
                f"{archive} has the md5 {md5}, and the published {holds} archive of {self.name} has "
                f"{self.md5[holds]}; download it again, or say --unofficial to use it as it is (its results "
                "are then shown as unverified data)"
            )


ILSVRC2012 = Published(
    name="imagenet",
    md5={  # torchvision datasets/imagenet.py
        "train": "1d675b47d978889d74fa0da5fadfb00e",
        "val": "29b22e2961454d5413ddabcf34fc5622",
        "devkit": "fa75699e90414af021442c21a62c3abf",
    },
    images={"train": 1_281_167, "val": 50_000},  # russakovsky2015 Table 2
    classes=1000,  # russakovsky2015 Table 2
)

MNIST = Published(
    name="mnist",
    md5={  # torchvision datasets/mnist.py
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    images={"train": 60_000, "val": 10_000},  # lecun1998 §III-A
    classes=10,
)

FASHION_MNIST = Published(
    name="fashion-mnist",
    md5={  # torchvision datasets/mnist.py
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    images={"train": 60_000, "val": 10_000},  # xiao2017 §2
    classes=10,
)
