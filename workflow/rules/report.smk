rule tables:
    """The tidy table → the study's markdown tables."""
    input:
        study.sources,
        results=study.folder / "results.csv",
    output:
        study.folder / "tables.md",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    log:
        study.folder / "logs" / "tables.log",
    shell:
        "{params.nodesweep} tables 2>&1 | tee {log}"
