"""Archives as they are published, scaled down: the nesting, the names and the devkit of ILSVRC2012."""

import io
import tarfile

import numpy as np
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_sample_images

# Not in the order of their ids, as in the original.
WNIDS = ("n02119789", "n01440764", "n02105855", "n03063689", "n01443537", "n02097047")
CLASSES = (
    "kit fox, Vulpes macrotis", "tench, Tinca tinca", "Shetland sheepdog, Shetland sheep dog, Shetland",
    "coffeepot", "goldfish, Carassius auratus", "miniature schnauzer",
)  # fmt: skip
TRAIN, VAL = 7, 20  # images of each class; validation images


def picture(number, size=(64, 48)):
    photo = load_sample_images().images[number % 2]
    y, x = number * 7 % 300, number * 11 % 500
    return Image.fromarray(photo[y : y + size[1], x : x + size[0]])


def jpeg(number, **options):
    encoded = io.BytesIO()
    picture(number).save(encoded, "JPEG", **options)
    return encoded.getvalue()


def odd_png(number):
    """The one PNG among the training images: n02105855_2933.JPEG."""
    encoded = io.BytesIO()
    picture(number).save(encoded, "PNG")
    return encoded.getvalue()


def odd_cmyk(number):
    encoded = io.BytesIO()
    picture(number).convert("CMYK").save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def odd_exif(number):
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(number, exif=exif)


def train_images(wnid):
    """The files of a class, by name; the oddities have the places they have in the original."""
    first = 100 * WNIDS.index(wnid)
    images = {f"{wnid}_{10 + 37 * n}.JPEG": jpeg(first + n) for n in range(TRAIN)}
    names = list(images)
    if wnid == "n02105855":
        images[names[2]] = odd_png(first + 2)
    if wnid == "n03063689":
        images[names[1]] = odd_cmyk(first + 1)
    if wnid == "n02097047":
        images[names[4]] = odd_exif(first + 4)
    return images


def val_images():
    """Every validation image, by name, in an order of the archive's own."""
    numbers = np.random.default_rng(3).permutation(VAL)
    return {f"ILSVRC2012_val_{n + 1:08d}.JPEG": jpeg(5000 + int(n)) for n in numbers}


def val_ids():
    """The lines of the ground truth: numbers of the meta file, from 1."""
    return [1 + (5 * n + n // 7) % len(WNIDS) for n in range(VAL)]


def val_wnids():
    return {f"ILSVRC2012_val_{n + 1:08d}.JPEG": WNIDS[number - 1] for n, number in enumerate(val_ids())}


def add(tar, name, content, **fields):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def tar_of(files):
    encoded = io.BytesIO()
    with tarfile.open(fileobj=encoded, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content)
    return encoded.getvalue()


def meta_mat(wnids=WNIDS, words=CLASSES, images=TRAIN):
    """The synsets as MATLAB wrote them: the fields in their order, leaves first, then their parents."""
    fields = (
        "ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height",
        "num_train_images",
    )  # fmt: skip
    rows = [
        (float(n + 1), wnid, word, f"a {word}", 0.0, np.zeros(0), 0.0, float(images))
        for n, (wnid, word) in enumerate(zip(wnids, words, strict=True))
    ]
    count = len(wnids)
    leaves = np.arange(1.0, count + 1)
    parent = (float(count + 1), "n00001740", "entity", "that which is", float(count), leaves, 1.0, 0.0)
    rows.append(parent)
    synsets = np.array(rows, dtype=[(name, object) for name in fields])
    encoded = io.BytesIO()
    savemat(encoded, {"synsets": synsets.reshape(-1, 1)})
    return encoded.getvalue()


def devkit(meta=None, truth=None):
    folder = "ILSVRC2012_devkit_t12"
    truth = "".join(f"{number}\n" for number in val_ids()).encode() if truth is None else truth
    encoded = io.BytesIO()
    with tarfile.open(fileobj=encoded, mode="w:gz") as tar:
        for name in ("", "/data", "/evaluation"):
            entry = tarfile.TarInfo(folder + name)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        add(tar, f"{folder}/readme.txt", b"Development kit for ILSVRC2012\n")
        add(tar, f"{folder}/data/ILSVRC2012_validation_ground_truth.txt", truth)
        add(tar, f"{folder}/data/meta.mat", meta or meta_mat())
        add(tar, f"{folder}/evaluation/demo_eval.m", b"% demo\n")
    return encoded.getvalue()


def write_archives(folder):
    """Write the three archives under their published names; return their paths by what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "ILSVRC2012_img_train.tar": tar_of({f"{wnid}.tar": tar_of(train_images(wnid)) for wnid in WNIDS}),
        "ILSVRC2012_img_val.tar": tar_of(val_images()),
        "ILSVRC2012_devkit_t12.tar.gz": devkit(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {holds: folder / name for holds, name in zip(("train", "val", "devkit"), contents, strict=True)}
