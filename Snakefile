# nodesweep: expand → plan → scripts → run → measure → tables, figures → report; each room is a file under workflow/rules.
from contextlib import suppress
from itertools import takewhile

from nodesweep.common.gc import search_seldom
from nodesweep.schedulers.job_script import job_templates
from nodesweep.launch.snakemake import command_of, study_of

search_seldom()
study = study_of(workflow)
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


# A sweep that failed in part still has tables, figures and a page that are up to date, but for what --omit-from names and
# what follows; whoever interrupts that too need not wait for them.
onerror:
    unwanted = workflow.dag_settings.omit_from
    rooms = takewhile(lambda room: room not in unwanted, ("measure", "tables", "figures", "report"))
    with suppress(KeyboardInterrupt):  # and what is wrong has just been said
        shell(" && ".join(f"{NODESWEEP} {room}" for room in rooms) + " || true")
