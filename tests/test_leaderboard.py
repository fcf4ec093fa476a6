"""Every target against what was reached: who may be compared, how it is judged, and how it is shown."""

import io
import json
import re

import pytest
from made_runs import (
    SINGLE,
    TEN,
    make_measurement,
    make_recipe,
    make_result,
    make_run,
    make_target,
    write_status,
)

from pipeline.errors import Top1Error
from pipeline.journal import write_sealed
from pipeline.leaderboard import make_board
from pipeline.tables import markdown, print_table
from pipeline.verdict import tolerance, verdict
from recipes.schema import SGD, Cosine

# Section 9 of the design.
KEYS = [
    *("recipe", "family", "year", "metric", "protocol", "target", "source", "reached", "gap"),
    *("verdict", "comparable", "reason", "images", "epochs", "gpu_hours", "seeds", "commit", "run"),
    *("spread", "best"),  # added since
]
RECIPE = make_recipe()
BOOK = {RECIPE.name: RECIPE}


def only_row(runs, book=BOOK):
    (row,) = make_board(runs, book).rows
    return row


def judged(tmp_path, **plan):
    """Return the row of one finished run that reached 76.38 where the paper has 76.4."""
    make_run(tmp_path, result=make_result(), **plan)
    return only_row(tmp_path)


def not_comparable(row, reason):
    assert (row["comparable"], row["verdict"]) == (False, None)
    assert reason in row["reason"]


# ---------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("std", "reached", "expected"),
    [
        (None, 76.4, "reproduced"),
        (None, 76.1, "reproduced"),  # 0.3 off exactly: still within
        (None, 76.7, "reproduced"),
        (None, 76.098, "short"),  # one image of 50,000 less
        (None, 76.702, "above"),
        (0.12, 76.16, "reproduced"),  # two deviations: 0.24
        (0.12, 76.158, "short"),
        (0.12, 76.642, "above"),
        (0.0, 76.4, "reproduced"),
        (0.0, 76.398, "short"),
    ],
)
def test_the_verdict_allows_two_published_deviations_or_else_three_tenths(std, reached, expected):
    assert verdict(make_target(top1=76.4, std=std), reached) == expected


def test_the_tolerance_is_two_published_deviations_where_there_are_any():
    assert tolerance(make_target(std=0.12)) == 2 * 0.12
    assert tolerance(make_target()) == 0.3


def test_an_unmodified_run_on_the_official_test_set_is_judged(tmp_path):
    row = judged(tmp_path)
    assert list(row) == KEYS
    assert (row["target"], row["reached"], row["gap"]) == (76.4, 76.38, -0.02)
    assert (row["verdict"], row["comparable"], row["reason"]) == ("reproduced", True, None)
    assert (row["images"], row["epochs"], row["gpu_hours"], row["seeds"]) == (50_000, 90, 10, 1)
    assert row["source"] == "paper2020 Table 1"
    assert row["commit"] == "c0ffee00" * 5
    assert row["run"] == str(tmp_path / "net50" / "20260101-000000-seed0")


def test_the_best_epoch_is_never_judged(tmp_path):
    low = make_result(make_measurement(70.0), best={"epoch": 85, "top1": 76.4, "top5": 93.0})
    make_run(tmp_path, result=low)
    assert only_row(tmp_path)["verdict"] == "short"


def test_a_top5_target_is_held_against_top5(tmp_path):
    recipe = make_recipe(targets=(make_target(top1=None, top5=93.33),))
    make_run(tmp_path, recipe, result=make_result(make_measurement(60.0, top5=93.4)))
    row = only_row(tmp_path, {recipe.name: recipe})
    assert (row["metric"], row["reached"], row["gap"]) == ("top5", 93.4, 0.07)
    assert row["verdict"] == "reproduced"


def test_several_seeds_are_judged_by_their_mean(tmp_path):
    reached = [76.0, 76.3, 76.2]
    for seed, top1 in enumerate(reached):
        result = make_result(make_measurement(top1), gpu_hours=10.0 + seed)
        make_run(tmp_path, seed=seed, result=result, commit=f"{seed // 2}" * 40)
    row = only_row(tmp_path)
    assert row["seeds"] == 3
    assert row["reached"] == pytest.approx(sum(reached) / 3, abs=1e-4)
    assert row["gap"] == pytest.approx(sum(reached) / 3 - 76.4, abs=1e-4)
    assert row["verdict"] == "reproduced", "the mean is within 0.3, one seed is not"
    assert row["gpu_hours"] == 11
    assert row["commit"] == f"{'0' * 40}, {'1' * 40}", "different commits are shown"
    assert len(row["run"].split(", ")) == 3


def test_the_spread_over_seeds_is_their_sample_standard_deviation(tmp_path):
    for seed, top1 in enumerate([76.0, 76.3, 76.2]):
        make_run(tmp_path, seed=seed, result=make_result(make_measurement(top1)))
    # Squared distances from 76.1667: 0.02778 + 0.01778 + 0.00111 = 0.04667; its half's root.
    assert only_row(tmp_path)["spread"] == pytest.approx(0.15275, abs=1e-4)


def test_one_run_has_no_spread(tmp_path):
    assert judged(tmp_path)["spread"] is None


def test_the_best_epoch_is_shown_as_selected_on_the_test_set(tmp_path):
    make_run(tmp_path, result=make_result(best={"epoch": 85, "top1": 76.9, "top5": 93.1}))
    board = make_board(tmp_path, BOOK)
    assert board.rows[0]["best"] == 76.9
    assert "best epoch*" in printed(board)
    assert "* the best epoch was selected on the test set: shown, never judged" in printed(board)


def test_runs_at_two_commits_share_a_row_that_names_both(tmp_path):
    for seed in range(2):
        make_run(tmp_path, seed=seed, commit=f"{seed}" * 40, result=make_result())
    board = make_board(tmp_path, BOOK)
    assert board.rows[0]["commit"] == f"{'0' * 40}, {'1' * 40}"
    assert "00000000, 11111111" in printed(board)


def test_recipes_without_a_run_have_a_section_of_their_own(tmp_path):
    other = make_recipe(name="net101", year=2021)
    make_run(tmp_path, result=make_result())
    text = printed(make_board(tmp_path, BOOK | {other.name: other}, with_missing=True))
    assert "net101" in text.split("Not run yet")[1]


def test_a_seed_that_was_run_twice_is_one_seed(tmp_path):
    for stamp in ("a", "b"):
        make_run(tmp_path, stamp=stamp, result=make_result())
    assert only_row(tmp_path)["seeds"] == 1


def test_a_copy_of_a_run_does_not_count_twice(tmp_path):
    make_run(tmp_path, stamp="a", id="same", result=make_result(make_measurement(76.0)))
    make_run(tmp_path, stamp="b", id="same", result=make_result(make_measurement(76.0)))
    make_run(tmp_path, stamp="c", seed=1, result=make_result(make_measurement(76.6)))
    board = make_board(tmp_path, BOOK)
    assert board.rows[0]["reached"] == pytest.approx((76.0 + 76.6) / 2)
    assert "is a copy of" in board.problems[0]["what"]


# ---------------------------------------------------------------- who may not be compared


def test_other_data_is_not_comparable_but_shown(tmp_path):
    make_run(
        tmp_path,
        data={"name": "demo-digits", "official": None},
        result=make_result(make_measurement(98.0, images=360)),
    )
    row = only_row(tmp_path)
    not_comparable(row, "data set 'demo-digits' instead of imagenet")
    assert (row["reached"], row["images"], row["gap"]) == (98.0, 360, None)


def test_data_that_is_not_proven_official_is_unverified(tmp_path):
    row = judged(tmp_path, data={"official": None})
    not_comparable(row, "unverified data")
    assert row["gap"] == -0.02, "measured alike, so the distance is still worth showing"


@pytest.mark.parametrize("data", ["f00d", "another set"])
def test_data_proven_official_after_the_training_are_official_once_evaluated(tmp_path, data):
    run = make_run(tmp_path, result=make_result(), data={"official": None})
    measured = make_measurement(76.38) | {"weights_sha256": "0" * 64, "data": data}
    (run / "evaluation").mkdir()
    write_sealed(run / "evaluation" / "x.json", {"result": measured, "official": "md5 of the archive"})
    row = only_row(tmp_path)
    assert row["comparable"] == (data == "f00d")


@pytest.mark.parametrize("name", ["result.json", "evaluation/x.json"])
def test_a_figure_that_was_changed_afterwards_is_not_believed(tmp_path, name):
    run = make_run(tmp_path)
    (run / "evaluation").mkdir()
    made_of = {"weights_sha256": "0" * 64, "data": "f00d"}
    write_sealed(run / "result.json", make_result(images_per_second=float("nan")))
    write_sealed(run / "evaluation" / "x.json", {"result": make_measurement(76.38) | made_of})
    assert only_row(tmp_path)["reached"] == 76.38
    (run / name).write_text((run / name).read_text().replace("76.38", "76.48"))
    board = make_board(tmp_path, BOOK)
    assert not board.rows
    assert f"{name} was changed after it was written" in board.problems[0]["what"]


def test_images_that_were_changed_are_not_comparable(tmp_path):
    row = judged(tmp_path, data={"changes": ["short side capped at 400 pixels"]})
    not_comparable(row, "short side capped at 400 pixels")


def test_a_modified_recipe_is_not_comparable(tmp_path):
    recipe = make_recipe(
        name="net50+tiny", modified=("data.batch_size: 256 -> 32", "optimizer.lr: 0.1 -> 0.01")
    )
    make_run(tmp_path, recipe, result=make_result())
    row = only_row(tmp_path)
    not_comparable(row, "the recipe's small form (2 changes)")
    assert (row["reached"], row["gap"]) == (76.38, None)


def test_a_recipe_that_has_changed_since_the_run_is_not_comparable(tmp_path):
    old = make_recipe(optimizer=SGD(lr=0.2), schedule=Cosine(epochs=90))
    make_run(tmp_path, old, result=make_result())
    not_comparable(only_row(tmp_path), "the recipe has changed since (optimizer, schedule)")


def test_a_target_mended_in_the_book_is_mended_for_old_runs(tmp_path):
    make_run(tmp_path, make_recipe(targets=(make_target(top1=67.4),)), result=make_result())
    row = only_row(tmp_path)
    assert (row["target"], row["verdict"]) == (76.4, "reproduced")


def test_a_subset_of_the_test_set_is_not_comparable(tmp_path):
    make_run(tmp_path, result=make_result(make_measurement(76.4, images=49_999)))
    not_comparable(only_row(tmp_path), "49,999 images, the target is over 50,000")


def test_another_protocol_is_shown_as_what_it_is_and_not_judged(tmp_path):
    recipe = make_recipe(targets=(make_target(evaluation=TEN),))
    make_run(tmp_path, recipe, result=make_result(make_measurement(76.4, target=None)))
    row = only_row(tmp_path, {recipe.name: recipe})
    not_comparable(row, f"measured as {SINGLE.protocol}, the target is {TEN.protocol}")
    assert (row["protocol"], row["reached"], row["gap"]) == (SINGLE.protocol, 76.4, None)


def test_one_network_is_not_compared_with_an_ensemble(tmp_path):
    recipe = make_recipe(targets=(make_target(ensemble=7),))
    make_run(tmp_path, recipe, result=make_result())
    not_comparable(only_row(tmp_path, {recipe.name: recipe}), "the target averages 7 networks")


def test_a_run_that_may_not_be_compared_does_not_touch_the_mean_of_those_that_may(tmp_path):
    make_run(tmp_path, seed=0, result=make_result(make_measurement(76.4)))
    make_run(tmp_path, seed=1, data={"official": None}, result=make_result(make_measurement(10.0)))
    first, second = make_board(tmp_path, BOOK).rows
    assert (first["reached"], first["verdict"], first["seeds"]) == (76.4, "reproduced", 1)
    not_comparable(second, "unverified data")


def test_an_uncommitted_change_is_shown_with_the_commit(tmp_path):
    assert judged(tmp_path, dirty=True)["commit"].endswith("-dirty")


# ---------------------------------------------------------------- one row per target


def test_every_target_has_its_own_row_with_its_own_measurement(tmp_path):
    ten = make_target(evaluation=TEN, top1=77.6)
    recipe = make_recipe(targets=(make_target(), ten))
    measured = [make_measurement(76.5), make_measurement(77.0, target=1, protocol=TEN.protocol)]
    make_run(tmp_path, recipe, result=make_result(*measured))
    found = make_board(tmp_path, {recipe.name: recipe}).rows
    assert [row["protocol"] for row in found] == [SINGLE.protocol, TEN.protocol]
    assert [row["verdict"] for row in found] == ["reproduced", "short"]


def test_a_recipe_that_claims_nothing_still_has_a_row(tmp_path):
    recipe = make_recipe(name="own", targets=())
    make_run(tmp_path, recipe, result=make_result(make_measurement(50.0, target=None)))
    row = only_row(tmp_path)
    assert list(row) == KEYS
    assert (row["target"], row["reached"]) == (None, 50.0)
    not_comparable(row, "states no target")


def test_a_running_run_is_told_with_its_step_and_not_judged(tmp_path):
    folder = make_run(tmp_path, state="running")
    write_status(folder, "running", step=120, total_steps=4000)
    row = only_row(tmp_path)
    not_comparable(row, "not finished: running at step 120 of 4000")
    assert (row["reached"], row["seeds"]) == (None, 0)


def test_a_finished_run_whose_result_was_lost_says_so(tmp_path):
    folder = make_run(tmp_path, state="running")
    write_status(folder, "finished", step=4000, total_steps=4000)
    not_comparable(only_row(tmp_path), "result.json is missing; the same `top1 train` writes it again")


def test_runs_that_did_not_finish_are_counted_beside_those_that_did(tmp_path):
    make_run(tmp_path, seed=0, result=make_result())
    make_run(tmp_path, seed=1, state="failed")
    make_run(tmp_path, seed=2, state="running")
    finished, unfinished = make_board(tmp_path, BOOK).rows
    assert (finished["verdict"], finished["seeds"]) == ("reproduced", 1)
    assert unfinished["reason"] == "2 runs not finished (1 failed, 1 running)"


def test_recipes_without_runs_are_shown_on_request(tmp_path):
    other = make_recipe(name="net101", year=2021)
    make_run(tmp_path, result=make_result())
    book = BOOK | {other.name: other}
    assert [row["recipe"] for row in make_board(tmp_path, book).rows] == ["net50"]
    missing = make_board(tmp_path, book, with_missing=True).rows[1]
    assert list(missing) == KEYS
    assert (missing["recipe"], missing["target"], missing["reached"]) == ("net101", 76.4, None)
    not_comparable(missing, "not run yet")


def test_rows_come_comparable_first_and_then_by_year(tmp_path):
    old, new = make_recipe(name="old", year=1998), make_recipe(name="new", year=2021)
    for recipe in (new, old):
        make_run(tmp_path, recipe, seed=0, result=make_result())
        make_run(tmp_path, recipe, seed=1, data={"official": None}, result=make_result())
    found = [(row["comparable"], row["recipe"]) for row in make_board(tmp_path, {}).rows]
    assert found == [(True, "old"), (True, "new"), (False, "old"), (False, "new")]


# ---------------------------------------------------------------- folders that are not whole


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plan.json", None),
        ("plan.json", "{"),
        ("plan.json", "{}"),
        ("plan.json", '{"id": "x", "seed": 0, "recipe": {"kind": "Recipe"}, "data": {}}'),
        ("plan.json", '{"id": "x", "seed": 0, "recipe": {"kind": "Nonsense"}, "data": {}}'),
        ("result.json", "[]"),
        ("result.json", '{"epochs": 1}'),
        ("result.json", '{"epochs": 1, "gpu_hours": 1, "results": [{"top1": "high"}]}'),
        ("result.json", '{"epochs": 1, "gpu_hours": 1, "results": 3}'),
        ("status.json", '{"state": "running", "step": "soon"}'),
    ],
)
def test_a_broken_run_folder_is_named_and_the_others_are_shown(tmp_path, name, content):
    broken = make_run(tmp_path, stamp="a", seed=1, result=make_result(make_measurement(1.0)))
    make_run(tmp_path, stamp="b", result=make_result())
    if content is None:
        (broken / name).unlink()
    else:
        (broken / name).write_text(content)
    board = make_board(tmp_path, BOOK)
    assert [row["reached"] for row in board.rows] == [76.38]
    (problem,) = board.problems
    assert problem["path"] == str(broken)
    assert str(broken / name) in problem["what"]


def test_folders_that_are_no_runs_are_left_alone(tmp_path):
    make_run(tmp_path, result=make_result())
    (tmp_path / "mlartifacts" / "1").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("mine")
    assert make_board(tmp_path, BOOK).problems == []


def test_a_runs_folder_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(Top1Error, match="there is no folder"):
        make_board(tmp_path / "nowhere", BOOK)


# ---------------------------------------------------------------- as text


def mixed_board(tmp_path):
    """Return a board with a comparable row, one on demo data and a broken folder."""
    make_run(tmp_path, result=make_result())
    large = make_recipe(name="net|101", targets=(make_target(top1=9.25, std=0.1),))
    make_run(tmp_path, large, result=make_result(make_measurement(12.345)))
    make_run(tmp_path, make_recipe(name="demo"), data={"name": "demo"}, result=make_result())
    (make_run(tmp_path, make_recipe(name="bad")) / "plan.json").write_text("{")
    return make_board(tmp_path, BOOK)


def printed(board):
    file = io.StringIO()
    print_table(board.rows, file, board.problems)
    return file.getvalue()


def test_numbers_stand_point_below_point_in_plain_text(tmp_path):
    lines = printed(mixed_board(tmp_path)).splitlines()
    section = lines[: lines.index("")]
    first, second = (next(line for line in section if name in line) for name in ("net50", "net|101"))
    paper, reached = (first.index("76.4") + 2, first.index("76.4", first.index("76.4") + 1) + 2)
    assert first[paper] == second[paper] == "."
    assert first[reached] == second[reached] == "."
    assert "9.25" in second
    assert "12.35" in second or "12.34" in second, "two decimals, as the paper has"
    assert "+3.10" in second or "+3.09" in second


def test_rows_that_may_not_be_compared_have_a_section_with_their_reason(tmp_path):
    text = printed(mixed_board(tmp_path))
    comparable, others = text.split("Not comparable with the paper")
    assert "net50" in comparable
    assert "data set 'demo' instead of imagenet" in others
    assert "1 run folder skipped:" in others
    assert "bad" in others.split("skipped:")[1]


def test_an_empty_board_says_what_to_type():
    file = io.StringIO()
    print_table([], file)
    assert "top1 train" in file.getvalue()


def test_the_markdown_page_has_tables_whose_lines_have_equally_many_cells(tmp_path):
    board = mixed_board(tmp_path)
    page = markdown(board.rows, board.problems)
    for table in page.split("**Not comparable"):
        bars = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("| ")}
        assert len(bars) == 1
    assert "net\\|101" in page
    assert "1 run folder skipped:" in page


def test_a_terminal_shows_every_figure_it_has_room_for(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    board = mixed_board(tmp_path)
    shown = {}
    for width in ("72", "400"):
        monkeypatch.setenv("COLUMNS", width)
        file = Terminal()
        print_table(board.rows, file, board.problems)
        shown[width] = re.sub("\x1b\\[[0-9;]*m", "", file.getvalue())  # without colors
        assert max(map(len, shown[width].split("1 run folder")[0].splitlines())) <= int(width)
        for part in ("net50", "net|101", "76.4", "+0.0", "+3.1", "reproduced", "Not comparable", "skipped"):
            assert part in shown[width]
    assert "no room for run, family, commit" in shown["72"]
    assert "no room" not in shown["400"]
    assert "c0ffee00" in shown["400"]


def test_the_board_as_json_is_its_rows_and_problems(tmp_path):
    board = mixed_board(tmp_path)
    document = json.loads(json.dumps(board.to_json(), allow_nan=False))
    assert list(document) == ["rows", "problems"]
    assert all(list(row) == KEYS for row in document["rows"])
