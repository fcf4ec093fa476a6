"""What `top1` does, one module per group of commands; each adds its own to the parser. Light until one runs.

Together with `pipeline.cli` the only part of the pipeline that sees every package.
"""
