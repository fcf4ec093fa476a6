"""Plans: the global batch is the paper's on any machine, or the refusal says what works."""

import json
from dataclasses import replace

import pytest

import recipes
from pipeline.errors import Top1Error
from pipeline.plan import DataFacts, make_plan, plan_from_dict
from pipeline.tiny import tiny
from recipes.serialize import with_value

IMAGENET = DataFacts("imagenet", "imagenet", 1000, 1_281_167, 50_000, "abc")
BOOK = recipes.all_recipes()


def plan(name, gpus=1, data=IMAGENET, recipe=None, **machine):
    recipe = recipe or recipes.get(name)
    data = replace(data, classes=recipe.model.num_classes)
    return make_plan(recipe, data, id="id", gpus=gpus, seed=0, threads=1, **machine)


@pytest.mark.parametrize("name", BOOK)
@pytest.mark.parametrize("gpus", [1, 8, 32])
def test_a_recipe_has_a_plan_or_names_the_gpu_counts_that_work(name, gpus):
    try:
        found = plan(name, gpus)
    except Top1Error as error:
        counts = [int(c) for c in str(error).split("counts that work: ")[1].rstrip(".").split(", ")]
        assert counts
        for count in counts:
            plan(name, count)
    else:
        assert found.micro_batch * found.accumulation * gpus == BOOK[name].data.batch_size


def test_lenet5_runs_on_one_process_only_since_its_batch_is_one_image():
    with pytest.raises(Top1Error, match=r"batch of 1 does not divide over 8 GPUs.*counts that work: 1\."):
        plan("lenet5", 8)


def test_a_batch_that_does_not_divide_is_refused_with_the_numbers():
    with pytest.raises(Top1Error, match=r"4096 does not divide over 24 GPUs: 4096 / 24 = 170.67.*16, 32"):
        plan("efficientnetv2_s", 24)
    with pytest.raises(Top1Error, match=r"128 does not divide over 1 GPU in parts of 48: 128 / 48 = 2.67"):
        plan("alexnet", 1, micro_batch=48)


def test_accumulation_makes_up_for_missing_gpus():
    shapes = {g: (plan("alexnet", g, micro_batch=16).accumulation) for g in (1, 2, 4, 8)}
    assert shapes == {1: 8, 2: 4, 4: 2, 8: 1}
    assert {plan("alexnet", g, micro_batch=16).total_steps for g in (1, 2, 4, 8)} == {90 * (1_281_167 // 128)}


def test_batch_norm_groups_are_whole_micro_batches_or_whole_parts_of_one():
    groups = {g: plan("efficientnetv2_s", g).micro_batch for g in (1, 4, 32, 64)}
    assert groups == {1: 1024, 4: 256, 32: 128, 64: 64}
    with pytest.raises(Top1Error, match="batch-norm statistics over groups of 1024 images"):
        plan("efficientnetv2_s", 2, micro_batch=256)


def test_mixing_wants_whole_blocks_in_a_micro_batch():
    from recipes.schema import Mixup

    recipe = recipes.get("alexnet")
    mixed = replace(recipe, data=replace(recipe.data, mixing=Mixup(alpha=0.2)))
    assert plan("", 16, recipe=mixed).micro_batch == 8
    with pytest.raises(Top1Error, match="GPU counts that work: 1, 2, 4, 8, 16"):
        plan("", 32, recipe=mixed)


def test_another_number_of_classes_is_refused_with_both_numbers():
    with pytest.raises(Top1Error, match=r"alexnet has 1000 outputs, but imagenet holds 10 classes"):
        make_plan(recipes.get("alexnet"), replace(IMAGENET, classes=10), id="", seed=0, threads=1)


def test_fewer_images_than_a_batch_are_refused():
    with pytest.raises(Top1Error, match="has 100 training images, fewer than one global batch of 128"):
        plan("alexnet", data=replace(IMAGENET, train_images=100))


@pytest.mark.parametrize("name", BOOK)
def test_a_plan_survives_json(name):
    found = plan(name)
    assert plan_from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("name", BOOK)
def test_the_small_form_keeps_every_stage_and_mechanism_and_lists_its_changes(name):
    recipe = BOOK[name]
    small = tiny(recipe, classes=10)
    assert small.name == f"{name}+tiny"
    assert [type(a) for a in small.data.augment] == [type(a) for a in recipe.data.augment]
    for field in ("optimizer", "schedule", "ema", "progressive"):
        assert type(getattr(small, field)) is type(getattr(recipe, field))
    assert small.regularization == recipe.regularization
    assert small.modified
    count = recipe.progressive.stages if recipe.progressive else 1
    assert len(plan("", recipe=small, data=replace(IMAGENET, train_images=1437)).stages) == count


def test_the_small_form_scales_the_rate_with_the_batch():
    small = tiny(recipes.get("efficientnetv2_s"), 10)
    assert small.optimizer.lr == pytest.approx(0.256 * 32 / 4096)
    assert small.schedule.epochs / small.schedule.every == pytest.approx(350 / 2.4)


def test_a_changed_recipe_is_planned_as_changed():
    recipe = with_value(recipes.get("alexnet"), "optimizer.lr", 0.02)
    assert plan("", recipe=recipe).lr_at(0) == 0.02
