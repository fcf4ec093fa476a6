"""Two hundred malformed recipe files, cluster files and command lines: each gets its sentence.

Mutations of sound ones, seeded. What is still sound is answered; what is not is refused in one sentence.
"""

import random
import re
import shlex
import string
from pathlib import Path

import pytest

import recipes
from pipeline.cli import main

RECIPES, CLUSTERS, LINES = 90, 60, 70
ODD_WORDS = (
    "",
    "-1",
    "0",
    "1e999",
    "nan",
    "ä",
    "../..",
    "/dev/null",
    "--",
    "x=y",
    "a b",
    "9" * 30,
    "%s",
    "lenet5:",
)

CLUSTER = """\
gpus_per_node = 8
cpus_per_node = 96
partition = "gpu"
memory = "400G"
time = "24:00:00"
signal_seconds = 120
exclusive = true
requeue = true
setup = ["module load cuda"]
interface = "ib0"
step_seconds = 600
sbatch = { mail-type = "FAIL" }
"""

SOUND_LINES = (
    "list --json",
    "show resnet50 --gpus 8 --set optimizer.lr=0.1",
    "show efficientnetv2_s --nodes 2 --gpus 8 --micro-batch 64",
    "status --runs {runs} --json",
    "leaderboard --runs {runs} --markdown",
    "compare {runs}/a {runs}/b",
    "eval {runs}/a --protocol center:224",
    "sync {runs}/a --tracking sqlite:///{runs}/mlflow.db",
    "logs {runs}/a --runs {runs}",
    "cancel 12 --runs {runs}",
    "requeue {runs}/a --nodes 2",
    "prep subset {digits} {runs}/subset --classes 2 --images 3 --seed 1",
    "prep minival {digits} {runs}/minival",
    "prep verify {digits}",
    "prep unpack {digits} {runs}/unpacked",
    "bench loader --rounds 2",
    "train lenet5 --data {runs} --run {runs}/a",
    "train alexnet --data {digits} --run {runs}/a --gpus 3",
    "submit lenet5 --local --nodes 2 --data {digits}",
)


def mutated(text, rng):
    """The text with one to three things wrong."""
    for _ in range(rng.randint(1, 3)):
        lines = text.splitlines(keepends=True)
        line, place = rng.randrange(len(lines)), rng.randrange(len(text))
        match rng.randrange(8):
            case 0:
                del lines[line]
                text = "".join(lines)
            case 1:
                text = "".join([*lines[:line], lines[line], *lines[line:]])
            case 2:
                text = text[:place] + text[place + 1 :]
            case 3:
                text = text[:place] + rng.choice(string.printable) + text[place:]
            case 4:
                text = text[:place]
            case 5:  # another value
                values = list(re.finditer(r"\d+(\.\d+)?|\"[^\"\n]*\"|True|False|true|false", text))
                found = rng.choice(values) if values else None
                new = rng.choice(["-1", "0", '"x"', "None", "1e400", "[]", "()", "{}", "1/0", '"" * 3'])
                text = text[: found.start()] + new + text[found.end() :] if found else text
            case 6:  # another name
                found = rng.choice(list(re.finditer(r"[A-Za-z_]{3,}", text)))
                text = text[: found.start()] + found[0][1:] + text[found.end() :]
            case 7:
                found = rng.choice(list(re.finditer(r"[A-Za-z_]{3,}", text)))
                text = text[: found.start()] + found[0] + ".x[0]" + text[found.end() :]
        if not text.strip():
            break
    return text or "?"


def check_answer(capsys, arguments, what):
    """Run a command: it answers, or refuses in one sentence and nothing else; return its code."""
    code = main(arguments)
    output = capsys.readouterr()
    assert code in (0, 1, 2), what
    if code == 2 or (code == 1 and not output.out):
        sentences = [line for line in output.err.splitlines() if line.startswith("top1: ")]
        # `sync` goes on with its other runs, and says one of each that it cannot bring.
        most = len(arguments) - 1 if arguments[:1] == ["sync"] else 1
        assert 1 <= len(sentences) <= most, (what, output.err)
        assert sentences[0].strip() != "top1:", what
    assert "Traceback" not in output.err, what
    return code


def test_malformed_recipe_files(tmp_path, capsys):
    rng = random.Random(1)
    names = ("lenet", "googlenet", "dpn")
    sound = {name: (Path(recipes.__file__).parent / f"{name}.py").read_text() for name in names}
    refused = 0
    for number in range(RECIPES):
        name = rng.choice(names)
        path = tmp_path / f"recipe{number}.py"
        path.write_text(mutated(sound[name], rng))
        which = rng.choice(re.findall(r"^([A-Z][A-Z_0-9]+) = ", sound[name], re.M))
        refused += check_answer(capsys, ["show", f"{path}:{which}"], path.read_text()) != 0
    assert refused > RECIPES / 4


def test_malformed_cluster_files(tmp_path, digits, capsys):
    rng = random.Random(2)
    refused = 0
    for number in range(CLUSTERS):
        path = tmp_path / f"cluster{number}.toml"
        path.write_text(mutated(CLUSTER, rng))
        line = ["submit", "alexnet", "--tiny", "--dry-run", "--data", str(digits), "--cluster", str(path)]
        refused += check_answer(capsys, [*line, "--runs", str(tmp_path / "runs")], path.read_text()) != 0
    assert refused > CLUSTERS / 4


def test_malformed_command_lines(tmp_path, digits, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(3)
    (tmp_path / "a").mkdir()
    for number in range(LINES):
        sound = SOUND_LINES[number % len(SOUND_LINES)]
        words = [word.format(runs=tmp_path, digits=digits) for word in sound.split()]
        place = rng.randrange(1, len(words))
        match rng.randrange(4):
            case 0:
                words[place] = rng.choice(ODD_WORDS)
            case 1:
                del words[place]
            case 2:
                words.insert(place, rng.choice(ODD_WORDS))
            case 3:
                words[place] += rng.choice(("x", "=", "-", "/"))
        check_answer(capsys, words, words)


@pytest.mark.parametrize(
    "line",
    [
        "", "nosuch", "--data", "train", "train nosuch --data d", "train lenet5", "train lenet5 --data /no",
        "train lenet5 --set", "show lenet5 --set lr", "show lenet5 --set optimizer.lr=", "show file.py:",
        "show lenet5 --set a.b=1", "show lenet5 --set optimizer=1", "show lenet5 --gpus 0", "show :NAME",
        "show lenet5 --gpus two", "show nosuch.py:X", "eval", "eval nosuch", "eval a b", "compare a", "bench",
        "bench nosuch", "bench loader --sizes 0", "prep", "prep imagenet", "status nosuch", "logs", "cancel",
        "prep subset a b --classes 0 --images 1", "requeue nosuch", "ui --port x", "leaderboard --runs /no",
        "submit", "weights x", "train lenet5 --data d --seed -1", "train lenet5 --data d --threads 9999999",
        "train lenet5 --data d --seed 99999999999999999999", "show lenet5 --set optimizer.lr=" + "-" * 5000,
        "eval a --protocol 'single_crop 99999999/9'", "status " + "x" * 300,
        "train lenet5 --data " + "x" * 300,
        "prep demo file", "prep pack file file", "prep demo /proc/x", "prep folder " + "x" * 300,
        "show lenet5 --set schedule.periods=((1e999,0.1),)", "prep imagenet --from-folders file",
    ],
)  # fmt: skip
def test_a_command_line_that_people_do_type_wrong(line, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert check_answer(capsys, shlex.split(line), line) != 0


OWN = "import recipes; from dataclasses import replace; R = recipes.get('lenet5'); "


@pytest.mark.parametrize(
    "code",
    [
        "raise RuntimeError('no')", "import sys; sys.exit(3)", "X = 1", OWN + "X = replace(R, name='')",
        OWN + "X = replace(R, name='a/b')",
        OWN + "X = replace(R, optimizer=replace(R.optimizer, lr=float('nan')))",
        OWN + "X = replace(R, data=replace(R.data, augment=(replace(R.data.geometry, size=-4),)))",
    ],
)  # fmt: skip
def test_a_recipe_file_that_cannot_be_meant(code, tmp_path, capsys):
    path = tmp_path / "own.py"
    path.write_text(code)
    assert check_answer(capsys, ["show", f"{path}:X"], code) == 2


@pytest.mark.parametrize(
    "line",
    ["sbatch = ['x']", "sbatch = [1]", "x = " + "[" * 5000, 'partition = "a\\nb"', "sbatch = {'a b' = 1}"],
)
def test_a_cluster_file_that_cannot_be_meant(line, tmp_path, digits, capsys):
    path = tmp_path / "cluster.toml"
    path.write_text(f"gpus_per_node = 1\n{line}\n")
    line = ["submit", "alexnet", "--tiny", "--dry-run", "--data", str(digits), "--cluster", str(path)]
    assert check_answer(capsys, line, path.read_text()) == 1
