"""Citations are read from the modules' source text, beside the field they stand for."""

import pytest

import recipes
from pipeline.tiny import tiny
from recipes.citations import citations, read_citations
from recipes.serialize import field_paths, with_value

BOOK = recipes.all_recipes()


def has_a_number(value):
    if isinstance(value, tuple):
        return any(map(has_a_number, value))
    if isinstance(value, dict):
        return any(map(has_a_number, value.values()))
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize("name", BOOK)
def test_every_number_of_a_recipe_has_a_citation(name):
    found = citations(BOOK[name])
    assert [p for p, value in field_paths(BOOK[name]).items() if has_a_number(value) and p not in found] == []


def test_a_citation_is_the_comment_on_the_line_of_the_number():
    found = citations(recipes.get("alexnet"))
    assert found["optimizer.lr"] == "krizhevsky2012 §5"
    assert found["model.parameters"] == "measured; krizhevsky2012 abstract: 60 million"
    assert found["data.augment.Lighting.std"] == "krizhevsky2012 §4.1"
    assert found["data.augment.Lighting.eigenvalues"] == "default of Lighting"
    assert found["targets.Target.top1"] == "krizhevsky2012 Table 2"
    lines = citations(recipes.get("lenet5"))["schedule.periods"]
    assert lines == "lecun1998 §III-B"  # five lines that say the same


def test_constants_and_what_is_replaced_in_them_are_followed():
    found = citations(recipes.get("efficientnetv2_m@automl"))
    assert found["optimizer.lr"] == "automl datasets.py: 0.016 per 256 images"
    assert found["data.augment.RandomResizedCrop.area"] == "automl preprocessing.py"
    assert found["data.augment.RandomResizedCrop.size"].startswith(
        "automl effnetv2_configs.py (tan2021 Table 6"
    )
    assert found["regularization.weight_decay"] == "automl hparams.py"
    assert found["regularization.dropout"] == "automl effnetv2_configs.py"


MODULE = """
from dataclasses import replace
from recipes.alexnet import ALEXNET
from recipes.schema import SGD, CenterCrop, Data, HorizontalFlip, Recipe, Steps, TrivialAugment

_BATCH = 32  # paper §1
# A line of its own says nothing of the next.
_SIDE = 8
_FLIPS = (
    HorizontalFlip(0.25),  # paper §2
    TrivialAugment(),  # paper §3
)
MINE = Recipe(
    name="mine",
    data=Data(
        batch_size=_BATCH,
        augment=(CenterCrop(_SIDE, resize=10), *_FLIPS),  # paper §4
    ),
    schedule=Steps(  # paper §5
        epochs=2,  # paper §6
        milestones=(
            1,  # paper §7
            1.5,  # paper §8
        ),
    ),
)
NEARBY = replace(ALEXNET, name="nearby", optimizer=SGD(0.5))  # paper §9
"""


def test_every_way_of_writing_a_value_is_read(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MODULE)
    assert read_citations(file, "mine") == {
        "data.batch_size": "paper §1",
        "data.augment.CenterCrop.size": "paper §4",
        "data.augment.CenterCrop.resize": "paper §4",
        "data.augment.HorizontalFlip.probability": "paper §2",
        "data.augment.TrivialAugment": "paper §3",
        "schedule": "paper §5",
        "schedule.epochs": "paper §6",
        "schedule.milestones": "paper §7; paper §8",
    }
    nearby = read_citations(file, "nearby")
    assert nearby["optimizer.lr"] == "paper §9"
    assert nearby["regularization.dropout"] == "krizhevsky2012 §4.2"
    assert read_citations(file, "other") == {}


def test_what_was_changed_is_cited_as_changed():
    recipe = recipes.get("alexnet")
    changed = with_value(recipe, "modified", ("optimizer.lr: 0.01 -> 0.02",))
    assert citations(changed)["optimizer.lr"] == "changed: 0.01 -> 0.02"
    small = citations(tiny(recipe, 10))
    assert small["data.batch_size"] == "changed: 128 -> 32"
    assert small["regularization.dropout"] == "krizhevsky2012 §4.2"
