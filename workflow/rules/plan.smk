rule plan:
    """Every point of the sweep: what runs, and what does not and why."""
    input:
        dated(study.sources),
        dated(job_templates()),  # whatever renews a script renews the plan, which measure depends on: see run.smk
    output:
        csv=study.folder / "plan.csv",
        markdown=report(study.folder / "plan.md", caption="../report/plan.rst", category="Plan"),
    log:
        study.folder / "logs" / "plan.log",
    conda:
        "../envs/nodesweep.yaml"
    params:
        nodesweep=NODESWEEP,
        undated=undated_digest([*study.sources, *job_templates()]),
    shell:
        "{params.nodesweep} plan 2>&1 | tee {log}"
