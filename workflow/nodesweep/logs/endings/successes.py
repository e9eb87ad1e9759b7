"""What the end of a run that did its work looks like in a log, whatever the trainer, as rows of data.

Every row has an example in tests/logs/examples/successes.tsv.
"""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.regex import Pattern

SUCCESSES = (
    Success("megatron", "trainer", ("after training is done",), Pattern(r"\[after training is done\]")),
    Success(
        "megatron_exit",
        "trainer",
        ("exiting program a",),
        Pattern(r"exiting program (?:at iteration {1,12}\d|after {1,4}\d)"),
    ),
    Success("lightning", "trainer", ("`Trainer.fit` stopped: ",), Pattern(r"`Trainer\.fit` stopped: `max_\w{1,20}=")),
    Success(
        "transformers",
        "trainer",
        ("train_runtime", "***** train metrics *****"),
        Pattern(
            r"^(?!.{0,2000}'loss': ).{0,2000}'train_runtime': '?\d|"  # not in the dictionary of each step
            r"train_runtime {1,60}= {1,8}\d|\*{5} train metrics \*{5}"
        ),
        trained=True,
    ),
    Success("completed", "script", ("raining complete",), Pattern(r"\b[Tt]raining (?:is )?complete(?:d|!|\.|\s*$)")),
    Success(
        "finished",
        "script",
        ("raining finished", "inished training", "inished Training"),
        Pattern(r"\b(?:[Tt]raining finished|[Ff]inished [Tt]raining)\b(?! (?:step|batch|epoch|iteration|data))"),
    ),
    Success("torchrun", "script", (" successfully",), Pattern(r"finished successfully \(code 0\)")),
    Success("skypilot", "script", ("(status: SUCCEEDED)",), Pattern(r"Job finished \(status: SUCCEEDED\)")),
    Success(
        "picotron",
        "trainer",
        ("| Tokens/s/GPU: ",),
        Pattern(r"\| Tokens: {1,6}(\d{1,4}(?:\.\d{1,3})?[KMBT]?)/\1 \|"),
    ),
    Success("deepspeed", "process", (" successfully",), Pattern(r"Process \d{1,9} exits successfully")),
)
