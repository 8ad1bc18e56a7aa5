# lmrep: the article's figures, from pinned weights and photographs. What to build is in config.yaml
# (the article) or, with --configfile miniature.yaml, in a study that a laptop makes in minutes.
from snakemake.utils import min_version

min_version("9.20")

# --configfile replaces the article's config: it is not merged into it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/weights.smk"
include: "rules/images.smk"
include: "rules/runs.smk"
include: "rules/metrics.smk"
include: "rules/figures.smk"
include: "rules/miniature.smk"


report: "figures/captions/workflow.rst"


localrules:
    figures,


rule figures:
    default_target: True
    input:
        [figure_path(name, format) for name in study.figures for format in study.formats],
        rules.metrics.input,


onstart:
    begin()
    announce()


onsuccess:
    forget_states()
