rule measure:
    """All logs, records and imported tables → one tidy table."""
    input:
        plan=study.folder / "plan.csv",
        records=study.records,
        imported=study.imported,
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
