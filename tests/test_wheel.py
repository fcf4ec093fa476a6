"""The package as others get it: a wheel, in another environment, run from another folder."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    # A copy, since setuptools builds inside the source folder.
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in tracked.stdout.split("\0"):
        if name and (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_packages_and_no_tests(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}
    assert tops == {"recipes", "pipeline", "slurm", "data_prep"}


def test_every_module_of_the_packages_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("recipes", "pipeline", "slurm", "data_prep"):
        for path in (ROOT / package).rglob("*.py"):
            assert path.relative_to(ROOT).as_posix() in names


def test_the_parts_of_the_leaderboards_page_are_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    parts = [p for p in (ROOT / "pipeline" / "board_page").iterdir() if p.suffix in (".html", ".css", ".js")]
    assert len(parts) == 4
    assert {part.relative_to(ROOT).as_posix() for part in parts} <= names


def test_an_installed_wheel_trains_from_another_folder(wheel, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    site = next((environment / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    # The libraries come from this environment; a path in a .pth file brings no editable installs along.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    python = [str(environment / "bin" / "python"), "-m", "pipeline.cli"]
    work = tmp_path / "elsewhere"
    work.mkdir()

    def top1(*arguments):
        done = subprocess.run(
            [*python, *arguments], cwd=work, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = json.loads(top1("list", "--json"))["recipes"]
    assert "lenet5" in {recipe["name"] for recipe in listed}
    top1("prep", "demo", "demo")
    tiny = ["lenet5", "--tiny", "--data", "demo", "--tracking", "none", "--run", "runs/lenet5/one"]
    top1("train", *tiny)
    plan = json.loads((work / "runs" / "lenet5" / "one" / "plan.json").read_text())
    assert plan["commit"] is None  # not a checkout
    assert "lenet5+tiny" in top1("leaderboard")
    top1("leaderboard", "--html", "board.html")
    assert "lenet5+tiny" in (work / "board.html").read_text()
