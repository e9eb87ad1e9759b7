"""Hand-kept tables for the tests of import: consistent ones made at random, and the errors people make in them."""

import random
from dataclasses import dataclass, replace

from nodesweep.performance.dimensions import Dimensions

MODELS = [(48, 7168, 56, "30B"), (40, 5120, 40, "13B"), (24, 2048, 16, "1.3B"), (32, 4096, 32, "6.7B")]
HEADINGS = {
    "nodes": ["Nodes", "#Nodes", "Number of nodes", "ノード数"],
    "data": ["DP", "Data parallel", "data-parallel size", "データ並列"],
    "tensor": ["MP", "TP", "tensor-model-parallel size", "テンソル並列数"],
    "pipeline": ["PP", "Pipeline parallel", "パイプライン並列"],
    "micro": ["MBS", "Micro batch size", "micro-batch", "マイクロバッチサイズ"],
    "batch": ["GBS", "Global Batch Size", "グローバルバッチ"],
    "ac": ["AC", "Recompute", "Activation checkpointing", "再計算"],
    "rate": ["TFLOPs", "TFLOP/s"],
    "aggregate": ["Est. Aggr. PetaFLOPs", "Total PFLOPS", "Aggregate PFLOP/s"],
    "note": ["Notes", "Remarks", "備考"],
}
SECONDS = ["Sec/it", "s/iter", "Time per iteration (s)", "秒/反復"]
MILLISECONDS = ["ms/it", "Iteration time [ms]", "time per step（ms）", "Step time ms"]


@dataclass
class Row:
    """A row of numbers before it is written; `parts` are what its TFLOPs are divided by."""

    nodes: int
    data: int
    tensor: int
    pipeline: int
    micro: int
    batch: int
    ac: bool
    rate: float
    seconds: float
    note: str

    def layout(self) -> tuple[int, ...]:
        """What tells it from other rows."""
        return (self.data, self.tensor, self.pipeline, self.micro, self.batch, self.ac)


@dataclass
class Study:
    """A document of one table; `marked` is the row with an error, or None for the whole column or document."""

    random: random.Random
    rows: list[Row]
    model: tuple[int, int, int, str]
    sequence: int
    per_node: int
    columns: list[str]
    headings: dict[str, str]
    milliseconds: bool
    factor: float = 1.0
    aggregates: dict[int, float] | None = None

    def line(self, row: int) -> int:
        """The line a row stands on."""
        return self.text().splitlines().index(self._row(row)) + 1

    def text(self) -> str:
        """The document."""
        layers, hidden, heads, name = self.model
        lines = [f"# {name} model", "", "## Setup", "", f"- --num-layers {layers}", f"- hidden_size: {hidden}"]
        lines += [f"- num-attention-heads = {heads:,}", "", f"## Results, sequence length={self.sequence}", ""]
        lines.append("| " + " | ".join(self.headings[name] for name in self.columns) + " |")
        lines.append("|" + " --: |" * len(self.columns))
        return "\n".join(lines + [self._row(number) for number in range(len(self.rows))]) + "\n"

    def _row(self, number: int) -> str:
        row = self.rows[number]
        aggregate = row.rate * row.nodes / 1024
        if self.aggregates and number in self.aggregates:
            aggregate *= self.aggregates[number]
        texts = {
            "seconds": f"{row.seconds * self.factor:.3f}",
            "rate": f"{row.rate:.3f}",
            "aggregate": f"{aggregate:.4f}",
            "ac": "Yes" if row.ac else "No",
            "note": row.note,
        }
        return "| " + " | ".join(texts.get(name, str(getattr(row, name, ""))) for name in self.columns) + " |"


def consistent(seed: int) -> Study:
    """A study without errors: other headings, order of columns, units, models and layouts for every seed."""
    chance = random.Random(seed)
    model, sequence = chance.choice(MODELS), chance.choice([1024, 2048, 4096])
    per_node, milliseconds = chance.choice([1, 1, 4, 8]), chance.random() < 0.3
    columns = ["nodes", "data", "tensor", "pipeline", "micro", "batch", "seconds", "rate"]
    columns += [name for name in ("ac", "aggregate", "note") if chance.random() < 0.6]
    chance.shuffle(columns)
    headings = {name: chance.choice(words) for name, words in HEADINGS.items()}
    headings["seconds"] = chance.choice(MILLISECONDS if milliseconds else SECONDS)
    always = chance.random() < 0.5
    rows: dict[tuple[int, ...], Row] = {}
    for _ in range(40):
        row = _row(chance, model, sequence, per_node, always or chance.random() < 0.5)
        if row and len(rows) < 7:
            rows.setdefault(row.layout() if "ac" in columns else row.layout()[:-1], row)
    return Study(
        chance, list(rows.values()), model, sequence, per_node, columns, headings, milliseconds, 1000.0**milliseconds
    )


def _row(chance: random.Random, model: tuple, sequence: int, per_node: int, ac: bool) -> Row | None:
    layers, hidden, heads, _ = model
    data, micro = chance.choice([1, 2, 4, 8, 16]), chance.choice([1, 2, 4])
    tensor, pipeline = chance.choice([n for n in (2, 4, 8) if heads % n == 0]), chance.choice([4, 8])
    nodes, rest = divmod(data * tensor * pipeline, per_node)
    if rest:
        return None
    batch = data * micro * chance.choice([8, 16, 64])
    work = Dimensions(
        layers=layers,
        hidden_size=hidden,
        sequence_length=sequence,
        vocab_size=50257,
        global_batch=batch,
        tensor=tensor,
        activation_checkpointing=ac,
    ).hardware_flops
    rate = round(chance.uniform(0.5, 150), 3)
    seconds = work / (rate * 1e12 * nodes)
    return Row(nodes, data, tensor, pipeline, micro, batch, ac, rate, seconds, chance.choice(["4/22", "4/23", "first"]))


def with_error(study: Study, kind: str) -> int | None:
    """Put one error into a study; gives the line it should be found on, None where it cannot be put in."""
    chance, rows = study.random, study.rows
    number = chance.randrange(len(rows))
    row = rows[number]
    heading = study.text().splitlines().index(study.text().split("\n\n")[-1].splitlines()[0]) + 1
    if kind == "data":
        row.data *= chance.choice([2, 3])
    elif kind == "rate":
        row.rate = round(row.rate * chance.choice([0.4, 1.9]), 3)
        study.aggregates = {number: 1.0}
    elif kind == "batch":
        if row.data * row.micro == 1:
            return None
        row.batch += 1
    elif kind == "unit":
        study.factor = 1.0 if study.milliseconds else 1000.0
        return heading
    elif kind == "aggregate":
        if "aggregate" not in study.columns or row.rate * row.nodes < 10:
            return None
        study.aggregates = {number: 1.7}
    elif kind == "duplicate":
        rows.append(replace(row, rate=row.rate))
        text = study.text().splitlines()
        return len(text)
    elif kind == "size":
        study.model = (*study.model[:3], "66B")
        return 1
    elif kind == "heads":
        study.model = (*study.model[:2], study.model[2] + 3, study.model[3])
        return 7
    return study.line(number)


ERRORS = ["data", "rate", "batch", "unit", "aggregate", "duplicate", "size", "heads"]
