"""What `top1 list` and `top1 show` print: the book at a glance, the headlines, one page for each recipe."""

import json

import pytest

import recipes
from pipeline.book_list import WIDTH, list_text
from pipeline.cli import main
from recipes.citations import citations
from recipes.headlines import HEADLINES

BOOK = recipes.all_recipes()


def read_citations_of(name):
    return {p: s for p, s in citations(BOOK[name]).items() if not s.startswith("default of")}


def output(capsys, *arguments):
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def test_the_list_has_every_recipe_on_a_line_under_its_family(capsys):
    lines = output(capsys, "list").splitlines()
    assert max(map(len, lines)) <= WIDTH
    family, found = None, {}
    for line in lines[1:]:
        if line and not line.startswith(" "):
            family = line
            assert family not in found.values()
        elif line:
            found[line.split()[0]] = family
    assert found == {name: recipe.family for name, recipe in BOOK.items()}


def test_the_list_says_in_a_few_words_how_a_target_was_measured():
    def line(name):
        return list_text([BOOK[name]]).splitlines()[-1]

    assert line("alexnet").endswith("59.3    10 crops 224 of 256")
    assert line("lenet5").endswith("99.05   28 padded to 32")
    assert line("efficientnet_b0").endswith("77.1    crop 224 of 256")  # 0.875 of the short side
    assert line("efficientnetv2_l@21k_ft").endswith("86.8    squashed to 480, more data")
    assert line("efficientnetv2_l@21k").endswith("-       -")


def test_numbers_of_the_list_stand_under_each_other_at_the_point(capsys):
    lines = [line for line in output(capsys, "list").splitlines() if line.startswith("  ")]
    places = {line.index(f"{BOOK[line.split()[0]].model.gmacs:.3g} ") for line in lines if "12.3" in line}
    assert places
    points = {line.index(".", line.index("M ")) for line in lines if "0.718" in line or "12.3" in line}
    assert len(points) == 1


def test_a_family_is_listed_alone_and_an_unknown_one_is_told(capsys):
    names = json.loads(output(capsys, "list", "--family", "efficientnet", "--json"))["recipes"]
    assert [recipe["name"] for recipe in names] == [n for n, r in BOOK.items() if r.family == "EfficientNet"]
    assert main(["list", "--family", "alexnt"]) == 2
    assert capsys.readouterr().err.startswith("top1: there is no family 'alexnt'; did you mean alexnet")
    assert main(["list", "--headlines", "--family", "AlexNet"]) == 2


def test_the_headlines_are_the_eleven_numbers_that_are_quoted(capsys):
    found = json.loads(output(capsys, "list", "--headlines", "--json"))["headlines"]
    assert {headline["family"]: headline["top1"] for headline in found} == {
        "AlexNet": 63.3, "VGG": 74.5, "ResNet": 78.6, "Inception": 80.0, "DenseNet": 77.8, "ResNeXt": 80.9,
        "Res2Net": 81.2, "SENet": 81.3, "DPN": 80.1, "DLA": 78.0, "EfficientNet v1/v2": 86.8,
    }  # fmt: skip
    text = output(capsys, "list", "--headlines")
    assert max(map(len, text.splitlines())) <= WIDTH
    for headline in HEADLINES:
        assert " ".join(headline.remark.split()) in " ".join(text.split())


@pytest.mark.parametrize("headline", HEADLINES, ids=lambda headline: headline.family)
def test_a_headline_is_a_target_of_the_recipe_that_leads_to_it(headline):
    assert [name for name in headline.recipes if name not in BOOK] == []
    recipe = BOOK[headline.recipes[-1]]
    targets = [t for t in recipe.targets if t.top1 == pytest.approx(headline.published, abs=1e-9)]
    assert targets, f"{recipe.name} has no target of {headline.published}"
    assert abs(headline.published - headline.top1) < 0.0501  # rounded, or cut (DenseNet's 77.85)
    assert (targets[0].extra_data == "none") == (headline.extra_data == "none")
    # The recipes before the last are the chain that it begins with.
    for before, after in zip(headline.recipes, headline.recipes[1:], strict=False):
        assert BOOK[after].starts_from.recipe == before


@pytest.mark.parametrize("name", BOOK)
def test_the_page_of_a_recipe_has_its_numbers_with_citations_its_targets_and_departures(name, capsys):
    recipe = BOOK[name]
    gpus = "1" if recipe.data.batch_size < 8 else "8"
    text = output(capsys, "show", name, "--gpus", gpus)
    assert max(map(len, text.splitlines())) <= WIDTH
    flat = " ".join(text.split())
    for said in (*recipe.departures, *(target.where for target in recipe.targets)):
        assert " ".join(said.split()) in flat
    for section in ("sources", "targets", "network", "recipe", "stages", "rate", "cost", "machine"):
        assert f"\n{section}\n" in text
    assert f"{recipe.model.parameters:,}" in text
    for path, said in read_citations_of(name).items():
        if path.startswith(("optimizer", "schedule", "regularization")) and len(said) < 40:
            assert said in flat, path


def test_a_page_has_each_number_beside_its_citation(capsys):
    lines = [" ".join(line.split()) for line in output(capsys, "show", "alexnet").splitlines()]
    for line in (
        "parameters 60,965,224 measured; krizhevsky2012 abstract: 60 million",
        f"multiply-adds {BOOK['alexnet'].model.gmacs:g}e9 at 224 pixels measured; not in krizhevsky2012",
        "lr 0.01 krizhevsky2012 §5",
        "weight_decay 0.0005 krizhevsky2012 §5",
        "milestones (30, 60, 80) not in krizhevsky2012; tensorpack",
        "dropout 0.5 krizhevsky2012 §4.2",
        "nesterov no default of SGD",
    ):
        assert line in lines, line


def test_what_another_field_puts_out_of_use_is_not_on_the_page(capsys):
    ours = output(capsys, "show", "efficientnetv2_s@torchvision", "--gpus", "8")
    assert "fallback" not in ours  # torchvision's sampler has its own
    assert "data.augment.TrivialAugment\n" in ours
    assert "fallback" in output(capsys, "show", "efficientnetv2_s", "--gpus", "8")


def test_the_cost_follows_from_the_multiply_adds(capsys):
    plan = json.loads(output(capsys, "show", "efficientnet_b0", "--gpus", "8", "--json"))["plan"]
    # Ledger of published costs: 350 epochs of 1,281,167 images, 3 x 0.386e9 multiply-adds: 0.519e18.
    assert plan["training_gmacs"] == pytest.approx(0.519e9, rel=0.005)
    text = output(capsys, "show", "efficientnet_b0", "--gpus", "8")
    assert "5.18e+17 multiply-adds" in text
    assert "(EfficientNet-B0's 2,100e9)" in text
    hours = text.split("RTX 3090, at speeds of published trainings: ")[1].split(" to ")[1].split()[0]
    assert float(hours) == pytest.approx(70, rel=0.05)  # timm's measured speed: 70 GPU-hours


def test_a_recipe_of_ones_own_is_shown_with_the_citations_of_its_file(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from recipes.alexnet import ALEXNET\n"
        "from recipes.schema import SGD\n"
        "MINE = replace(\n"
        "    ALEXNET,\n"
        "    name='alexnet@mine',\n"
        "    optimizer=SGD(lr=0.5),  # our tuning\n"
        ")\n"
    )
    lines = [" ".join(line.split()) for line in output(capsys, "show", f"{file}:MINE").splitlines()]
    assert "lr 0.5 our tuning" in lines
    assert "dropout 0.5 krizhevsky2012 §4.2" in lines


def test_a_changed_field_is_marked_on_the_page(capsys):
    text = output(capsys, "show", "alexnet", "--set", "optimizer.lr=0.02")
    assert "changed: 0.01 -> 0.02" in text
    assert "60,965,224  " in text
    small = output(capsys, "show", "alexnet+tiny")
    assert "60,965,224 before it was changed" in small  # the count of another network
