rule plan:
    """Every point of the sweep: what runs, and what does not and why."""
    input:
        study.sources,
    output:
        csv=study.folder / "plan.csv",
        markdown=study.folder / "plan.md",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    log:
        study.folder / "logs" / "plan.log",
    shell:
        "{params.nodesweep} plan 2>&1 | tee {log}"
