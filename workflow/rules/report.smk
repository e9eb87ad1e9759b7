rule tables:
    """The tidy table → the study's markdown tables."""
    input:
        study.folder / "results.csv",
    output:
        study.folder / "tables.md",
    log:
        study.folder / "logs" / "tables.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    shell:
        "{params.nodesweep} tables 2>&1 | tee {log}"
