rule measure:
    """All logs and records → one tidy table."""
    input:
        plan=study.folder / "plan.csv",
        records=study.records,
    output:
        study.folder / "results.csv",
    log:
        study.folder / "logs" / "measure.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    shell:
        "{params.nodesweep} measure 2>&1 | tee {log}"
