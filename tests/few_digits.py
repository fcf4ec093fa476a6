"""A prepared set of a few of the demo digits, for tests that train."""

import os


def few_digits(demo_data, folder, train, val):
    """Link the first `train` and `val` images of each class into `folder` and index it; return the folder."""
    from data_prep.folder import prepare_folder

    for split, count in (("train", train), ("val", val)):
        for source in sorted((demo_data / split).iterdir()):
            target = folder / split / source.name
            target.mkdir(parents=True)
            for file in sorted(source.iterdir())[:count]:
                os.link(file, target / file.name)
    prepare_folder(folder, name="demo-small")
    return folder
