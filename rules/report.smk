# One page of a study: its figures with captions, tables, claims, settings, and how long each job took.


localrules:
    figures,
    evidence,
    report_study,
    report,


# A Snakemake that is asked for a report runs nothing: it reads what the build has noted of each file.
rule report_study:
    input:
        rules.figures.input,
        rules.evidence.input,
    output:
        f"{own('figures')}/report.html",
    log:
        f"{LOGS}/report_study.log",
    benchmark:
        f"{BENCHMARKS}/report_study.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        command=engine.again("--report"),
        code=code_digest("lmrep.workflow.report", script="scripts/report_study.py"),
    message:
        "Putting the study {config[study]} on one page"
    script:
        "../scripts/report_study.py"


rule report:
    input:
        rules.report_study.output,
