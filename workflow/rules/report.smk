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


rule figures:
    """The tidy table, and the calibrations written with it → figures, as many as its rows allow."""
    input:
        study.folder / "results.csv",
    output:
        directory(study.folder / "figures"),
    log:
        study.folder / "logs" / "figures.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    shell:
        "{params.nodesweep} figures 2>&1 | tee {log}"
