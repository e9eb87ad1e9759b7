"""What trainers print that nobody has described, and words that any of them may say."""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, StartLine, line_with
from nodesweep.logs.patterns.quantities import COUNT, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import NONE, Format, Trainer

# Iterations went by, but the line does not say how long they took.
_ITERATION = IterationPattern(
    name="unknown",
    head=LinePattern(
        ("iteration: ",),
        Pattern(rf"(?<!\w)iteration: {{1,12}}(?P<number>{COUNT})/(?P<total>{COUNT}) {{1,4}}\d{{1,3}}% \| "),
    ),
    quantities=(
        quantity("loss", "loss", r"\| LABEL: VALUE \|"),
        quantity("loss", "per_token_loss", r"\| LABEL: VALUE \|"),
    ),
    rank=3,
)

TRAINER = Trainer(
    formats=(Format("unknown", _ITERATION, NONE),),
    starts=(StartLine(line_with(", in train", r", in train(?:ing)?_(?:step|batch)\b"), has_begun=True),),
    successes=(
        Success(
            "completed",
            "script",
            ("raining complete",),
            Pattern(r"\b[Tt]raining (?:is )?complete(?:d|!|\.|\s*$)"),
        ),
        Success(
            "finished",
            "script",
            ("raining finished", "inished training", "inished Training"),
            Pattern(r"\b(?:[Tt]raining finished|[Ff]inished [Tt]raining)\b(?! (?:step|batch|epoch|iteration|data))"),
        ),
    ),
)
