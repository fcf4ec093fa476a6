"""Rates and stages against values worked out by hand from the papers."""

import pytest

import recipes
from pipeline.plan import DataFacts, make_plan
from pipeline.progressive import stage_at
from pipeline.schedule import lr_at
from recipes.schema import Cosine, Exponential, Piecewise, Steps, Warmup

IMAGENET = DataFacts("imagenet", "imagenet", 1000, 1_281_167, 50_000, "")
MNIST = DataFacts("mnist", "mnist", 10, 60_000, 10_000, "")


def rate(name, epoch):
    recipe = recipes.get(name)
    return lr_at(recipe.optimizer.lr, recipe.schedule, epoch)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 0.0),  # the warm-up begins at 0
        (2.5, 0.128),  # half way through five epochs
        (5, 0.256 * 0.97**2),  # floor(5 / 2.4) = 2 decays have been counted since epoch 0
        (7.19, 0.256 * 0.97**2),
        (7.2, 0.256 * 0.97**3),  # exactly three times 2.4
        (350, 0.256 * 0.97**145),  # floor(350 / 2.4) = 145
    ],
)
def test_efficientnetv2_warms_up_for_five_epochs_and_decays_every_2_4_from_epoch_0(epoch, expected):
    assert rate("efficientnetv2_s", epoch) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.01), (29.99, 0.01), (30, 1e-3), (60, 1e-4), (80, 1e-5)]
)
def test_alexnet_divides_its_rate_by_ten_three_times(epoch, expected):
    assert rate("alexnet", epoch) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 5e-4), (1.9, 5e-4), (2, 2e-4), (5, 1e-4), (8, 5e-5), (12, 1e-5), (20, 1e-5)]
)
def test_lenet5_has_the_papers_rate_in_each_of_its_twenty_passes(epoch, expected):
    assert rate("lenet5", epoch) == expected


def test_a_cosine_begins_where_the_warm_up_ends_and_ends_at_its_end():
    schedule = Cosine(epochs=100, end_lr=0.001, warmup=Warmup(epochs=10, start_lr=0.01))
    assert lr_at(0.1, schedule, 5) == pytest.approx(0.055)
    assert lr_at(0.1, schedule, 10) == pytest.approx(0.1)
    assert lr_at(0.1, schedule, 55) == pytest.approx((0.1 + 0.001) / 2)
    assert lr_at(0.1, schedule, 100) == pytest.approx(0.001)


def test_a_boundary_that_floats_cannot_hold_falls_on_its_own_side():
    schedule = Exponential(epochs=30, decay=0.5, every=0.1)
    assert [round(lr_at(1.0, schedule, k * 0.1) / 0.5**k, 9) for k in range(30)] == [1.0] * 30


def test_steps_and_periods_agree_where_they_say_the_same():
    steps = Steps(epochs=6, milestones=(2, 4))
    periods = Piecewise(periods=((2, 1.0), (2, 0.1), (2, 0.01)))
    for epoch in (0, 1.99, 2, 3.5, 4, 5.99):
        assert lr_at(1.0, steps, epoch) == pytest.approx(lr_at(1.0, periods, epoch))


def stages(name):
    return make_plan(recipes.get(name), IMAGENET, id="", gpus=8, seed=0, threads=1).stages


def test_the_papers_efficientnetv2_s_climbs_through_table_6():
    found = stages("efficientnetv2_s")
    assert [s.image_size for s in found] == [128, 185, 243, 300]
    assert [s.randaugment for s in found] == pytest.approx([5, 8 + 1 / 3, 11 + 2 / 3, 15])
    assert [s.dropout for s in found] == pytest.approx([0.1, 1 / 6, 0.7 / 3, 0.3])
    assert [s.mixup for s in found] == [None] * 4
    assert [s.last_epoch for s in found] == [87.5, 175.0, 262.5, 350.0]


def test_the_released_code_starts_above_128_and_keeps_its_dropout():
    found = stages("efficientnetv2_s@automl")
    assert [s.image_size for s in found] == [171, 214, 257, 300]
    assert [s.randaugment for s in found] == pytest.approx([5, 20 / 3, 25 / 3, 10])
    assert [s.dropout for s in found] == [0.2] * 4


def test_a_stage_begins_on_its_first_step():
    found = stages("efficientnetv2_s")
    assert found[0].end_step == found[1].first_step == 312 * 350 // 4
    assert stage_at(found, found[1].first_step - 1) is found[0]
    assert stage_at(found, found[1].first_step) is found[1]


def test_a_recipe_without_progressive_learning_has_one_stage():
    plan = make_plan(recipes.get("lenet5"), MNIST, id="", gpus=1, seed=0, threads=1)
    assert len(plan.stages) == 1
    assert (plan.stages[0].image_size, plan.total_steps) == (32, 20 * 60_000)
