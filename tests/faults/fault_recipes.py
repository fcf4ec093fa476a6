"""Recipes of different mechanism, with one target each, as a recipe file of one's own."""

from dataclasses import replace

import recipes


def of_one_target(name):
    recipe = recipes.get(name)
    return replace(recipe, name=f"{name}.faults", targets=recipe.targets[:1])


HEADS = of_one_target("googlenet")  # auxiliary heads
AVERAGE = of_one_target("mobilenet_v3_small")  # an average of weights
STAGES = of_one_target("efficientnetv2_s")  # progressive, in four stages
MIXED = of_one_target("shufflenet_v2_x1_5@torchvision")  # mixup in one half of a batch, CutMix in the other
PLAIN = of_one_target("alexnet")
