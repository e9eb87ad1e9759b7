rule tables:
    """The tidy table → the study's markdown tables."""
    input:
        study.folder / "results.csv",
    output:
        report(study.folder / "tables.md", caption="../report/tables.rst", category="Results"),
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
        report(
            directory(study.folder / "figures"),
            patterns=["{name}.svg"],
            caption="../report/figures.rst",
            category="Figures",
        ),
    log:
        study.folder / "logs" / "figures.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    shell:
        "{params.nodesweep} figures 2>&1 | tee {log}"


rule report:
    """All that is known of the sweep → one self-contained page."""
    input:
        study.folder / "results.csv",
        study.folder / "tables.md",
        study.folder / "figures",
    output:
        report(study.folder / "report.html", caption="../report/page.rst", category="Results"),
    log:
        study.folder / "logs" / "report.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    shell:
        "{params.nodesweep} report 2>&1 | tee {log}"
