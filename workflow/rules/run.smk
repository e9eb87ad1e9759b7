# The script is `ancient`: a new one alone runs nothing again. Snakemake then looks no further downstream of a renewed
# script, so that measure, which needs all records, must have a reason of its own to be looked at: the plan.
rule run:
    """One layout, submitted and watched by the nodesweep executor; a new script never runs a finished layout again."""
    input:
        script=ancient(study.folder / "layouts" / "{slug}" / "job.sh"),
    output:
        record=study.folder / "layouts" / "{slug}" / "job.json",
    log:
        study.folder / "logs" / "run" / "{slug}.log",
    run:
        raise WorkflowError("layouts are run by the nodesweep executor: add --profile profiles/local")
