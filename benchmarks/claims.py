"""What the claims add to a build: their jobs alone, in a checkout where `evidence` has been built.

    python benchmarks/claims.py                     # the miniature study
    python benchmarks/claims.py --study laptop --rounds 1

Makes the tables of candidates, the verdicts and their figure anew, and prints the seconds of each job by Snakemake's
own benchmark files, as Markdown. Nothing else runs beside them, and each waits for the one before it.
"""

import argparse
import csv
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULES = ("compare_candidates", "judge_claims", "draw_claims")


def seconds_of(folder: Path, rule: str) -> float:
    """The seconds of all jobs of a rule."""
    total = 0.0
    for path in [folder / f"{rule}.tsv", *(folder / rule).glob("*.tsv")]:
        if path.exists():
            with path.open() as file:
                total += sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="miniature", help="a study with <study>.yaml here")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", f"{arguments.study}.yaml"]
    command += ["--forcerun", RULES[0], "--", f"figures/{arguments.study}/claims.png"]
    found = defaultdict(list)
    for _ in range(arguments.rounds):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        for rule in RULES:
            found[rule].append(seconds_of(ROOT / "results" / arguments.study / "benchmarks", rule))
        found["together"].append(sum(found[rule][-1] for rule in RULES))
    print("| rule | s, median | s, each round |\n|---|---|---|")
    for rule, times in found.items():
        print(f"| {rule} | {statistics.median(times):.1f} | {', '.join(f'{time:.1f}' for time in times)} |")


if __name__ == "__main__":
    main()
