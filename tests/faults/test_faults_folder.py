"""A damaged file in any place of a run folder: the run ends with the right weights, or says why it cannot."""

import json
import random
import shutil
import traceback

import pytest
from commands import Started, wait_until
from run_results import weights

from pipeline.cli import main

DAMAGES = {
    "truncated": lambda content, rng: content[: len(content) // 2],
    "emptied": lambda content, rng: b"",
    "flipped": lambda content, rng: flipped(content, rng),
    "foreign": lambda content, rng: b"\x89PNG\r\n\x1a\n" + rng.randbytes(200),
    "other JSON": lambda content, rng: b'{"version": 7, "step": "two"}\n',
}


def flipped(content, rng):
    content, place = bytearray(content), rng.randrange(len(content))
    content[place] ^= 1 << rng.randrange(8)
    return bytes(content)


@pytest.fixture(scope="module")
def broken(train_of, tmp_path_factory):
    """(a run that was killed after some checkpoints, the weights of one that was not, its command)."""
    home = tmp_path_factory.mktemp("damage")
    code, text = Started(train_of("PLAIN", home / "whole"), home / "output").wait()
    assert code == 0, text
    started = Started(train_of("PLAIN", home / "run"), home / "output")
    wait_until(lambda: (home / "run" / "checkpoints" / "step-000000009.safetensors").exists(), started)
    started.kill()
    assert not (home / "run" / "result.json").exists()
    return home / "run", weights(home / "whole"), lambda folder: train_of("PLAIN", folder)


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_no_damage_to_a_file_is_taken_for_truth(broken, tmp_path, long, capsys):
    run, expected, command = broken
    rng = random.Random(5)
    ended, wrong = {"the same weights": 0, "refused": 0}, []
    for number, name in enumerate(files_of(run)):
        for kind in list(DAMAGES) if long else [list(DAMAGES)[number % len(DAMAGES)]]:
            folder = tmp_path / f"{number}-{kind.replace(' ', '-')}"
            shutil.copytree(run, folder)
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(DAMAGES[kind](content or b"x", rng))
            for line in (
                ["status", folder],
                ["leaderboard", "--runs", folder.parent],
                ["compare", run, folder],
            ):
                wrong += look(line, f"{name} {kind}", capsys)
            code, text = Started(command(folder), tmp_path / "output").wait()
            refused = sum(line.startswith("top1: ") for line in text.splitlines()) == 1
            if "Traceback" in text or (weights(folder) != expected if code == 0 else not refused):
                wrong.append(f"train, {name} {kind}, code {code}: {text[-1500:]}")
            ended["refused" if code else "the same weights"] += 1
            shutil.rmtree(folder)
    print(ended)
    assert not wrong, "\n\n".join(wrong)
    assert ended["the same weights"] > ended["refused"]


def look(line, what, capsys):
    """Return what is wrong with how a command that only reads answers."""
    try:
        code = main([str(word) for word in line])
    except Exception:  # noqa: BLE001 (whatever it is, it is told with all others)
        return [f"{line[0]}, {what}: {traceback.format_exc(limit=-3)}"]
    told = capsys.readouterr().err
    return [] if code in (0, 1, 2) and "Traceback" not in told else [f"{line[0]}, {what}, {code}: {told}"]


def test_a_run_does_not_go_on_with_another_seed_than_it_began_with(broken, tmp_path):
    run, _, command = broken
    folder = tmp_path / "changed"
    shutil.copytree(run, folder)
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"seed": plan["seed"] + 1}))
    code, text = Started(command(folder), tmp_path / "output").wait()
    assert code == 1
    assert "plan.json is not what it was when training began" in text
