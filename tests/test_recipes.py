"""The book of recipes: every number cited, every recipe sound."""

import io
import json
import re
import tokenize
from pathlib import Path

import pytest

import recipes
from recipes import checks, serialize, sources
from recipes.schema import Source

BOOK = recipes.all_recipes()
FOLDER = Path(recipes.__file__).parent
NOT_FAMILIES = ("__init__", "schema", "sources", "serialize", "checks", "kinds", "citations", "headlines")
FAMILIES = sorted(path for path in FOLDER.glob("*.py") if path.stem not in NOT_FAMILIES)
KEYS = {source.key for source in vars(sources).values() if isinstance(source, Source)}


def uncited_numbers(text: str) -> list[str]:
    """Return the lines that have a numeric constant but no comment beginning with a citation."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    numbers = {t.start[0]: t.line for t in tokens if t.type == tokenize.NUMBER}
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    cited = re.compile(rf"# (not in )?({'|'.join(map(re.escape, sorted(KEYS)))})\b")
    return [line.strip() for row, line in numbers.items() if not cited.match(comments.get(row, ""))]


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_every_number_of_a_recipe_has_its_citation_on_its_line(path):
    assert uncited_numbers(path.read_text()) == []


def test_a_number_without_a_citation_is_found():
    assert uncited_numbers("lr = 0.1  # learning rate\nmomentum = 0.9  # tan2021 §5.1\n") == [
        "lr = 0.1  # learning rate"
    ]


@pytest.mark.parametrize("recipe", BOOK.values(), ids=BOOK)
def test_a_recipe_is_sound(recipe):
    assert checks.problems(recipe) == []


@pytest.mark.parametrize("recipe", BOOK.values(), ids=BOOK)
def test_a_recipe_survives_json(recipe):
    data = json.loads(json.dumps(serialize.to_dict(recipe)))
    assert serialize.from_dict(data) == recipe


@pytest.mark.parametrize("recipe", BOOK.values(), ids=BOOK)
def test_the_sources_of_a_recipe_are_those_its_module_cites(recipe):
    text = next(path.read_text() for path in FAMILIES if f'"{recipe.name}"' in path.read_text())
    for source in recipe.sources:
        assert source.key in text or f"{source.key.upper()}" in text.upper()


def test_every_family_module_is_in_the_book():
    assert [path.stem for path in FAMILIES] == sorted(recipes._FAMILIES)


def test_a_kind_or_field_that_the_schema_lacks_is_refused():
    with pytest.raises(ValueError, match="'Bogus' is not a kind"):
        serialize.from_dict({"kind": "Bogus"})
    with pytest.raises(ValueError, match="SGD has no field 'speed'"):
        serialize.from_dict({"kind": "SGD", "lr": 0.1, "speed": 3})


def test_nonsense_across_fields_is_named():
    recipe = recipes.get("alexnet")
    wrong = serialize.with_value(recipe, "data.normalize.std", (1.0,))
    assert checks.problems(wrong) == ["alexnet: data.normalize needs 3 means and deviations for rgb images"]
    fraction = serialize.with_value(recipe, "targets.Target.top1", 0.593)
    assert "0.593 is not a percentage" in checks.problems(fraction)[0]


def test_a_recipe_of_ones_own_loads_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\nimport recipes\n"
        "MINE = replace(recipes.get('alexnet'), name='alexnet@mine')\n"
    )
    assert recipes.get(f"{file}:MINE").name == "alexnet@mine"
    with pytest.raises(recipes.UnknownRecipeError) as caught:
        recipes.get(f"{file}:MIEN")
    assert caught.value.names == ["MINE"]
