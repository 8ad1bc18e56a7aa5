"""Draw a probe at work on one image (rule draw_diagram)."""

from pathlib import Path

from lmrep.figures.diagram import draw_diagram
from lmrep.workflow.job import job_log
from lmrep.files import read_arrays
from lmrep.figures.page import save_figure

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    trace = read_arrays(Path(snakemake.input[0]))
    trace.facts.update(stem=snakemake.params.stem, stack=snakemake.params.stack)
    save_figure(draw_diagram(trace, snakemake.params.title), Path(snakemake.output[0]))
    print(f"drew a trace of blocks {trace.facts['layers']}", file=log)
