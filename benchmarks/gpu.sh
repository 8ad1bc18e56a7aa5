#!/usr/bin/env bash
# All that is to be measured on a GPU, in at most 9 minutes on an H100; a Markdown page on standard output.
#
#     bash benchmarks/gpu.sh > benchmarks/gpu.md     # in an active environment, in a checkout
#     bash benchmarks/gpu.sh --small                 # the same commands, smaller, where there is no GPU
#
# Each part has a limit of time, and says so where it meets it: the next part runs all the same.
set -uo pipefail
cd "$(dirname "$0")/.."
small=${1:-}
part() { # seconds, heading, command
  local seconds=$1 heading=$2 begun=$SECONDS
  shift 2
  echo -e "\n# $heading\n\n    $*\n"
  timeout --kill-after 10 "$seconds" "$@"
  local status=$?
  [ "$status" = 0 ] || echo -e "\n**Ended with status $status$([ "$status" = 124 ] && echo ", at its limit of $seconds s").**"
  echo -e "\n($((SECONDS - begun)) s)"
}
build() { # what to build, and further options: what Snakemake says is shown if it fails
  echo "mkdir -p results; python -m snakemake --cores all $* --configfile miniature.yaml >results/gpu.log 2>&1 || { tail -n 20 results/gpu.log; exit 1; }"
}
# The tests that a GPU is needed for, and those of what runs on it.
tests=(python -m pytest -q -rs -p no:cacheprovider tests/unit/descent/test_plan.py tests/unit/workflow/test_gpus.py)

date -u +"Measured on %Y-%m-%d, %H:%M UTC."
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>/dev/null || echo "No GPU here."
if [ "$small" = --small ]; then
  part 900 "Tests" "${tests[@]}" -k gpu
  part 900 "Same pictures, same bytes" python benchmarks/gpu.py --small
  part 900 "Memory" python benchmarks/speed.py --tables memory --images 1
  part 900 "A build" bash -c "$(build figures/miniature/gpt2_features_viz_3.png)"
else
  part 90 "Tests" "${tests[@]}" tests/unit/descent tests/unit/probe
  part 150 "Same pictures, same bytes" python benchmarks/gpu.py --seconds 110
  part 100 "Speed" python benchmarks/speed.py --tables speed memory --rounds 3
  part 100 "The article's runs" python benchmarks/speed.py --tables article --steps 20
  part 100 "A build" bash -c "$(build figures --config device=cuda)"
fi
