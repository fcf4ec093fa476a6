"""The README says what is true: its commands run, and what it shows exists."""

import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import recipes
from pipeline.bench.kept import kept
from pipeline.bench.page import page
from pipeline.cli import _parser

ROOT = Path(__file__).resolve().parent.parent
README, DOCS = (ROOT / "README.md").read_text(), ROOT / "docs"
SCRIPT = (DOCS / "bench" / "measure.sh").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(text):
    """Return the `top1 ...` commands of a shell block, comments and continuation lines aside."""
    lines = text.replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if re.search(r"\btop1 ", line)]
    return [words[words.index("top1") + 1 :] for words in found if "top1" in words]


EVERY = [command for block in blocks("sh") for command in commands(block)]
RUN = commands(README.split("<!-- test: commands -->")[1].split("```")[1])


def test_the_readme_has_commands():
    assert len(RUN) == 10
    assert len(EVERY) > len(RUN)


def test_the_page_of_measurements_is_what_the_benches_kept():
    assert (DOCS / "measured.md").read_text() == page(kept([DOCS / "bench"]))


@pytest.mark.parametrize("line", re.findall(r"^ .*\bbench (\w.*)$", SCRIPT, re.M))
def test_every_bench_of_the_script_is_understood(line):
    words = shlex.split(line.replace("$compile", "no").replace("$recipe", "alexnet"))
    assert _parser().parse_args(["bench", *words]).command


def test_the_readme_counts_the_book():
    book = recipes.all_recipes().values()
    numbers = sum(len(recipe.targets) for recipe in book)
    assert f"{len(book)} recipes with {numbers} published numbers" in README.replace("\n", " ")


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_every_command_of_the_readme_is_understood(command):
    assert _parser().parse_args(command).command


def with_one_cpu():
    """Leave a command one CPU: two threads that wait for each other crawl where others hold the cores."""
    os.sched_setaffinity(0, {random.choice([*os.sched_getaffinity(0)])})


def test_the_commands_to_try_by_hand_work_in_their_order(tmp_path):
    for command in RUN:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            preexec_fn=with_one_cpu,
        )
        assert done.returncode == 0, f"top1 {shlex.join(command)}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert "demo-digits" in done.stdout
    result = json.loads((tmp_path / "runs" / "lenet5" / "first" / "result.json").read_text())
    assert result["results"][0]["top1"] >= 97
    assert (tmp_path / "runs" / "mlflow.db").exists()


def test_make_targets_of_the_readme_exist():
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_recipe_excerpt_is_the_recipe():
    text = (Path(__file__).resolve().parent.parent / "recipes" / "alexnet.py").read_text()
    (excerpt,) = (block for block in blocks("python") if "Recipe(" in block)
    for line in excerpt.splitlines():
        assert line.strip() in text or line.strip() == "..."


def test_files_that_the_readme_names_exist():
    root = Path(__file__).resolve().parent.parent
    for name in re.findall(r"`((?:recipes|pipeline|slurm|data_prep|tests)/[\w/.]*)`", README):
        assert (root / name).exists(), name
