"""Models that old logs describe by their trainer's arguments: size, rates by their own widths, and what is not told."""

import csv
from pathlib import Path

import pytest

from nodesweep.cli.main import main

LLAMA_3_8B = {
    "ffn_hidden_size": 14336,
    "global_batch_size": 128,
    "hidden_size": 4096,
    "micro_batch_size": 1,
    "num_attention_heads": 32,
    "num_layers": 32,
    "num_query_groups": 8,
    "padded_vocab_size": 128256,
    "recompute_granularity": None,
    "seq_length": 8192,
    "swiglu": True,
    "tensor_model_parallel_size": 1,
    "pipeline_model_parallel_size": 1,
    "world_size": 8,
}
"""Arguments as Megatron-LM prints them."""


def ingested(monkeypatch: pytest.MonkeyPatch, folder: Path, tflops: float, **changes: object) -> dict[str, str]:
    """The row of a log with these arguments, whose iterations of 16.5 s say this rate of a rank."""
    given = {name: value for name, value in (LLAMA_3_8B | changes).items() if value != ""}
    lines = ["------------------------ arguments ------------------------"]
    lines += [f"  {name} {'.' * (48 - len(name))} {value}" for name, value in given.items()]
    lines += ["-------------------- end of arguments ---------------------"]
    lines += [
        f" [2026-08-01 10:0{number}:10.0] iteration        {number}/       4 | consumed samples:          128 | "
        f"elapsed time per iteration (ms): 16500.0 | throughput per GPU (TFLOP/s/GPU): {tflops} | "
        "learning rate: 3.0E-04 | global batch size:   128 | lm loss: 1.0E+01 | loss scale: 1.0 |"
        for number in range(1, 5)
    ]
    (folder / "run.log").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(folder)
    assert main(["ingest", "run.log"]) == 0
    with (folder / "results" / "run" / "results.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    return row


@pytest.mark.parametrize(("tflops", "is_doubted"), [(455.0, False), (406.0, False), (350.0, True)])
def test_llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tflops: float, is_doubted: bool) -> None:
    """460 TFLOP/s with attention over the whole square, 409 over half of it: no log that says either is doubted.

    A sample takes 474.4 or 421.6 TFLOPs (3 x 8192^2 x 32 layers x 8192 apart), a rank has 16 of them in 16.5 s.
    """
    row = ingested(monkeypatch, tmp_path, tflops)
    assert (row["model_size"], row["kv_heads"], row["gated_ffn"]) == ("8.03B", "8", "True")
    assert float(row["model_tflops_per_node"]) == pytest.approx(474.42 * 16 / 16.5, rel=1e-4)
    assert ("log says" in row["flags"]) == is_doubted


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({}, "tied_embeddings is not told: Size 8.03B is with no, as in Llama; with yes it is 7.50B"),
        ({"untie_embeddings_and_output_weights": True}, ""),
        ({"untie_embeddings_and_output_weights": True, "vocab_size": "", "padded_vocab_size": ""}, ""),
    ],
)
def test_what_a_size_takes_for_granted_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, str | bool], remark: str
) -> None:
    """The output layer of Llama 3 8B, 128256 x 4096, is 0.53B: a log that is silent about it does not tell the Size.

    Biases and norms, which it does not tell either, are 1.6M at most and change no figure of it.
    """
    flags = ingested(monkeypatch, tmp_path, 455.0, **changes)["flags"]
    assert remark in flags and flags.count("is not told: Size") == bool(remark)


def test_a_block_that_may_have_a_gate_has_no_rate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shared heads of k and v go with gates: where the log does not say so, no formula is known to hold."""
    row = ingested(monkeypatch, tmp_path, 455.0, swiglu="")
    assert (row["tflops_per_node"], row["kv_heads"]) == ("", "8")
    assert "not told whether the FFN has a gate: no TFLOPs by the formula" in row["flags"]


def test_a_plain_gpt_counts_its_own_width(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without gate and shared heads it is a GPT: 24 L h^2 of a token is 8 L h^2 + 4 L h f, by eq. 3."""
    row = ingested(monkeypatch, tmp_path, 300.0, swiglu="", num_query_groups="")
    layers = 32 * (8 * 4096**2 + 4 * 4096 * 14336)
    flops = 128 * 8192 * 3 * (layers + 4 * 32 * 4096 * 8192 + 3 * 128256 * 4096 // 2)
    assert float(row["tflops_per_node"]) == pytest.approx(flops / (16.5 * 8 * 1e12))


@pytest.mark.parametrize(("kv_heads", "findings"), [(32, 1), (8, 0)])
def test_a_table_of_shared_heads_is_not_held_against_the_formula(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], kv_heads: int, findings: int
) -> None:
    """460 TFLOPs of eight ranks are wrong of a GPT, and right of Llama 3 8B, whose gate no table tells."""
    (tmp_path / "kept.md").write_text(
        "| Nodes | GPUs | DP | TP | PP | MBS | GBS | Seq | AC | num-layers | hidden-size | ffn-hidden-size | "
        "num-attention-heads | KV heads | vocab-size | Sec/it | TFLOPs |\n" + "|---" * 17 + "|\n"
        f"| 1 | 8 | 8 | 1 | 1 | 1 | 128 | 8192 | No | 32 | 4096 | 14336 | 32 | {kv_heads} | 128256 | 16.5 | 3680 |\n"
    )
    monkeypatch.chdir(tmp_path)
    main(["import", "kept.md"])
    assert f"1 row in 1 table, {findings} finding" in capsys.readouterr().out
