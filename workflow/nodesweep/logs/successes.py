"""What the end of a run that did its work looks like in a log, whatever the trainer, as rows of data.

Every row has an example in tests/logs/successes.tsv.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Success:
    """A way to say that all went well: `kind` is unique.

    `said_by`: "trainer" for one that speaks of the whole run; "script" for words that a job script may print whatever
    became of the trainer; "process" for one of many processes. `trained`: it holds figures of a training, so that
    there was one though the log shows no iteration.
    `markers`: plain texts; a line without any of them need not be tried.
    """

    kind: str
    said_by: Literal["trainer", "script", "process"]
    markers: tuple[str, ...]
    pattern: re.Pattern[str]
    trained: bool = False


SUCCESSES = (
    Success("megatron", "trainer", ("after training is done",), re.compile(r"\[after training is done\]")),
    Success(
        "megatron_exit",
        "trainer",
        ("exiting program a",),
        re.compile(r"exiting program (?:at iteration {1,12}\d|after {1,4}\d)"),
    ),
    Success(
        "lightning", "trainer", ("`Trainer.fit` stopped: ",), re.compile(r"`Trainer\.fit` stopped: `max_\w{1,20}=")
    ),
    Success(
        "transformers",
        "trainer",
        ("train_runtime", "***** train metrics *****"),
        re.compile(r"'train_runtime': '?\d|train_runtime {1,60}= {1,8}\d|\*{5} train metrics \*{5}"),
        trained=True,
    ),
    Success("completed", "script", ("raining complete",), re.compile(r"\b[Tt]raining (?:is )?complete(?:d|!|\.|\s*$)")),
    Success(
        "finished",
        "script",
        ("raining finished", "inished training", "inished Training"),
        re.compile(r"\b(?:[Tt]raining finished|[Ff]inished [Tt]raining)\b(?! (?:step|batch|epoch|iteration|data))"),
    ),
    Success("torchrun", "script", ("finished successfully (code 0)",), re.compile(r"finished successfully \(code 0\)")),
    Success("skypilot", "script", ("(status: SUCCEEDED)",), re.compile(r"Job finished \(status: SUCCEEDED\)")),
    Success(
        "picotron",
        "trainer",
        ("| Tokens/s/GPU: ",),
        re.compile(r"\| Tokens: {1,6}(\d{1,4}(?:\.\d{1,3})?[KMBT]?)/\1 \|"),
    ),
    Success("deepspeed", "process", ("exits successfully",), re.compile(r"Process \d{1,9} exits successfully")),
)
