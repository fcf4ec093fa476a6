"""Which layers stand still: those a recipe does not train, and batch norm in its last epochs.

A function of the step alone, applied anew in each: nothing to restore after a resume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from pipeline.errors import Top1Error
from pipeline.plan import Plan

_NORMS = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class Frozen:
    """always: normalization of layers that are not trained. late: all of it, from step `first_step` on."""

    always: tuple[nn.Module, ...]
    late: tuple[nn.Module, ...]
    first_step: int

    def hold(self, step: int) -> None:
        """Have the layers that stand still in this step normalize with their running statistics."""
        for module in self.late if step >= self.first_step else self.always:
            module.eval()

    def drop_gradients(self, step: int) -> None:
        """Take the gradients of late layers away, so that no optimizer moves or decays them."""
        if step >= self.first_step:
            for module in self.late:
                for parameter in module.parameters():
                    parameter.grad = None


def freeze(network: nn.Module, plan: Plan) -> Frozen:
    """Take every layer that the recipe does not train out of training; return what must be held each step.

    Raises Top1Error when the recipe names a layer to train that the network has not.
    """
    start, norm = plan.recipe.starts_from, plan.recipe.model.batch_norm
    still = _untrained(network, start.trained) if start and start.trained else []
    for module in still:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
    epochs = norm.frozen_epochs if norm else 0.0
    return Frozen(
        always=tuple(module for module in still if isinstance(module, _NORMS)),
        late=tuple(module for module in network.modules() if isinstance(module, _NORMS)) if epochs else (),
        first_step=plan.total_steps - round(epochs * plan.steps_per_epoch),
    )


def _untrained(network: nn.Module, trained: Sequence[str]) -> list[nn.Module]:
    """Return the modules that no pattern names, neither themselves nor what they are part of."""
    modules = dict(network.named_modules())
    for pattern in trained:
        if not any(fnmatchcase(name, pattern) for name in modules):
            raise Top1Error(
                f"no layer of the network is called {pattern!r}, which the recipe wants to train. Its layers "
                f"are {', '.join(name for name, _ in network.named_children())}."
            )

    def is_trained(name: str) -> bool:
        parts = name.split(".")
        lineage = [".".join(parts[: i + 1]) for i in range(len(parts))]
        return any(fnmatchcase(one, pattern) for one in lineage for pattern in trained)

    return [module for name, module in modules.items() if not is_trained(name)]
