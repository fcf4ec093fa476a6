"""What a tracked run is given at its end: its curve, its files, and its weights as a registered model."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_runs import make_measurement, make_recipe, make_result, make_run, write_status
from mlflow_server import client_of, tracked_runs

import recipes
from pipeline.checkpoint import checksum, write_tensors
from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error
from pipeline.journal import Journal, write_json
from pipeline.models import build
from pipeline.plan import make_plan
from pipeline.planning import data_facts
from pipeline.predict import Predictor, load_network
from pipeline.run_card import params, target_line
from pipeline.runs import write_plan

BOOK = {recipe.name: recipe for recipe in (make_recipe(),)}


def sync(folder, uri, book=BOOK):
    from pipeline.sync import sync

    return sync(folder, uri, book=book)


def points(uri, key):
    (run,) = tracked_runs(uri)
    return sorted((p.step, p.value) for p in client_of(uri).get_metric_history(run.info.run_id, key))


def add_weights(folder, *, digest="a" * 64):
    """Give a made run weights: what they are does not matter to a registry."""
    write_tensors(folder / "weights.safetensors", {"weight": torch.zeros(2)}, {})
    result = folder / "result.json"
    result.write_text(result.read_text().replace("0" * 64, digest))


def validate_some(folder):
    with Journal(folder) as journal:
        for epoch, top1 in enumerate([40, 70, 76.38], start=1):
            journal.append(100 * epoch, epoch, **{"val/top1": top1, "val/raw_top1": top1 - 5})


# ---------------------------------------------------------------- curve, tags, files


def test_the_papers_figure_is_a_series_of_its_own_beside_the_validation(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    validate_some(folder)
    for _ in range(2):
        sync(folder, database)
        (folder / "sync.json").unlink()
    assert points(database, "val/top1_target") == [(100, 76.4), (200, 76.4), (300, 76.4)]
    assert points(database, "val/raw_top1") == [(100, 35.0), (200, 65.0), (300, pytest.approx(71.38))]
    assert len(tracked_runs(database)) == 1


def test_the_lines_are_the_first_figures_of_each_metric():
    from made_runs import TEN, make_target

    targets = (
        make_target(top1=76.4),
        make_target(top1=77.6, evaluation=TEN),
        make_target(top1=None, top5=93.0),
    )
    assert target_line(targets) == {"val/top1": 76.4, "val/top5": 93.0}


def test_the_learning_curve_and_the_runs_files_are_kept(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    validate_some(folder)
    (folder / "recipe.py").write_text("NET = 50\n")
    (folder / "environment.txt").write_text("torch==2.0\n")
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "worst.csv").write_text("class,top1\n")
    sync(folder, database)
    (run,) = tracked_runs(database)
    client = client_of(database)
    kept = {a.path for a in client.list_artifacts(run.info.run_id)}
    assert {"plan.json", "result.json", "recipe.py", "environment.txt", "learning_curve.png"} <= kept
    assert [a.path for a in client.list_artifacts(run.info.run_id, "evaluation")] == ["evaluation/worst.csv"]
    curve = Path(client.download_artifacts(run.info.run_id, "learning_curve.png", str(tmp_path)))
    assert curve.read_bytes().startswith(b"\x89PNG")


def test_the_curve_has_the_validations_and_the_papers_figure_as_a_dashed_line(tmp_path):
    from matplotlib.figure import Figure

    from pipeline.curve import draw_curve
    from pipeline.journal import read
    from pipeline.result import read_run

    folder = make_run(tmp_path, result=make_result())
    validate_some(folder)
    drawn = []
    save = Figure.savefig
    try:
        Figure.savefig = lambda figure, path: drawn.append(figure)
        draw_curve(tmp_path / "curve.png", read_run(folder), read(folder)[0], make_recipe().targets[0])
    finally:
        Figure.savefig = save
    (axes,) = drawn[0].axes
    validation, raw, target = axes.lines
    assert list(validation.get_xdata()) == [1, 2, 3]
    assert list(validation.get_ydata()) == [40, 70, 76.38]
    assert list(raw.get_ydata()) == [35, 65, 71.38]
    assert set(target.get_ydata()) == {76.4}
    assert target.get_linestyle() == "--"
    assert "paper2020: 76.4 (single_crop 224/256 bilinear)" in target.get_label()
    assert (axes.get_xlabel(), axes.get_ylabel()[:8]) == ("epoch", "top-1, %")


def test_hosts_hardware_jobs_attempts_and_the_gap_are_tags(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    (folder / "attempts.jsonl").write_text(
        '{"attempt": 1, "host": "n1", "slurm_job": "7", "hardware": "8x NVIDIA H100, 96x CPU"}\n{torn\n'
        '{"attempt": 2, "host": "n2", "slurm_job": "7", "hardware": "8x NVIDIA H100, 96x CPU"}\n'
    )
    sync(folder, database)
    tags = tracked_runs(database)[0].data.tags
    expected = {"attempts": "2", "hosts": "n1, n2", "slurm.jobs": "7", "hardware": "8x NVIDIA H100, 96x CPU"}
    expected |= {"gap": "-0.02", "verdict": "reproduced", "weights.sha256": "0" * 64}
    assert {key: tags[key] for key in expected} == expected


def test_the_world_size_is_a_parameter():
    assert params({"gpus": 8, "seed": 1})["world_size"] == "8"


# ---------------------------------------------------------------- the registry


def champion(uri, name="net50"):
    return client_of(uri).get_model_version_by_alias(name, "champion")


def versions(uri, name="net50"):
    return client_of(uri).search_model_versions(f"name = '{name}'")


def test_weights_become_one_version_however_often_they_are_sent(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    add_weights(folder)
    run_id = sync(folder, database).run_id
    (folder / "sync.json").unlink()
    sync(folder, database)
    (version,) = versions(database)
    assert (version.run_id, version.tags["weights.sha256"]) == (run_id, "a" * 64)
    assert champion(database).version == version.version


def test_a_result_that_is_measured_anew_changes_the_card_and_makes_no_second_version(tmp_path, database):
    folder = make_run(tmp_path, result=make_result(make_measurement(76.0, images=100)))
    add_weights(folder)
    sync(folder, database)
    assert champion(database).tags["comparable"] == "false"
    write_json(folder / "result.json", make_result(weights_sha256="a" * 64))
    sync(folder, database)
    (version,) = versions(database)
    assert (version.tags["comparable"], version.tags["reached"]) == ("true", "76.3800")
    assert "**reproduced**" in version.description


def test_the_card_says_what_it_is_how_it_was_measured_and_what_it_wants(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    add_weights(folder)
    sync(folder, database)
    card = champion(database).description
    for part in (
        "reached **76.38** on 50,000 images (single_crop 224/256 bilinear), -0.02: **reproduced**",
        "`top1:net50`, 1 parameters",
        "`single_crop 224/256 bilinear` on rgb images, then (pixel - mean) / deviation on 0..255",
        f"sha256 `{'a' * 64}`",
        "top1 train net50 --data /data --seed 0",
    ):
        assert part in card


@pytest.mark.parametrize(
    ("reached", "expected"),
    [([76.2, 76.5], 1), ([76.5, 76.2], 0), ([None, 76.2], 1), ([76.2, None], 0), ([None, None], 0)],
)
def test_the_champion_is_what_reached_most_among_the_comparable(tmp_path, database, reached, expected):
    runs = []
    for seed, top1 in enumerate(reached):
        data = {} if top1 else {"name": "demo", "official": None}
        result = make_result(make_measurement(top1 or 99.0))
        folder = make_run(tmp_path, seed=seed, data=data, result=result)
        add_weights(folder, digest=f"{seed}" * 64)
        runs.append(sync(folder, database).run_id)
    assert champion(database).run_id == runs[expected]
    assert len(versions(database)) == 2


@pytest.mark.parametrize("name", ["net50@goyal2017", "net50+optimizer.lr=0.05"])
def test_a_recipes_name_is_a_models_name(tmp_path, database, name):
    folder = make_run(tmp_path, make_recipe(name=name), result=make_result())
    add_weights(folder)
    sync(folder, database, {})
    assert champion(database, name).name == name


def test_a_run_without_weights_registers_nothing(tmp_path, database):
    sync(make_run(tmp_path, result=make_result()), database)
    assert versions(database) == []


# ---------------------------------------------------------------- loading it


@pytest.fixture(scope="module")
def finished(demo_data, tmp_path_factory):
    """A finished run of lenet5 with its first weights: what training does is not asked here."""
    folder = tmp_path_factory.mktemp("runs") / "lenet5" / "one"
    recipe = recipes.get("lenet5")
    plan = make_plan(
        recipe, data_facts(demo_data), id="one", seed=0, threads=1, created="2026-01-01T00:00:00+00:00"
    )
    write_plan(folder, plan)
    torch.manual_seed(0)
    tensors = dict(build(recipe.model, recipe.regularization).state_dict())
    write_tensors(folder / "weights.safetensors", tensors, {"plan": "one"})
    protocol = recipe.targets[0].evaluation.protocol
    result = make_result(
        make_measurement(10.0, protocol=protocol, images=360), weights_sha256=checksum(tensors)
    )
    write_json(folder / "result.json", result)
    write_status(folder, "finished", step=plan.total_steps)
    return folder


def expected_probabilities(folder, demo_data):
    """Return what the loader and the network say, put together by hand."""
    recipe = recipes.get("lenet5")
    split = Manifest.load(demo_data).split("val")
    network = load_network(folder)
    with torch.inference_mode():
        (areas,) = EvalLoader(split, recipe.data.color, recipe.targets[0].evaluation, batch=360)
        pixels = torch.stack(areas.scales[0]).float()
        normalized = (pixels - 20) / 200  # LeCun et al. 1998 §II-B
        return network(normalized).softmax(1).numpy(), [split.path(i) for i in range(len(split))]


def test_three_lines_load_the_registered_model_and_classify_image_files(
    finished, demo_data, tmp_path, database
):
    sync(finished, database, {})
    expected, files = expected_probabilities(finished, demo_data)
    script = tmp_path / "use.py"
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text()
    lines = readme.split("<!-- test: model -->")[1].split("```")[1].splitlines()[1:]
    lines = [line for line in lines if line]
    assert len(lines) == 3
    text = (
        "\n".join(lines).replace("sqlite:///runs/mlflow.db", database).replace('"digit.jpg"', f'"{files[7]}"')
    )
    script.write_text(text + "\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.strip(" []\n")) == expected[7].argmax()


def test_paths_bytes_and_a_data_frame_give_what_the_evaluation_gives(finished, demo_data):
    import pandas

    expected, files = expected_probabilities(finished, demo_data)
    predictor = Predictor(finished)
    some = files[:3]
    given = [
        list(map(str, some)),
        [f.read_bytes() for f in some],
        pandas.DataFrame({"image": map(str, some)}),
    ]
    for images in given:
        np.testing.assert_allclose(predictor.predict(images), expected[:3], rtol=1e-5, atol=1e-7)
    assert predictor.predict(str(files[0])).shape == (1, 10)


def test_what_is_no_image_is_named(finished, tmp_path):
    file = tmp_path / "letter.jpg"
    file.write_text("Dear network,")
    with pytest.raises(Top1Error, match=r"letter\.jpg"):
        Predictor(finished).predict([str(file)])
    with pytest.raises(Top1Error, match=r"nothing\.jpg"):
        Predictor(finished).predict([str(tmp_path / "nothing.jpg")])


def test_a_registered_model_holds_no_pickled_code(finished, database):
    sync(finished, database, {})
    root = Path(champion(database, "lenet5").source.removeprefix("file://"))
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {"MLmodel", "README.md"} <= files
    assert {path.name for path in root.rglob("data/**/*") if path.is_file()} == {
        "plan.json",
        "weights.safetensors",
    }
    assert not {f for f in files if f.endswith((".pkl", ".pickle", ".pt", ".pth"))}
    kept = next(root.rglob("weights.safetensors"))
    digests = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (kept, finished / "weights.safetensors")
    }
    assert len(digests) == 1
