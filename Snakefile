# lmrep: the figures of config.yaml, or of another study, from pinned weights and photographs to pictures and verdicts.
import sys

from snakemake.utils import min_version

min_version("9.27")

# Import lmrep from this checkout, whether or not one is installed: the digests are of this checkout's code.
sys.path.insert(0, str(workflow.basedir))

from lmrep.workflow.engine import Engine

engine = Engine(workflow)
if not engine.configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/build.smk"
include: "rules/inputs.smk"
include: "rules/descent.smk"
include: "rules/metrics.smk"
include: "rules/probe.smk"
include: "rules/claims.smk"
include: "rules/figures.smk"
include: "rules/miniature.smk"


report: "figures/captions/workflow.rst"


rule figures:
    default_target: True
    input:
        rules.metrics.input,
        figures_of("figures"),


# The controls, the seeds and what else backs the figures.
rule evidence:
    input:
        rules.merge_evidence.output,
        rules.judge_claims.output,
        figures_of("evidence"),
        rules.draw_explorer.output,


include: "rules/report.smk"


onstart:
    begin()
    announce()


onsuccess:
    forget_states()
