rule scripts:
    """One native job script per layout; those of running and finished layouts stay as they were submitted."""
    input:
        study.sources,
        job_templates(),
    output:
        update(study.scripts),
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
    log:
        study.folder / "logs" / "scripts.log",
    shell:
        "{params.nodesweep} scripts 2>&1 | tee {log}"
