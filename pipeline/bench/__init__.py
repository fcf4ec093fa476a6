"""Measured throughput beside named alternatives: `top1 bench`. Heavy, but for `figures` and `rounds`."""
