"""What a scheduler does to jobs, and what it refuses: told, and never a run more than needed."""

import time

from slurm.situations.registry import once, situation
from slurm.stage import Stage, until


@situation("job suspended for some seconds")
def suspended(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config, policy={"hang_seconds": 1, "on_hang": "cancel"})
    stage.started(config)
    job = stage.job(config)
    stage.a.run("scontrol", "suspend", job)
    time.sleep(3)
    stage.a.run("scontrol", "resume", job)
    stage.go(config)
    launcher.end()
    once(stage, config)
    (row,) = stage.rows(config)
    said = row["flags"] + row["outcome_note"]
    assert "suspen" in said, said


@situation("node drained under a job", slow=True)
def drained(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config)
    stage.started(config)
    node = stage.a.run("squeue", "-h", "-j", stage.job(config), "-o", "%B").stdout.strip()
    stage.a.set_node(node, "drain")
    stage.silence()
    stage.go(config)
    launcher.end()
    stage.a.set_node(node, "resume")
    once(stage, config)


@situation("job requeued in held state by an operator, released later")
def requeued_and_held(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config)
    stage.started(config)
    job = stage.job(config)
    stage.a.run("scontrol", "update", f"jobid={job}", "requeue=1")
    stage.a.run("scontrol", "requeuehold", job)
    stage.tells(launcher, f"{job}.* (does not start|requeued)|held")
    stage.silence()
    assert list(stage.starts(config).values()) == [1], launcher.said
    stage.go(config)
    stage.a.run("scontrol", "release", job)
    launcher.end()
    assert stage.outcomes(config) == ["ok"], stage.rows(config)
    starts, events = stage.starts(config), stage.events(config)
    assert list(starts.values()) == [2] == [events.count("intent")], events


@situation("controller full (MaxJobCount)", slow=True, alone=True)
def full_controller(stage: Stage) -> None:
    config = stage.sweep(hold=False, layouts=[{"nodes": [1, 2], "global_batch": 840, "sequence_length": 128}])
    with stage.b.reconfigured("MaxJobCount=1"):
        launcher = stage.launch(config, cluster=stage.b)
        stage.tells(launcher, "takes no more jobs|unable to accept|full")
    launcher.end()
    once(stage, config, layouts=2)


@situation("QOS that refuses what is too large (DenyOnLimit)")
def denied_by_qos(stage: Stage) -> None:
    stage.qos("denying", "MaxTRESPerJob=node=1", "flags=DenyOnLimit")
    config = stage.sweep(
        hold=False, options={"qos": "denying"}, layouts=[{"nodes": [2, 1], "global_batch": 840, "sequence_length": 128}]
    )
    launcher = stage.launch(config, policy={"jobs_at_once": 1})
    stage.tells(launcher, "QOSMaxNodePerJobLimit|violates accounting/QOS")
    launcher.end()
    assert sorted(stage.outcomes(config)) == ["launch_failed", "ok"], stage.rows(config)
    assert list(stage.starts(config).values()) == [1]


@situation("QOS that lets wait for ever what is too large")
def never_by_qos(stage: Stage) -> None:
    stage.qos("waiting", "MaxTRESPerJob=node=1")
    config = stage.sweep(
        hold=False, options={"qos": "waiting"}, layouts=[{"nodes": [2, 1], "global_batch": 840, "sequence_length": 128}]
    )
    launcher = stage.launch(config, policy={"jobs_at_once": 1})
    stage.tells(launcher, "QOSMaxNodePerJobLimit")
    until(lambda: "ended" in stage.events(config), 30, "the other layout runs", launcher)
    assert list(stage.starts(config).values()) == [1]


@situation("QOS with a limit of submitted jobs (MaxSubmitJobsPerUser)")
def few_by_qos(stage: Stage) -> None:
    stage.qos("few", "MaxSubmitJobsPerUser=1", "flags=DenyOnLimit")
    config = stage.sweep(
        hold=False, options={"qos": "few"}, layouts=[{"nodes": [1, 2], "global_batch": 840, "sequence_length": 128}]
    )
    launcher = stage.launch(config)
    stage.tells(launcher, "takes no more jobs for now")
    launcher.end()
    once(stage, config, layouts=2)


@situation("450 jobs held", slow=True)
def many_held(stage: Stage) -> None:
    variants = [{"name": f"v{number}"} for number in range(450)]
    config = stage.sweep(options={"hold": True}, variants=variants)
    launcher = stage.launch(config, policy={"jobs_at_once": 1000, "canary": 0})
    stage.tells(launcher, "not start by (it|them)sel", 240)
    time.sleep(5)
    lines = [line for line in launcher.said.splitlines() if "JobHeldUser" in line]
    assert len(lines) == 1, lines[:5]


@situation("job completing for long (a slow epilog), its exit marker there")
def completing(stage: Stage) -> None:
    config = stage.sweep(hold=False, variants=[{"name": "v1"}, {"name": "v2"}])
    slow = stage.b.folder / "slow"
    slow.touch()
    launcher = stage.launch(config, cluster=stage.b, policy={"jobs_at_once": 1})
    try:
        stage.started(config, 2)
        states = stage.b.run("squeue", "-h", "-o", "%T").stdout
    finally:
        slow.unlink()
    assert "COMPLETING" in states
    launcher.end()
    once(stage, config, layouts=2)
