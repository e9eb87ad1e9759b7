# The scripts are `ancient`: new ones alone run nothing again. Snakemake then looks no further downstream of renewed
# scripts, so that measure, which needs all records, must have a reason of its own to be looked at: the plan.
# One list stands for all scripts: Snakemake would match each of 10,000 inputs against each of 10,000 outputs.
rule run:
    """One run of a layout, submitted and watched by the nodesweep executor; a new script never repeats a finished one."""
    input:
        scripts=ancient(study.scripts_list),
    output:
        record=study.folder / "layouts" / "{slug}" / "job.json",
    log:
        study.folder / "logs" / "run" / "{slug}.log",
    run:
        raise WorkflowError("layouts are run by the nodesweep executor: add --profile profiles/local")
