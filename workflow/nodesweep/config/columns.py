"""The columns of results.csv: their names in order, the kind of their values, and what they mean."""

from dataclasses import dataclass

from .layout_field import Kind, LayoutField
from .layout_fields import LAYOUT_FIELDS
from .model_fields import MODEL_FIELDS


@dataclass(frozen=True)
class Tidy:
    """One column: the kind of its values, what they mean, and whether they are a statistic of the iterations.

    `later`: a results.csv of an older version may lack it; its values are not known then.
    """

    kind: Kind
    meaning: str
    of_iterations: bool = False
    later: bool = False


def _of_field(row: LayoutField) -> Tidy:
    return Tidy(row.kind, row.meaning, later=not row.in_every_slug)


TIDY = {
    "slug": Tidy("word", "name of the layout and of its folder"),
    **{row.column: _of_field(row) for row in LAYOUT_FIELDS.values() if row.column},
    "campaign": Tidy("word", "software stack it ran on; what is known of one says nothing of another"),
    "model": Tidy("word", "name of the model"),
    "model_size": Tidy("word", "parameters of the model, such as 30B"),
    **{row.column: _of_field(row) for row in MODEL_FIELDS.values() if row.column},
    "note": Tidy("word", "remark of the config"),
    "state": Tidy(
        "word",
        "pending, queued, running, held (nobody knows of its job), ended, pruned (for memory) or skipped (by budget, "
        "search or repeats)",
    ),
    "outcome": Tidy("word", "how an ended job ended: ok, oom, timeout, ..."),
    "where": Tidy("word", "where it ended, such as after iteration 3"),
    "evidence": Tidy("word", "line of the log, or word of the scheduler, that decided it"),
    "outcome_note": Tidy("word", "what else is to be said of the end"),
    "flags": Tidy("word", "what a reader of the figures must know"),
    "attempt": Tidy("count", "number of the last submission"),
    "job_id": Tidy("word", "its job"),
    "allocated_nodes": Tidy("word", "nodes it ran on, as the scheduler writes them"),
    "energy_joules": Tidy("number", "energy of all nodes over the whole job, by the scheduler's accounts, in J"),
    "power_watts": Tidy("number", "mean power of all nodes together, by the scheduler's accounts, in W"),
    "memory_mib": Tidy("number", "peak memory, in MiB"),
    "memory_rank": Tidy("count", "rank it was measured on"),
    "memory_source": Tidy("word", "who measured it, and of what"),
    "iterations_requested": Tidy("count", "iterations the run was to train for"),
    "warmup_iterations": Tidy("count", "first iterations left out by the config"),
    "iterations": Tidy("count", "last iteration in the log"),
    "iterations_saved": Tidy("count", "iterations not done since those before were enough, over all runs", later=True),
    "node_hours_saved": Tidy("number", "node-hours these would have cost at the pace of those done", later=True),
    "records_used": Tidy("count", "records of the log in the statistics"),
    "records_dropped": Tidy("count", "first records left out as warm-up"),
    "statistic": Tidy("word", "what stands for the iterations, median or mean"),
    "iteration_seconds": Tidy("number", "seconds per iteration", True),
    "iteration_seconds_median": Tidy("number", "seconds per iteration, median"),
    "iteration_seconds_mean": Tidy("number", "seconds per iteration, mean"),
    "iteration_seconds_half_interquartile_range": Tidy("number", "half the distance between their quartiles, in s"),
    "iteration_seconds_rounding": Tidy(
        "number", "seconds by which they may be off since the log rounds its figures", later=True
    ),
    "tokens_per_second": Tidy("number", "tokens per second of all nodes", True),
    "tflops_per_node": Tidy("number", "TFLOP/s per node by the formula, recomputation counted", True),
    "model_tflops_per_node": Tidy("number", "TFLOP/s per node by the formula, recomputation not counted", True),
    "log_tflops_per_node": Tidy("number", "TFLOP/s per node as the log gives them", True),
    "log_tflops_per_node_median": Tidy("number", "TFLOP/s per node as the log gives them, median"),
    "log_tflops_per_node_mean": Tidy("number", "TFLOP/s per node as the log gives them, mean"),
    "aggregate_petaflops": Tidy("number", "tflops_per_node * nodes / 1024", True),
    "shown_run": Tidy("word", "its run in the middle, which job, log, outcome and records are of", later=True),
    "runs": Tidy("count", "runs that did their work, which its times are medians of", later=True),
    "runs_ended": Tidy("count", "runs that have ended", later=True),
    "run_seconds_lowest": Tidy("number", "seconds per iteration of the fastest of these runs", later=True),
    "run_seconds_highest": Tidy("number", "seconds per iteration of the slowest of these runs", later=True),
    "run_seconds_low": Tidy(
        "number", "lower end of an interval that holds the median over runs, by order statistics", later=True
    ),
    "run_seconds_high": Tidy("number", "upper end of that interval", later=True),
    "run_seconds_confidence_percent": Tidy("number", "how often such an interval holds it, in %", later=True),
    "iteration_seconds_error": Tidy("number", "seconds by which another run of it may be faster or slower"),
    "mfu_percent": Tidy("number", "model FLOPs utilization: recomputation not counted, of the peak, in %", True),
    "hfu_percent": Tidy("number", "hardware FLOPs utilization: recomputation counted, of the peak, in %", True),
    "compute_percent": Tidy(
        "number",
        "share of an iteration in which micro batches are computed, with what MP, CP and sharding exchange for each, "
        "by the fit, in %",
    ),
    "bubble_percent": Tidy("number", "share in which stages wait for the pipeline to fill and drain, by the fit, in %"),
    "sync_percent": Tidy("number", "share that data-parallel replicas cost beside their work, by the fit, in %"),
    "sharing_percent": Tidy("number", "share in which ranks wait for cores that others have, by the fit, in %"),
    "scaling_efficiency_percent": Tidy(
        "number", "speed per node against the fewest nodes with the same model, MP and global batch, in %", True
    ),
    "weak_efficiency_percent": Tidy(
        "number", "speed per node against the fewest nodes with the same model, MP and batch per rank, in %", True, True
    ),
    "throughput_efficiency_percent": Tidy(
        "number", "speed per node against the fewest nodes with the same model and MP, at any batch, in %", True, True
    ),
    "node_hours_per_billion_tokens": Tidy("number", "node-hours to train on 1e9 tokens", True),
    "training_days": Tidy("number", "days to train on all tokens (training_tokens of the config)", True),
    "predicted_seconds": Tidy("number", "seconds per iteration that the other runs of its campaign predict"),
    "predicted_seconds_low": Tidy("number", "lower end of its interval, which holds 95 of 100"),
    "predicted_seconds_high": Tidy("number", "upper end of its interval"),
    "predicted_error_percent": Tidy("number", "how far the prediction is off what was measured, in %", True),
    "predicted_memory_mib": Tidy("number", "predicted peak of the rank that needs most, in MiB"),
    "predicted_memory_error_percent": Tidy("number", "how far that is off the measured peak of a rank, in %"),
    "first_loss": Tidy("number", "first loss of the log, in nats per token"),
    "last_loss": Tidy("number", "last loss of the log, in nats per token"),
    "log": Tidy("word", "name of the log in the layout's folder"),
    "source": Tidy("word", "run, import for a row of a hand-kept table, or ingest for an old log"),
    "source_file": Tidy("word", "the file an imported or ingested row was read from"),
    "source_line": Tidy("count", "its line there; of a log, that of the first record in the statistics"),
}
"""Names of the columns in order."""
