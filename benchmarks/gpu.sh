#!/usr/bin/env bash
# Degradation on one GPU: plain-20/-56 and ResNet-20/-56, He's step schedule, 16,000 steps a run.
#
# Usage: benchmarks/gpu.sh [SECONDS] [PROCESSES]    from the root of the repository
#
# Several processes share the GPU: one such small network does not fill it. What is not done within
# the time stays in runs/ and goes on from its last epoch at the next call; results/depth-gpu is
# written when all runs are over.
set -u
seconds=${1:-540} processes=${2:-6}
python=${PYTHON:-python}
PYTHONPATH=code${PYTHONPATH:+:$PYTHONPATH} timeout --signal=INT "$seconds" \
    "$python" -m pixgrad run depth --preset gpu --jobs "$processes"
code=$?
[ "$code" = 124 ] && echo "Время вышло; повторите ту же команду, обучение продолжится." && exit 0
exit "$code"
