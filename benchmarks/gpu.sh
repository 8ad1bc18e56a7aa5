#!/usr/bin/env bash
# All that is to be measured on a GPU, in at most 9 minutes on an H100; a Markdown page on standard output.
#
#     bash benchmarks/gpu.sh > gpu.out               # in an active environment, in a checkout
#     bash benchmarks/gpu.sh --small                 # the same commands, smaller, where there is no GPU
#
# Each part has a limit of time, and says so where it meets it: the next part runs all the same. Together they have 530 s.
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONUNBUFFERED=1 # a part that meets its limit has shown what it measured
small=${1:-}
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
part() { # seconds, heading, command
  local seconds=$1 heading=$2 begun=$SECONDS
  shift 2
  echo -e "\n# $heading\n\n    $*\n"
  timeout --kill-after 10 "$seconds" "$@" 2>"$errors"
  local status=$?
  [ ! -s "$errors" ] || echo -e "\nIts last words on standard error:\n\n$(tail -n 20 "$errors" | sed 's/^/    /')"
  [ "$status" = 0 ] || echo -e "\n**Ended with status $status$([ "$status" = 124 ] && echo ", at its limit of $seconds s").**"
  echo -e "\n($((SECONDS - begun)) s)"
}
build() { # what to build, and further options: what Snakemake says is shown if it fails
  # At its limit, bash waits for Snakemake and then shows the log: `timeout` signals both.
  echo "trap : TERM; mkdir -p results; python -m snakemake --cores all $* --configfile miniature.yaml >results/gpu.log 2>&1 || { tail -n 20 results/gpu.log; exit 1; }"
}
# Two runs that want the card at once; then what their logs say, and the seconds and MB of memory of their jobs.
two="figures/miniature/gpt2_features_viz_2.png figures/miniature/gpt2_features_viz_3.png"
said='cd results/miniature; tail -n 3 logs/optimise_run/*.log; cut -f 1,3 benchmarks/optimise_run/*.tsv'
runs=(gpt2_inverted gpt2_neurons_jittered gpt2_match gpt2_neurons gpt2_patches vit_base_match vit_base_inverted)
# The tests that a GPU is needed for, and those of what runs on it.
tests=(python -m pytest -vv --no-header -p no:cacheprovider tests/unit/descent/test_gpu.py tests/unit/workflow/test_gpus.py)

date -u +"Measured on %Y-%m-%d, %H:%M UTC."
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>/dev/null || echo "No GPU here."
if [ "$small" = --small ]; then
  part 900 "Tests" "${tests[@]}"
  part 900 "Same pictures, same bytes" python benchmarks/gpu.py --small
  part 900 "Memory" python benchmarks/speed.py --tables memory --images 1
  part 900 "The article's runs" python benchmarks/speed.py --tables article --runs gpt2_patches --steps 12
  part 900 "Speed" python benchmarks/speed.py --tables speed --rounds 1 --images 4 --precisions bfloat16 --repeat 1
  part 900 "What torch.compile changes" \
    python benchmarks/kernels.py --configs miniature.yaml --precisions bfloat16 --block 2 --images 4
  part 900 "Two runs of a build" bash -c "$(build "$two"); $said"
else
  part 40 "Tests" "${tests[@]}" -n 8
  part 70 "The article's runs" python benchmarks/speed.py --tables article --steps 40
  part 75 "Same pictures, same bytes" python benchmarks/gpu.py --seconds 50 --runs "${runs[@]}"
  part 90 "Speed, 16 images in a pass" python benchmarks/speed.py --tables speed --rounds 2 --repeat 50
  part 40 "Two runs of a build on one card" bash -c "$(build "$two" --resources gpu=2 --config device=cuda); $said"
  part 50 "Speed, 128 images in a pass" \
    python benchmarks/speed.py --tables speed --rounds 2 --images 128 --precisions bfloat16 --repeat 20
  part 50 "What graphs and torch.compile change" \
    python benchmarks/kernels.py --configs config.yaml --precisions bfloat16
  part 60 "The same in a pass that fills the card" \
    python benchmarks/kernels.py --configs config.yaml --block 12 --images 128 --precisions bfloat16 --repeat 10
  part 55 "Memory" python benchmarks/speed.py --tables memory --precisions bfloat16 float32
fi
