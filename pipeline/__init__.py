"""top1's pipeline: from a recipe and a machine to a measured accuracy."""
