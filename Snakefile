# nodesweep: expand → plan → scripts → run → measure → tables → report; each room is a file under workflow/rules.
from nodesweep.script import job_templates
from nodesweep.workflow import command_of, study_of

study = study_of(workflow)
NODESWEEP = command_of(workflow)


localrules:
    all,
    plan,
    scripts,
    measure,
    tables,
    report,


rule all:
    input:
        study.folder / "plan.md",
        study.records,
        study.folder / "tables.md",
        study.folder / "report.html",


# What stands on the first page of `snakemake --report`.
report: "workflow/report/workflow.rst"


include: "workflow/rules/plan.smk"
include: "workflow/rules/scripts.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"


# A sweep that failed in part still has tables and a page that are up to date, but for what --omit-from names.
onerror:
    wanted = (room for room in ("measure", "tables", "report") if room not in workflow.dag_settings.omit_from)
    shell(" && ".join(f"{NODESWEEP} {room}" for room in wanted))
