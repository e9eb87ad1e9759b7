"""Snakemake's door to nodesweep: hands layouts to the runner, reports what became of them."""

import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path

from snakemake_interface_common.exceptions import ApiError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase
from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import write_atomic
from nodesweep.common.lock import SweepLock
from nodesweep.launch.history import decisions_of
from nodesweep.launch.progress import shown
from nodesweep.launch.records import summary
from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.launch.snakemake import check_command_line, study_of
from nodesweep.schedulers import scheduler_of

REPORT_SECONDS = 0.5
"""Between two reports of ended layouts to Snakemake, as long as others run."""


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """What a profile decides about submitting."""

    machine: str = field(
        default="",
        metadata={"help": "Machine for sweeps that name one of another scheduler: a name under config/machines."},
    )
    jobs_at_once: int = field(
        default=1, metadata={"help": "How many jobs may be queued or running at the same time.", "type": int}
    )
    poll_seconds: float = field(
        default=10.0, metadata={"help": "Longest time between two looks at the running jobs.", "type": float}
    )
    on_interrupt: str = field(
        default="leave",
        metadata={
            "help": "What happens to running jobs on Ctrl-C: `leave` them to be taken over, or `cancel` them.",
            "choices": ["leave", "cancel"],
        },
    )
    retries: int = field(
        default=2,
        metadata={
            "help": "How often a layout is submitted again on the spot after a failed node, a preemption or the like.",
            "type": int,
        },
    )
    hang_seconds: float = field(
        default=0.0,
        metadata={"help": "After how long without output a running job is taken to hang; 0 for never.", "type": float},
    )
    on_hang: str = field(
        default="report",
        metadata={
            "help": "What happens to a job that hangs: `report` it, or `cancel` it too.",
            "choices": ["report", "cancel"],
        },
    )

    def __post_init__(self) -> None:
        try:
            check_command_line(sys.argv[1:], self.machine)
        except (NodesweepError, ValueError) as error:  # ValueError: a --config that is no KEY=VALUE
            raise ApiError(str(error)) from None


common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False, pass_envvar_declarations_to_cmd=False
)


class Executor(RemoteExecutor):
    """Hands each ready job to the runner, which decides what is submitted when."""

    def __init__(self, workflow: WorkflowExecutorInterface, logger: LoggerExecutorInterface) -> None:
        self._needed = threading.Event()
        super().__init__(workflow, logger)

    def _wait_thread(self) -> None:
        """Look for ended jobs once there are any: the base class starts looking before this one is set up."""
        self._needed.wait()
        super()._wait_thread()

    def __post_init__(self) -> None:
        settings = self.workflow.executor_settings
        try:
            self._lock = SweepLock(study_of(self.workflow).folder, jobs_at_once=settings.jobs_at_once)
        except NodesweepError as error:
            raise ApiError(str(error)) from None
        self._poll_seconds = settings.poll_seconds
        self._cancels = settings.on_interrupt == "cancel"
        self._handed: dict[str, SubmittedJobInfo] = {}
        self._unreported: list[Finished] = []
        self._report_at = 0.0
        self._runner: Runner | None = None

    def _start(self) -> Runner:
        """The queue, once there is something to run: plans and tables need no scheduler."""
        settings = self.workflow.executor_settings
        study = study_of(self.workflow)
        try:
            scheduler = scheduler_of(study.sweep.machine.scheduler)
            policy = Policy(
                jobs_at_once=settings.jobs_at_once,
                poll_seconds=settings.poll_seconds,
                retries=settings.retries,
                hang_seconds=settings.hang_seconds,
                on_hang=settings.on_hang,
            )
            words = self._tell, decisions_of(study), self._note, _layouts_to_run(self.workflow)
            runner = Runner(study, scheduler, policy, *words)
            runner.recover()
        except (NodesweepError, OSError) as error:
            raise ApiError(str(error)) from None
        shown.source = lambda: runner.progress
        return runner

    def _tell(self, line: str) -> None:
        """One line for the user."""
        self.logger.info(line, extra={"nodesweep": "event"})

    def _note(self, line: str) -> None:
        """One line for the full log."""
        self.logger.info(line, extra={"nodesweep": "detail"})

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Queue layouts; the runner submits their scripts when their turn comes."""
        if self._runner is None:
            self._runner = self._start()
        # Snakemake would answer a SIGTERM by waiting for all it has handed over: here, for the whole sweep.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for job in jobs:  # without run_job_pre, which says pages of each: the runner says what is submitted
            self.run_job(job)
        self._runner.add([job.wildcards.slug for job in jobs])
        self._needed.set()
        self._runner.wake()

    def run_job(self, job: JobExecutorInterface) -> None:
        """Take a job over from Snakemake, on a list of our own: the base class goes through all of its at each look."""
        info = SubmittedJobInfo(job)
        self._handed[job.wildcards.slug] = info
        RealExecutor.report_job_submission(self, info, register_job=False)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report the jobs whose layout the runner is done with; those given are none, and none is given back.

        Many short jobs are reported together, since Snakemake goes through more than what has ended at each report.
        """
        try:
            self._unreported += self._runner.step()
        except (NodesweepError, OSError) as error:
            raise ApiError(f"{error}; running jobs go on, and the same command takes over from here") from None
        for info in active_jobs:
            yield info
        if self._report_at > time.monotonic() and self._runner.running:
            return
        self._report_at = time.monotonic() + REPORT_SECONDS
        finished, self._unreported = self._unreported, []
        for done in finished:
            info = self._handed.pop(done.slug)
            if done.final:
                self.report_job_success(info)
            else:
                _write_log(Path(info.job.log[0]), done)
                self.report_job_error(info, msg=f"{done.slug}: {summary(done.record)}; the next run tries again. ")

    async def sleep(self) -> None:
        """Wait for a job's end, a new job, or the next look or report."""
        until_report = max(self._report_at - time.monotonic(), 0.0) if self._unreported else self._poll_seconds
        self._runner.wait(min(self._poll_seconds, until_report))

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """On interrupt: leave what runs to the next launcher, or end it, as the profile says."""
        shown.source = None
        if self._runner is None:
            return
        try:
            running = self._runner.close(cancel=self._cancels)
        except NodesweepError as error:
            self.logger.error(f"running jobs could not be cancelled: {error}")
            return
        if running and not self._cancels:
            ids = ", ".join(job.id or job.key for job in running)
            self._tell(f"left running: job {ids}; the same command takes over from here")

    def shutdown(self) -> None:
        """Stop looking; the lock goes last."""
        shown.source = None
        self.wait = False
        self._needed.set()
        if self._runner is not None:
            self._runner.wake()
            progress = replace(self._runner.progress, left_seconds=None)
            self._tell(f"{progress.done} of {progress.total} layouts done: {progress.words}")
        super().shutdown()
        for thread in threading.enumerate():  # Snakemake's, to look for more jobs in a second: it would wait for them
            if isinstance(thread, threading.Timer):
                thread.cancel()
        self._lock.release()


def _layouts_to_run(workflow: WorkflowExecutorInterface) -> int:
    """How many layouts Snakemake is going to hand over, some at a time."""
    return sum(job.rule.name == "run" for job in workflow.dag.needrun_jobs())


def _write_log(path: Path, done: Finished) -> None:
    """Where Snakemake points its users after an error: what happened, and where the run's own log is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, f"{summary(done.record)}\nthe run's own log: layouts/{done.slug}/{done.record['log']}\n")
