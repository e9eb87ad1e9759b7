rule scripts:
    """One native job script per layout; those of running and finished layouts stay as they were submitted."""
    input:
        study.folder / "plan.csv",
    output:
        study.scripts_list,
    log:
        study.folder / "logs" / "scripts.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    shell:
        "{params.nodesweep} scripts 2>&1 | tee {log}"
