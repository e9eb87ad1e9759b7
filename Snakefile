# nodesweep: expand → plan → scripts → run → measure → tables; each room is a file under workflow/rules.
from contextlib import suppress

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


rule all:
    input:
        study.folder / "plan.md",
        study.records,
        study.folder / "tables.md",


include: "workflow/rules/plan.smk"
include: "workflow/rules/scripts.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"


# A sweep that failed in part still has tables that are up to date; whoever interrupts that too need not wait for them.
onerror:
    with suppress(KeyboardInterrupt):
        shell("{NODESWEEP} measure && {NODESWEEP} tables || true")  # what is wrong has just been said
