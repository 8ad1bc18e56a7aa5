"""Where the time of a whole build goes, job by job, from Snakemake's own benchmark files.

    python benchmarks/build.py                      # the miniature study, in a fresh clone of this checkout
    python benchmarks/build.py --cores 8

Times the build, a second call with nothing to do, and a dry run of everything, which is the cost of the DAG alone.
Prints Markdown.
"""

import argparse
import csv
import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ["figures", "--configfile", "miniature.yaml"]


def timed(folder: Path, *options: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "snakemake", *options, *BUILD], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    cores = parser.parse_args().cores
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        dag = timed(clone, "--dry-run")
        build = timed(clone, "--cores", str(cores))
        again = timed(clone, "--cores", str(cores))
        rules = defaultdict(list)
        benchmarks = clone / "results/miniature/benchmarks"
        for path in sorted(benchmarks.rglob("*.tsv")):
            with path.open() as file:
                place = path.relative_to(benchmarks)
                rules[place.parts[0].removesuffix(".tsv")].append(
                    (place.stem, next(csv.DictReader(file, delimiter="\t")))
                )
    seconds = {rule: [float(row["s"]) for _, row in jobs] for rule, jobs in rules.items()}
    total = sum(map(sum, seconds.values()))
    print(f"{datetime.date.today()}, {cores} cores: build {build:.0f} s, dry run {dag:.1f}, nothing to do {again:.1f}.")
    print(f"The jobs took {total:.0f} s, {total / build / cores:.0%} of the cores' time.\n")
    print("| rule | jobs | s in all | longest |\n|---|---|---|---|")
    for rule, times in sorted(seconds.items(), key=lambda item: -sum(item[1])):
        print(f"| {rule} | {len(times)} | {sum(times):.1f} | {max(times):.1f} |")
    print("\n| run | s | peak memory, MB |\n|---|---|---|")
    for name, row in sorted(rules["optimise_run"], key=lambda job: -float(job[1]["s"])):
        print(f"| {name} | {float(row['s']):.0f} | {row['max_rss']} |")


if __name__ == "__main__":
    main()
