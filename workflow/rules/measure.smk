rule measure:
    """All logs, records, imported tables and ingested logs → one tidy table."""
    input:
        plan=study.folder / "plan.csv",
        records=study.records,
        imported=dated(study.imported),
        ingested=dated(study.ingested),
    output:
        report(study.folder / "results.csv", caption="../report/results.rst", category="Results"),
    log:
        study.folder / "logs" / "measure.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
        undated=undated_digest([*study.imported, *study.ingested]),
    shell:
        "{params.nodesweep} measure 2>&1 | tee {log}"
