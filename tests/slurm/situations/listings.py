"""A job that listings do not show, or show in another way: it runs on, and nothing starts beside it."""

from slurm.situations.registry import once, situation
from slurm.stage import Stage, until


@situation("job sent to another cluster by options: clusters")
def other_cluster(stage: Stage) -> None:
    config = stage.sweep(options={"clusters": "b"})
    launcher = stage.launch(config)
    stage.started(config)
    stage.silence()
    stage.go(config)
    launcher.end()
    once(stage, config)


@situation("SLURM_CLUSTERS in the launcher's environment", slow=True)
def cluster_by_environment(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config, SLURM_CLUSTERS="b")
    stage.started(config)
    stage.silence()
    stage.go(config)
    launcher.end()
    once(stage, config)
    on_b = stage.b.run("squeue", "-h", "-t", "all", "-o", "%Z").stdout
    assert str(config.parent) in on_b or "SLURM_CLUSTERS" in launcher.said, launcher.said


@situation("job in a hidden partition")
def hidden_partition(stage: Stage) -> None:
    config = stage.sweep(options={"partition": "hidden"})
    launcher = stage.launch(config)
    stage.started(config)
    stage.silence()
    stage.go(config)
    launcher.end()
    once(stage, config)


@situation("job renamed while it runs")
def renamed_running(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config)
    stage.started(config)
    stage.a.run("scontrol", "update", f"jobid={stage.job(config)}", "name=mine")
    stage.silence()
    stage.go(config)
    launcher.end()
    once(stage, config)


@situation("job renamed while it waits")
def renamed_waiting(stage: Stage) -> None:
    config = stage.sweep(hold=False, options={"partition": "closed"})
    launcher = stage.launch(config)
    job = stage.job(config)
    stage.a.run("scontrol", "update", f"jobid={job}", "name=mine")
    stage.silence()
    stage.a.run("scontrol", "update", f"jobid={job}", "partition=debug")
    launcher.end()
    once(stage, config)


@situation("a second user continues in a shared folder")
def second_user(stage: Stage) -> None:
    config = stage.sweep()
    first = stage.launch(config)
    stage.started(config)
    stage.job(config)
    first.kill()
    second = stage.launch(config, by=stage.site.second)
    stage.silence()
    stage.go(config)
    second.end()
    once(stage, config)


@situation("a second user continues where nobody sees another's jobs (PrivateData=jobs, no sacct)", alone=True)
def second_user_in_private(stage: Stage) -> None:
    stage.wrap("sacct", 'echo "sacct: error: Problem talking to the database: Connection refused" >&2; exit 1')
    config = stage.sweep()
    with stage.a.reconfigured("PrivateData=jobs"):
        first = stage.launch(config)
        stage.started(config)
        stage.job(config)
        first.kill()
        second = stage.launch(config, by=stage.site.second)
        stage.tells(second, "nobody knows")
        second.end()
        stage.go(config)
        stage.ended(config)
        stage.launch(config, by=stage.site.second).end()
    once(stage, config)


@situation("one home under two clusters: started from a's login node, continued from b's")
def other_login_node(stage: Stage) -> None:
    config = stage.sweep()
    first = stage.launch(config)
    stage.started(config)
    stage.job(config)
    first.kill()
    second = stage.launch(config, cluster=stage.b)
    stage.silence()
    stage.go(config)
    second.end()
    once(stage, config)


@situation("the controller starts cold: it knows no job, the accounts say RUNNING for ever", slow=True, alone=True)
def cold_controller(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config, cluster=stage.b)
    stage.started(config)
    job = stage.job(config)
    until(lambda: "RUNNING" in stage.b.run("sacct", "-n", "-j", job, "-o", "state").stdout, 30, "accounts have the job")
    stage.b.restart_cold()
    launcher.end(120 + 1.2 * stage.patience_seconds)
    starts = stage.starts(config)
    assert list(starts.values()) == [1], starts
    if "the launch ended with exit code 137" in launcher.said:
        # A node that registers meanwhile is told to kill what the controller does not know.
        stage.told.append("the controller had the job killed")
        once(stage, config, outcome="crash")
        return
    stage.tells(launcher, "nobody knows")
    (slug,) = starts
    stage.go(config)
    if lives := stage.job_lives(config):  # on a node that nobody asks
        stage.ended(config)
    stage.told.append(stage.nodesweep(config, "forget", slug, cluster=stage.b))
    stage.launch(config, cluster=stage.b).end()
    assert list(stage.starts(config).values()) == [1 if lives else 2], stage.journals(config)
    assert stage.outcomes(config) == ["ok"], stage.rows(config)


@situation("squeue answers with nothing and no error for a while, sacct not at all")
def empty_answers(stage: Stage) -> None:
    config, lies = stage.sweep(), stage.folder / "lies"
    stage.wrap("squeue", f"[[ ! -e {lies} ]] || exit 0")
    stage.wrap("sacct", 'echo "sacct: error: Problem talking to the database: Connection refused" >&2; exit 1')
    launcher = stage.launch(config)
    stage.started(config)
    stage.job(config)
    lies.touch()
    stage.tells(launcher, "nobody knows")
    launcher.end()
    lies.unlink()
    stage.unwrap("sacct")
    stage.go(config)
    stage.launch(config).end()
    once(stage, config)
