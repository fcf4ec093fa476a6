#!/bin/sh
# Measures what docs/measured.md shows and writes it anew: `sh docs/bench/measure.sh cpu`, or `gpu`.
# Half an hour each; nothing else may run on the machine.
set -e
cd "$(dirname "$0")/../.."
top1=${TOP1:-.venv/bin/top1}
bench() { "$top1" bench "$@" --keep docs/bench; }

case "$1" in
cpu)
    "$top1" prep demo data/demo
    bench loader --randaugment --storage
    bench step alexnet+tiny --batch 32 --images 64 --steps 40 --device cpu --threads 1
    bench train resnet18 --batch 32 --images 256 --steps 4 --rounds 6 --peers timm --device cpu
    bench eval
    OMP_NUM_THREADS=1 bench checkpoint
    bench startup resnet18 --batch 32 --images 64 --rounds 6 --device cpu --threads 1
    bench tracking
    for recipe in efficientnetv2_s alexnet resnet18; do
        bench stages "$recipe+tiny" --data data/demo --images 1437 --device cpu
    done
    bench stages lenet5+tiny --data data/demo --images 1437 --steps 200 --device cpu
    ;;
gpu)
    bench loader --device cuda --randaugment --images 5120 --batch 256 --sizes 224 128 300 --peers timm
    for compile in no yes; do
        # Rounds of more steps than timm's workers have batches ready.
        bench train resnet50@goyal2017 --batch 256 --steps 60 --rounds 10 --compile $compile --peers timm
    done
    bench step resnet50@goyal2017 --batch 256 --images 256 --steps 20 --rounds 10 --compile no
    bench stages resnet50@goyal2017 --batch 256
    bench stages efficientnetv2_s --batch 128
    bench stages alexnet --batch 128
    bench stages resnet18 --batch 256
    bench checkpoint --device cuda
    bench startup resnet50@goyal2017 --batch 256 --rounds 6
    ;;
*)
    echo "usage: $0 cpu|gpu" >&2
    exit 2
    ;;
esac
"$top1" bench results docs/bench > docs/measured.md
