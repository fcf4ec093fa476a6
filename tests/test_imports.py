"""The direction of imports, the light/heavy line, and how soon `top1 list` answers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("recipes", "pipeline", "slurm", "data_prep")
HEAVY = {
    "torch", "torchvision", "timm", "accelerate", "numpy", "mlflow", "nvidia", "pyarrow", "sklearn", "PIL",
    "safetensors", "submitit", "sqlalchemy", "matplotlib", "pynvml", "rich",
}  # fmt: skip
LIGHT = {
    "pipeline.cli", "pipeline.errors", "pipeline.plan", "pipeline.planning", "pipeline.schedule",
    "pipeline.progressive", "pipeline.tiny", "pipeline.choose", "pipeline.show", "pipeline.leaderboard",
    "pipeline.journal", "pipeline.runs", "pipeline.report", "pipeline.result", "pipeline.verdict",
    "pipeline.tables", "pipeline.book_list", "pipeline.recipe_page", "pipeline.columns",
    "pipeline.data.header", "pipeline.locks", "data_prep.progress", "data_prep.published",
    "pipeline.judged", "pipeline.ensemble", "pipeline.protocols", "pipeline.timm_figures",
    "pipeline.snapshot", "pipeline.machine", "pipeline.board_page.page", "pipeline.compare",
    "pipeline.versions",
    "pipeline.serve", "pipeline.bench.tracking", "pipeline.attempts", "pipeline.early_warning",
    "pipeline.forecast", "pipeline.bench.kept", "pipeline.child", "pipeline.warning_rules",
    "pipeline.probe", "pipeline.weight_file", "pipeline.watch", "pipeline.scale", "pipeline.say",
    "slurm.cluster", "slurm.environment",
    "slurm.batch", "slurm.checks", "slurm.launch", "slurm.signals", "slurm.leave", "slurm.tasks",
    "slurm.queue", "slurm.status", "slurm.logs", "slurm.again", "slurm.dev_cluster", "slurm.dev_config",
    "slurm.dev_daemons", "slurm.dev_processes",
    *(f"pipeline.commands.{path.stem}" for path in (ROOT / "pipeline" / "commands").glob("[a-z]*.py")),
}  # fmt: skip
COMMANDS = ("pipeline.cli", "pipeline.commands.")  # the part of the pipeline that sees every package


def modules():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path, top_level_only=False):
    """Return the modules a file imports: all of them, or those it opens as soon as it is imported."""
    tree = ast.parse(path.read_text())
    found = set()
    nodes = _outside_functions(tree) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _outside_functions(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(child):
            continue
        yield child
        yield from _outside_functions(child)


def _is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


MODULES = dict(modules())


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("recipes")])
def test_recipes_import_the_standard_library_and_each_other_only(name):
    tops = {module.split(".")[0] for module in imports(MODULES[name])}
    assert tops <= set(sys.stdlib_module_names) | {"recipes"}


@pytest.mark.parametrize(
    "name", [m for m in MODULES if m.startswith("pipeline") and not m.startswith(COMMANDS)]
)
def test_the_pipeline_does_not_know_who_launches_it(name):
    tops = {module.split(".")[0] for module in imports(MODULES[name])}
    assert not tops & {"slurm", "data_prep"}


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("data_prep")])
def test_data_preparation_knows_errors_and_the_manifest_only(name):
    ours = {module for module in imports(MODULES[name]) if module.startswith("pipeline.")}
    assert all(module.startswith(("pipeline.errors", "pipeline.data", "pipeline.locks")) for module in ours)


def reached(name, seen=None):
    """Return every module of ours that importing `name` opens, and the foreign ones."""
    seen = set() if seen is None else seen
    if name in seen:
        return seen
    seen.add(name)
    parts = name.split(".")
    for module in {
        *imports(MODULES[name], top_level_only=True),
        *(".".join(parts[:i]) for i in range(1, len(parts))),
    }:
        if module in MODULES:
            reached(module, seen)
        else:
            seen.add(module)
    return seen


@pytest.mark.parametrize("name", sorted(LIGHT | {m for m in MODULES if m.startswith("recipes")}))
def test_a_light_module_opens_nothing_heavy(name):
    assert not {module.split(".")[0] for module in reached(name)} & HEAVY


def test_only_the_follower_opens_mlflow():
    opening = {
        m
        for m in MODULES
        if any(i.split(".")[0] == "mlflow" for i in imports(MODULES[m], top_level_only=True))
    }
    assert opening == {"pipeline.tracking"}
    assert "mlflow" not in {m.split(".")[0] for m in reached("pipeline.train")}


def test_environment_variables_are_read_by_the_launching_side_only():
    reading = {
        m
        for m, path in MODULES.items()
        if "os.environ" in path.read_text() and m.startswith(("recipes", "pipeline"))
    }
    # tracking sets MLflow's own variables in its process, serve in that of the server it starts, the package
    # one that CUDA reads when it begins.
    launching = {f"pipeline.commands.{name}" for name in ("run", "evaluate", "book")}
    assert reading <= launching | {"pipeline.tracking", "pipeline.serve", "pipeline"}


@pytest.mark.parametrize(
    "command", [["list"], ["list", "--json"], ["show", "alexnet"], ["--help"], ["leaderboard"], ["status"]]
)
def test_a_light_command_loads_no_heavy_library(command, tmp_path):
    (tmp_path / "runs").mkdir()
    code = (
        "import sys; from pipeline.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        f"heavy = sorted(set(m.split('.')[0] for m in sys.modules) & {HEAVY!r})\n"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
