# nodesweep: expand → plan → scripts → run → measure → tables, figures; each room is a file under workflow/rules.
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
    figures,


rule all:
    input:
        study.folder / "plan.md",
        study.records,
        study.folder / "tables.md",
        study.folder / "figures",


include: "workflow/rules/plan.smk"
include: "workflow/rules/scripts.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"


# A sweep that failed in part still has tables and figures that are up to date, but for what --omit-from names; whoever
# interrupts that too need not wait for them.
onerror:
    wanted = [room for room in ("measure", "tables", "figures") if room not in workflow.dag_settings.omit_from]
    with suppress(KeyboardInterrupt):
        shell(
            " && ".join(f"{NODESWEEP} {room}" for room in wanted) + " || true"
        )  # what is wrong has just been said
