"""PyTorch Lightning, on which NeMo and others stand: the end of a fit."""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.lines import RunTotal
from nodesweep.logs.patterns.quantities import COUNT, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import Trainer

TRAINER = Trainer(
    totals=(
        RunTotal("`Trainer.fit` stopped: ", quantity("train_steps", "max_steps", r"LABEL=VALUE` reached", value=COUNT)),
    ),
    successes=(
        Success(
            "lightning",
            "trainer",
            ("`Trainer.fit` stopped: ",),
            Pattern(r"`Trainer\.fit` stopped: `max_\w{1,20}="),
        ),
    ),
)
