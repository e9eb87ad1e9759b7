"""Which ready jobs Snakemake takes next: all that fit, in one pass, since the nodesweep executor keeps the queue.

Snakemake's own schedulers weigh every ready job against every other, which 10,000 layouts make felt.
"""

from collections.abc import Mapping, Sequence

from snakemake_interface_common.io import AnnotatedStringInterface
from snakemake_interface_scheduler_plugins.base import SchedulerBase
from snakemake_interface_scheduler_plugins.interfaces.jobs import JobSchedulerInterface

from nodesweep.launch.snakemake import lift_job_rate


class Scheduler(SchedulerBase):  # type: ignore[misc]  # Snakemake's interface has no types
    """First come, first served, and as many at once as there are: the executor keeps its own rate."""

    def __post_init__(self) -> None:
        lift_job_rate(self.dag.workflow)

    def select_jobs(
        self,
        selectable_jobs: Sequence[JobSchedulerInterface],
        remaining_jobs: Sequence[JobSchedulerInterface],
        available_resources: Mapping[str, int | str],
        input_sizes: dict[AnnotatedStringInterface, int],
    ) -> list[JobSchedulerInterface]:
        """The ready jobs that fit into what is left of each resource, those of higher priority first."""
        left = {name: amount for name, amount in available_resources.items() if isinstance(amount, int)}
        selected = []
        for job in sorted(selectable_jobs, key=lambda job: -job.priority):
            needed = {name: job.scheduler_resources.get(name, 0) for name in left}
            if all(needed[name] <= left[name] for name in left):
                left = {name: left[name] - needed[name] for name in left}
                selected.append(job)
        return selected
