"""Snakemake's door to nodesweep: hands layouts to the runner, reports what became of them."""

import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from snakemake_interface_common.exceptions import ApiError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode, ExecutorSettingsBase

from nodesweep.common.errors import LockError, NodesweepError
from nodesweep.common.files import file_error_message, write_atomic
from nodesweep.common.lock import SweepLock
from nodesweep.common.text import visible
from nodesweep.launch.history import decisions_of
from nodesweep.launch.records import summary
from nodesweep.launch.runner import Runner
from nodesweep.launch.snakemake import (
    check_command_lines,
    choose_executor,
    interrupt_on_signals,
    layouts_to_run,
    stand_aside,
    study_of,
)
from nodesweep.launch.submission import Finished, Policy
from nodesweep.schedulers import scheduler_of

check_command_lines()

REPORT_SECONDS = 0.5
"""Between two reports of ended layouts to Snakemake, as long as others run."""


@dataclass
class ExecutorSettings(ExecutorSettingsBase):  # type: ignore[misc]  # Snakemake's interface has no types
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
    canary: int = field(
        default=3,
        metadata={
            "help": "How many jobs of a sweep go ahead until one of them has done an iteration; where all of them fail "
            "in the same way before that, the others are not submitted. 0: all go at once.",
            "type": int,
        },
    )
    log_wait_seconds: float = field(
        default=120.0,
        metadata={
            "help": "How long the end of a job waits for its log where a file system shows it late; 0 for not at all.",
            "type": float,
        },
    )

    def __post_init__(self) -> None:
        for option, value, least in (
            ("jobs-at-once", self.jobs_at_once, 1),
            ("retries", self.retries, 0),
            ("canary", self.canary, 0),
            ("hang-seconds", self.hang_seconds, 0),
            ("log-wait-seconds", self.log_wait_seconds, 0),
        ):
            if not value >= least:
                raise ApiError(f"--nodesweep-{option} is {value}: give a number of {least} or more")
        if not self.poll_seconds > 0:
            raise ApiError(f"--nodesweep-poll-seconds is {self.poll_seconds}: give a number of seconds above 0")
        choose_executor(self.machine)


common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False, pass_envvar_declarations_to_cmd=False
)


class Executor(RealExecutor):  # type: ignore[misc]  # Snakemake's interface has no types
    """Hands each ready job to the runner, which decides what is submitted when."""

    def __post_init__(self) -> None:
        self._handed: dict[str, SubmittedJobInfo] = {}
        self._runner: Runner | None = None
        self._watching: threading.Thread | None = None
        self._stopped = threading.Event()
        try:
            study = study_of(self.workflow)
            self._lock = SweepLock(study.folder, self.executor_settings.jobs_at_once, self._tell)
        except NodesweepError as error:
            if isinstance(error, LockError):
                stand_aside()
            raise ApiError(str(error)) from None

    def _start(self) -> Runner:
        """The queue, once there is something to run: plans and tables need no scheduler."""
        settings, study = self.executor_settings, study_of(self.workflow)
        try:
            runner = Runner(
                study,
                scheduler_of(study.sweep.machine.scheduler),
                Policy(
                    jobs_at_once=settings.jobs_at_once,
                    poll_seconds=settings.poll_seconds,
                    retries=settings.retries,
                    hang_seconds=settings.hang_seconds,
                    on_hang=settings.on_hang,
                    canary=settings.canary,
                    log_wait_seconds=settings.log_wait_seconds,
                ),
                tell=self._tell,
                decisions=decisions_of(study),
                note=self._note,
                total=layouts_to_run(self.workflow),
                check_lock=self._lock.check,
            )
            runner.recover()
        except NodesweepError as error:
            raise ApiError(str(error)) from None
        except OSError as error:
            raise ApiError(file_error_message(error)) from None
        # Whoever shows progress asks for it when it likes: it changes with every second that passes.
        extra = {"nodesweep": "progress", "progress": lambda: runner.progress}
        self.logger.info("the launcher begins", extra=extra)
        return runner

    def _tell(self, line: str) -> None:
        """One line for the user."""
        self.logger.info(visible(line), extra={"nodesweep": "event"})

    def _note(self, line: str) -> None:
        """One line for the full log."""
        self.logger.info(visible(line), extra={"nodesweep": "detail"})

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Queue runs; the runner submits their scripts when their turn comes, and says so, a line each.

        `run_job_pre` would have Snakemake say a page of each.
        """
        if self._runner is None:
            self._runner = self._start()
            interrupt_on_signals()
        for job in jobs:
            self.run_job(job)
        self._runner.add([job.wildcards.slug for job in jobs])
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, args=(self._runner,), daemon=True)
            self._watching.start()
        self._runner.wake()

    def run_job(self, job: JobExecutorInterface) -> None:
        """Take a job over from Snakemake; the journal keeps what Snakemake's own notes of started jobs would."""
        info = SubmittedJobInfo(job)
        self._handed[job.wildcards.slug] = info
        self.report_job_submission(info, register_job=False)

    def _watch(self, runner: Runner) -> None:
        """Let the runner work, and report what it is done with, until the executor is shut down."""
        unreported: list[Finished] = []
        report_at = 0.0
        try:
            while not self._stopped.is_set():
                self._lock.check()
                unreported += runner.step()
                if time.monotonic() >= report_at or not runner.running:
                    # Many short jobs are reported together: Snakemake goes through more than what has ended each time.
                    self._report(unreported)
                    unreported, report_at = [], time.monotonic() + REPORT_SECONDS
                poll_seconds = self.executor_settings.poll_seconds
                until_report = max(report_at - time.monotonic(), 0.0) if unreported else poll_seconds
                runner.wait(min(poll_seconds, until_report))
        except LockError as error:
            stand_aside()
            self.workflow.scheduler.executor_error_callback(ApiError(str(error)))
        except (NodesweepError, OSError) as error:
            text = file_error_message(error) if isinstance(error, OSError) else f"{error}"
            message = f"{text}; running jobs go on, and the same command takes over from here"
            self.workflow.scheduler.executor_error_callback(ApiError(message))
        except Exception as error:
            self.workflow.scheduler.executor_error_callback(error)

    def _report(self, finished: list[Finished]) -> None:
        """Report the runs the runner is done with."""
        for done in finished:
            info = self._handed.pop(done.slug)
            if done.final:
                self.report_job_success(info)
            else:
                _write_log(Path(info.job.log[0]), done)
                what_next = done.way_out or "the next run tries again"
                self.report_job_error(info, msg=visible(f"{done.slug}: {summary(done.record)}; {what_next}. "))

    def cancel(self) -> None:
        """On interrupt: leave what runs to the next launcher, or end it, as the profile says."""
        cancels = self.executor_settings.on_interrupt == "cancel" and self._holds_lock()
        self._hide_progress()
        if self._runner is not None:
            try:
                running = self._runner.close(cancel=cancels)
                if running and not cancels:
                    ids = ", ".join(job.id or job.key for job in running)
                    self._tell(f"left running: job {ids}; the same command takes over from here")
            except NodesweepError as error:
                self.logger.error(f"running jobs could not be cancelled: {error}")
        self.shutdown()

    def _holds_lock(self) -> bool:
        """Whether the running jobs are this launcher's, and not those of one that has taken over."""
        try:
            self._lock.check()
        except (NodesweepError, OSError):
            return False
        return True

    def shutdown(self) -> None:
        """Stop looking; the lock goes last."""
        self._hide_progress()
        self._stopped.set()
        if self._runner is not None:
            self._runner.wake()
            progress = replace(self._runner.progress, left_seconds=None)
            self._tell(progress.line)
        if self._watching is not None:
            self._watching.join()
        self._lock.release()

    def _hide_progress(self) -> None:
        self.logger.info("the launcher ends", extra={"nodesweep": "progress", "progress": None})

    @property
    def cores(self) -> str:
        """Never asked for: jobs run no Snakemake of ours."""
        return "all"

    def get_exec_mode(self) -> ExecMode:
        """Never asked for: jobs run no Snakemake of ours."""
        return ExecMode.REMOTE

    def get_python_executable(self) -> str:
        """Never asked for: jobs run no Snakemake of ours."""
        return sys.executable


def _write_log(path: Path, done: Finished) -> None:
    """Where Snakemake points its users after an error: what happened, and where the run's own log is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, f"{summary(done.record)}\nthe run's own log: layouts/{done.slug}/{done.record.log}\n")
