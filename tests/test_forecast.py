"""What a run is forecast to take: the arithmetic by hand, the page, and finished runs beside it."""

import json

import pytest

import recipes
from pipeline import forecast
from pipeline.bench.kept import keep, kept
from pipeline.cli import main
from pipeline.errors import Top1Error
from pipeline.journal import write_json
from pipeline.plan import make_plan
from pipeline.runs import write_plan
from pipeline.show import DEMO, IMAGENET
from pipeline.tiny import tiny


def plan_of(name, **machine):
    return make_plan(recipes.get(name), IMAGENET, id="", seed=0, threads=1, **machine)


def answer_of(name, sizes, rate=1000.0, gpu="a GPU", feed="data", time="2026-01-01T00:00:00"):
    """A bench of stages in which every process trained and measured so many images a second."""
    return {
        "kind": "stages",
        "command": f"top1 bench stages {name}",
        "time": time,
        "machine": {
            "recipe": name, "gpu": gpu, "cpu": "a CPU", "cpus": 8, "threads": 2, "batch": 256, "feed": feed,
            "precision": "auto", "compile": "auto",
        },
        "rows": [
            {"stage": i, "image_size": size, "images_per_second": rate, "first_step_seconds": 3.0}
            for i, size in enumerate(sizes)
        ],
        "evaluation": {"protocol": "", "images": 1000, "seconds": 1000 / rate},
    }  # fmt: skip


def test_a_forecast_is_the_arithmetic_of_what_was_measured():
    # Goyal et al. 2017: 90 epochs of 5,004 steps of 256 images; the median over the last five epochs counts,
    # but each of them is measured under the one protocol that validates them all.
    plan = plan_of("resnet50@goyal2017", gpus=2)
    found = forecast.forecast(plan, answer_of(plan.recipe.name, [224]), 100_000, 1e8)
    images = plan.total_steps * plan.batch_size
    protocols = {target.evaluation for target in plan.recipe.targets} | {plan.recipe.validation}
    passes = 90 + 5 * (len(protocols) - 1)
    assert found.train_seconds == pytest.approx(images / 2000)
    assert found.first_step_seconds == 3
    assert found.evaluation_seconds == pytest.approx(passes * 50_000 / 2000)
    seconds = images / 2000 + 3 + passes * 25
    assert found.gpu_hours == pytest.approx(2 * seconds / 3600)
    assert found.epoch_seconds == pytest.approx(seconds / 90)
    assert found.read_bytes == pytest.approx((images + passes * 50_000) * 100_000)
    assert found.checkpoints == 90


def test_every_evaluation_begins_anew_which_is_no_part_of_its_rate():
    plan = plan_of("resnet50@goyal2017", gpus=2)
    answer = answer_of(plan.recipe.name, [224])
    passes = forecast.forecast(plan, answer, 1, 1).evaluation_seconds / 25
    answer["evaluation"] |= {"seconds": 3.0, "start_seconds": 2.0}  # 1000 images a second after that
    found = forecast.forecast(plan, answer, 1, 1)
    assert found.evaluation_seconds == pytest.approx(passes * (2.0 + 50_000 / 2000))


def test_weights_and_their_average_are_both_measured_and_views_take_as_long_as_their_number():
    plan = plan_of("efficientnetv2_s")
    sizes = [stage.image_size for stage in plan.stages]
    found = forecast.forecast(plan, answer_of("efficientnetv2_s", sizes), 1, 1)
    last = {target.evaluation for target in plan.recipe.targets} | {plan.recipe.validation}
    views = 2 * 350 + sum(forecast.count_views(evaluation) for evaluation in last) - 1
    assert found.evaluation_seconds == pytest.approx(views * 50)
    assert len(found.stage_rates) == 4
    assert found.first_step_seconds == 12


def test_the_newest_answer_of_the_same_recipe_sizes_and_kind_of_device_is_taken():
    old, new = (answer_of("alexnet", [224], time=f"2026-01-0{day}T00:00:00") for day in (1, 2))
    cpu = answer_of("alexnet", [224], gpu=None, time="2026-01-03T00:00:00")
    others = [
        answer_of("alexnet", [224], feed="memory"), answer_of("vgg16", [224]), answer_of("alexnet", [128]),
    ]  # fmt: skip
    answers = [old, new, cpu, *others]
    assert forecast.newest_for(plan_of("alexnet"), answers) is new
    assert forecast.newest_for(plan_of("alexnet", device="cpu"), answers) is cpu
    assert forecast.newest_for(plan_of("alexnet", device="cuda"), [cpu, *others]) is None
    assert forecast.newest_for(plan_of("alexnet"), [cpu, *others]) is cpu


def test_show_forecasts_from_what_was_kept_and_holds_finished_runs_against_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = tiny(recipes.get("lenet5"), 10)
    plan = make_plan(small, DEMO, id="x", seed=0, threads=1)
    finished, unfinished = (tmp_path / "runs" / small.name / name for name in ("one", "two"))
    for folder in (finished, unfinished):
        write_plan(folder, plan)
    write_json(finished / "result.json", {"recipe": small.name, "gpu_hours": 0.01})
    line = ["show", "lenet5", "--tiny", "--json"]
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out)["forecast"] is None
    keep(answer_of(small.name, [32], gpu=None), tmp_path / ".top1" / "bench")
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["forecast"]["stage_rates"] == [1000]
    (held,) = found["finished"]
    assert held["folder"] == str(finished.relative_to(tmp_path))
    assert held["off"] == pytest.approx(found["forecast"]["gpu_hours"] / 0.01 - 1)
    assert main(line[:-1]) == 0
    page = capsys.readouterr().out
    assert "forecast on 1 GPU" in page
    assert f"0.01 GPU-hours, {held['forecast_gpu_hours']:.3g} forecast" in page


def test_answers_are_kept_one_file_each_and_read_oldest_first(tmp_path):
    early, late = (answer_of("alexnet", [224], time=f"2026-01-0{day}T00:00:00") for day in (1, 2))
    paths = [keep(late, tmp_path), keep(early, tmp_path), keep(late, tmp_path)]
    assert len(set(paths)) == 3
    assert [answer["time"] for answer in kept([tmp_path])] == [one["time"] for one in (early, late, late)]
    assert kept([tmp_path])[0].items() >= early.items()
    with pytest.raises(Top1Error, match="nothing does not exist"):
        kept([tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", r"plan\.json is no answer of `top1 bench`"),
        ('{"kind": "stages"}', r"plan\.json is no answer of `top1 bench`"),
        ('{"kind": "stages", "seal_sha256": "0"}', "was changed after it was written"),
        ("[", "is damaged"),
    ],
)
def test_a_file_that_is_no_answer_is_named(tmp_path, content, said):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(Top1Error, match=said):
        kept([tmp_path])
