# What others get of finished studies: a page with figures, tables, claims and times; a record to deposit; the gallery.


localrules:
    figures,
    evidence,
    report_study,
    report,
    deposit_study,
    crate,
    document_gallery,
    pages,


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


def drawn_from():
    """What figures and evidence are drawn from, besides the runs: a crate without it would make it again."""
    traced = [name for name, figure in study.figures.items() if "trace" in kinds.FIGURES[figure.kind].reads]
    tables = [table_path(table, run) for table in TABLES for run in study.runs_of("evidence")]
    return (
        [f"{RESULTS}/traces/{name}.safetensors" for name in traced]
        + tables
        + list(map(candidates_path, CANDIDATE_RUNS))
    )


# One file to deposit. Unpacked, it is a checkout in which the study has been built.
rule deposit_study:
    input:
        drawn_from(),
        rules.figures.input,
        rules.evidence.input,
        runs=[run_path(run) for run in study.runs_of("evidence")],
    output:
        f"{RESULTS}/{study.name}.crate.zip",
    log:
        f"{LOGS}/deposit_study.log",
    benchmark:
        f"{BENCHMARKS}/deposit_study.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        root=workflow.basedir,
        times=BENCHMARKS,
        code=code_digest("lmrep.workflow.crate", script="scripts/deposit_study.py"),
    message:
        "Packing the study {config[study]} into one file to deposit"
    script:
        "../scripts/deposit_study.py"


rule crate:
    input:
        rules.deposit_study.output,


def drawn_studies(wildcards):
    """What the gallery shows of every study in this folder: small copies of its figures, its config, its verdicts."""
    drawn = sorted(Path("results").glob("*/web/*.jpg")) or refuse("expected figures; build the target figures first")
    studies = sorted({path.parents[1] for path in drawn})
    for study in studies:
        if not (study / "study.json").exists():
            refuse(f"{study / 'study.json'}: no such file; build the target figures of that study first")
    kept = [study / name for study in studies for name in ("study.json", "claims.json")]
    return [str(path) for path in [*drawn, *kept] if path.exists()]


rule document_gallery:
    input:
        drawn_studies,
    output:
        page="docs/gallery.md",
        pictures=directory("figures/gallery/studies"),
    log:
        f"{LOGS}/document_gallery.log",
    benchmark:
        f"{BENCHMARKS}/document_gallery.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        statistics=STATISTICS,
        captions=file_digests("figures/captions/*.rst"),
        code=code_digest("lmrep.figures.gallery", script="scripts/document_gallery.py"),
    message:
        "Writing the gallery of all studies"
    script:
        "../scripts/document_gallery.py"


# The pages of the documentation that builds write.
rule pages:
    input:
        rules.document_claims.output,
        rules.draw_verdicts.output,
        rules.document_gallery.output,
