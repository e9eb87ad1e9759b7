rule measure:
    """All logs and records → one tidy table."""
    input:
        study.sources,
        records=study.records,
    output:
        study.folder / "results.csv",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    log:
        study.folder / "logs" / "measure.log",
    shell:
        "{params.nodesweep} measure 2>&1 | tee {log}"
