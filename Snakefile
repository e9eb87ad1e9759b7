# nodesweep: expand → plan → scripts → run → measure → tables, figures → report; each step is a rule under workflow/rules.
from nodesweep.common.gc import search_seldom
from nodesweep.schedulers.job_script import job_templates
from nodesweep.launch.snakemake import command_of, dated, prepared_study_of, tabulate_after_failure, undated_digest

search_seldom()
study = prepared_study_of(workflow)
NODESWEEP = command_of(workflow)


localrules:
    all,
    plan,
    scripts,
    measure,
    tables,
    figures,
    report,


rule all:
    input:
        study.folder / "plan.md",
        study.records,
        study.folder / "results.csv",
        study.folder / "tables.md",
        study.folder / "figures",
        study.folder / "report.html",


# What stands on the first page of `snakemake --report`.
report: "workflow/report/workflow.rst"


include: "workflow/rules/plan.smk"
include: "workflow/rules/scripts.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"


# A sweep that failed in part still has tables, figures and a page that are up to date.
onerror:
    tabulate_after_failure(workflow)
