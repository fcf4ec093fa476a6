"""Counting: every image once over any ranks; classes, confusions, calibration, medians and lists by hand."""

import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from made_runs import make_recipe, make_target

import recipes
from data_prep.folder import prepare_folder
from pipeline.analysis import analyse, calibration
from pipeline.blacklist import read_blacklist, without
from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.data.split import Paths
from pipeline.errors import Top1Error, UsageError
from pipeline.evaluate import Member, Outcomes, evaluate
from pipeline.judged import evaluations_of, is_judged, judged, judged_record
from pipeline.plan import DataFacts, make_plan
from pipeline.protocols import protocol_of
from recipes.schema import Evaluation, Normalize

PLAIN = Normalize((0.0,) * 3, (1.0,) * 3)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits(demo_data):
    return Manifest.load(demo_data).split("val").take(np.arange(103))


def ink(images):
    """Ten scores from a digit's pixels alone: the mean grey of ten rows, no two alike."""
    return images.mean(1)[:, 8:28:2].mean(2) / 10 + torch.arange(10) / 100


def score_of(split, evaluation=None, world=1, batch=8, forward=ink, **options):
    """Measure on `world` ranks, threads that meet to add up, as all-reduce does."""
    evaluation = evaluation or Evaluation(32, (32,))
    barrier, tables, scores, errors = threading.Barrier(world), [None] * world, [None] * world, []

    def work(rank):
        def reduce(table):
            tables[rank] = table
            barrier.wait(300)
            return sum(tables)

        loader = EvalLoader(split, "rgb", evaluation, batch=batch, rank=rank, world=world)
        try:
            scores[rank] = evaluate(
                [Member(forward, PLAIN)], loader, device=CPU, most_images=batch, reduce=reduce,
                **{"images": len(split)} | options,
            )  # fmt: skip
        except Top1Error as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return scores


@pytest.mark.parametrize("evaluation", [Evaluation(32, (32,)), Evaluation(32, (32, 40), "dense")])
@pytest.mark.parametrize(("world", "batch"), [(1, 103), (3, 8), (4, 50)])
def test_any_number_of_ranks_and_batches_counts_the_same(digits, evaluation, world, batch):
    (one,) = score_of(digits, evaluation, batch=7)
    for score in score_of(digits, evaluation, world, batch):
        assert (score.correct1, score.correct5, score.images) == (one.correct1, one.correct5, 103)
        assert torch.equal(score.outcomes.predicted, one.outcomes.predicted)
        assert score.loss == pytest.approx(one.loss, abs=1e-9)


def test_more_ranks_than_images_is_no_error(digits):
    scores = score_of(digits.take(np.arange(3)), world=5)
    assert {score.images for score in scores} == {3}


def test_what_is_counted_is_what_plain_code_counts(digits):
    (score,) = score_of(digits)
    (areas,) = EvalLoader(digits, "rgb", Evaluation(32, (32,)), batch=103)
    scores = ink(torch.stack(areas.scales[0]).float())
    labels = torch.from_numpy(digits.labels)
    assert score.correct1 == int((scores.argmax(1) == labels).sum())
    assert score.correct5 == int((scores.topk(5).indices == labels[:, None]).sum())
    assert score.loss == pytest.approx(torch.nn.functional.cross_entropy(scores, labels).item(), abs=1e-5)
    share = score.correct1 / 103
    assert score.stderr == pytest.approx(100 * (share * (1 - share) / 103) ** 0.5)


def test_a_number_over_other_images_is_not_reported(digits):
    with pytest.raises(Top1Error, match="saw 103 images where the set has 104"):
        score_of(digits, images=104)


def test_scores_that_are_not_finite_are_not_counted(digits):
    with pytest.raises(Top1Error, match="scores of 103 of 103 images are not finite"):
        score_of(digits, forward=lambda images: ink(images) * float("nan"))


def test_an_ensemble_averages_probabilities(digits):
    loader = EvalLoader(digits, "rgb", Evaluation(32, (32,)), batch=64)
    networks = [ink, lambda images: ink(images).flip(1) * 3]
    how = {"images": 103, "device": CPU, "most_images": 64}
    score = evaluate([Member(network, PLAIN) for network in networks], loader, **how)
    stacked = torch.cat([torch.stack(areas.scales[0]) for areas in loader]).float()
    mean = sum(network(stacked).double().softmax(1) for network in networks) / 2
    assert torch.equal(score.outcomes.predicted, mean.argmax(1))
    assert torch.allclose(score.outcomes.confidence.double(), mean.amax(1), atol=1e-7)


def outcomes(labels, predicted, confidence, in_top5):
    labels, predicted = torch.tensor(labels), torch.tensor(predicted)
    return Outcomes(
        labels, predicted, torch.tensor(confidence), torch.tensor(in_top5), torch.zeros(len(labels))
    )


def test_calibration_worked_out_by_hand():
    # Bin (14/15, 1]: two sure ones, one right: |50 - 96| = 46. Bin (8/15, 9/15]: |100 - 55| = 45, one image.
    found = outcomes([0, 1, 2], [0, 0, 2], [0.97, 0.95, 0.55], [True] * 3)
    ece, bins = calibration(found)
    assert ece == pytest.approx((2 * 46 + 45) / 3, abs=1e-4)
    assert [b["images"] for b in bins] == [1, 2]


def test_a_right_answer_that_is_certain_is_calibrated():
    assert calibration(outcomes([0, 1], [0, 1], [1.0, 1.0], [True, True]))[0] == 0


def test_classes_and_confusions_counted_by_hand():
    found = analyse(
        outcomes([0, 0, 0, 1, 1, 3], [0, 2, 2, 1, 0, 3], [0.5] * 6, [True, True, False, True, False, True]),
        ["cat", "dog", "cow", "hen"],
    )
    assert [(c["class"], c["images"], c["top1"]) for c in found["per_class"]] == [
        ("cat", 3, pytest.approx(100 / 3)), ("dog", 2, 50.0), ("cow", 0, None), ("hen", 1, 100.0),
    ]  # fmt: skip
    assert found["per_class"][0]["top5"] == pytest.approx(200 / 3)
    worst = found["worst_classes"][0]
    assert (worst["class"], worst["taken_for"]) == ("cat", [{"class": "cow", "images": 2}])


# ---------------------------------------------------------------- what is judged


def plan_of(recipe, epochs=8):
    facts = DataFacts("/data", "imagenet", 1000, 2560, 100, "f00d", None)
    recipe = replace(recipe, schedule=replace(recipe.schedule, epochs=epochs, milestones=()))
    return make_plan(recipe, facts, id="x", seed=0, threads=1)


def test_the_median_is_over_the_last_five_epochs_of_a_run():
    plan = plan_of(make_recipe(report="median_of_last_five"))
    assert plan.steps_per_epoch == 10
    assert [done for done in range(10, 81, 10) if is_judged(plan, done)] == [40, 50, 60, 70, 80]
    assert not any(is_judged(plan_of(make_recipe()), done) for done in range(10, 81, 10))
    ragged = plan_of(make_recipe(report="median_of_last_five"), epochs=7.5)  # ends after half an epoch
    assert [d for d in (*range(10, 71, 10), 75) if is_judged(ragged, d)] == [40, 50, 60, 70, 75]


def test_what_is_judged_is_the_median_and_every_figure_of_it_is_kept():
    scores = [
        type("S", (), {"top1": top1, "top5": 90 + i})()
        for i, top1 in enumerate([76.0, 75.0, 76.4, 76.2, 99.0])
    ]
    records = [judged_record(86 + i, {"p": score}) for i, score in enumerate(scores)]
    found = judged(records, "p", 50_000)
    assert (found["top1"], found["top5"], found["report"]) == (76.2, 92, "median_of_last_five")
    assert [one["epoch"] for one in found["of"]] == [86, 87, 88, 89, 90]
    assert found["stderr"] == pytest.approx(100 * (0.762 * 0.238 / 50_000) ** 0.5)
    assert judged([], "p", 50_000) == {}


def test_a_target_without_the_blacklist_is_measured_with_it_and_says_so():
    target = make_target(evaluation=Evaluation(299, (299,), without_blacklist=True), images=48_238)
    ((index, evaluation),) = evaluations_of(make_recipe(targets=(target,)))
    assert (index, evaluation.protocol) == (0, "single_crop 299/299 bilinear")


# ---------------------------------------------------------------- protocols as text


def test_every_protocol_of_the_book_is_read_back_from_its_line():
    book = [t.evaluation for r in recipes.all_recipes().values() for t in r.targets]
    more = [
        Evaluation(299, (299,), window="inception", without_blacklist=True),
        Evaluation(224, (224,), window="efficientnet", margin=34, interpolation="bicubic"),
        Evaluation(224, (256, 288, 320, 352), "crops_144", ema=False),
        Evaluation(224, (224, 256), "dense", average="scores", antialias=False),
        Evaluation(320, (365,), pooling="mean_max", squash=True),
        Evaluation(224, (256,), "ten_crop", central_square=True),
    ]
    for evaluation in (*book, *more):
        assert protocol_of(evaluation.protocol).protocol == evaluation.protocol


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ten_crops 224/256", "'ten_crops' is no word of a protocol; did you mean ten_crop"),
        ("ten_crop", "has 0 sizes"),
        ("ten_crop 224/256 299/320", "has 2 sizes"),
        ("ten_crop 256/224", "cuts crops of 256 pixels from images of 224"),
        ("0/256", "no pixels"),
        ("dense 224/256 central_square", "dense sees whole images"),
    ],
)
def test_a_protocol_that_is_none_gets_one_sentence(text, expected):
    with pytest.raises(UsageError, match=expected):
        protocol_of(text)


# ---------------------------------------------------------------- the blacklist


@pytest.fixture(scope="module")
def numbered(digits):
    names = [f"val/c/ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 104)]
    return replace(digits, paths=Paths.of(pa.array(names)))


def listed(tmp_path, text):
    path = tmp_path / "blacklist.txt"
    path.write_text(text)
    return read_blacklist(path)


def test_listed_images_and_no_others_are_left_out(numbered, tmp_path):
    blacklist = listed(tmp_path, "36\n103\n1\n")
    kept = without(numbered, blacklist)
    assert [int(kept.paths[i][-13:-5]) for i in range(len(kept))] == [n for n in range(2, 103) if n != 36]
    assert blacklist.to_json()["entries"] == 3
    assert blacklist.to_json()["file"] == "blacklist.txt"


def test_a_list_that_does_not_fit_the_data_is_refused(numbered, digits, tmp_path):
    with pytest.raises(Top1Error, match="lists validation image 104, which"):
        without(numbered, listed(tmp_path, "3\n104\n"))
    with pytest.raises(Top1Error, match="is not named ILSVRC2012_val_"):
        without(digits, listed(tmp_path, "3\n"))
    with pytest.raises(Top1Error, match="is no blacklist"):
        listed(tmp_path, "n01440764\n")
    with pytest.raises(Top1Error, match="is empty"):
        listed(tmp_path, "")
    with pytest.raises(Top1Error, match="cannot be read"):
        read_blacklist(tmp_path / "nowhere.txt")


# ---------------------------------------------------------------- several scales


def test_several_scales_are_each_scales_own_images(tmp_path):
    from PIL import Image

    for split in ("train", "val"):
        (tmp_path / split / "n0").mkdir(parents=True)
        for number, size in enumerate([(50, 64), (64, 50), (70, 50)]):
            pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / "n0" / f"{number}.png")
    prepare_folder(tmp_path)
    split = Manifest.load(tmp_path).split("val")
    (both,) = EvalLoader(split, "rgb", Evaluation(32, (40, 48), "crops_144"), batch=3)
    for scale, images in zip((40, 48), both.scales, strict=True):
        (alone,) = EvalLoader(split, "rgb", Evaluation(32, (scale,), "crops_144"), batch=3)
        assert all(torch.equal(a, b) for a, b in zip(images, alone.scales[0], strict=True))
        assert [min(image.shape[1:]) for image in images] == [scale] * 3
