"""Say what a model is: its parameters by part, its FLOPs by each convention, the bytes of its state."""

import argparse

from nodesweep.common.errors import ConfigError
from nodesweep.config.loader import shown
from nodesweep.config.model_files import read_model
from nodesweep.reports.model_summary import ModelSummary
from nodesweep.sweep.constraints import broken_laws


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which model, at which sequence lengths, and in which form."""
    command.add_argument(
        "name",
        metavar="NAME|FILE",
        help="a model under config/models, a YAML file of one or of a sweep, or a Hugging Face config.json",
    )
    command.add_argument(
        "--sequence-length",
        nargs="+",
        type=_tokens,
        default=[4096, 8192],
        metavar="TOKENS",
        help="tokens of a sample (default: 4096 8192)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object; docs/models.md explains its keys")


def run(options: argparse.Namespace) -> None:
    """Print the figures of the model."""
    named = read_model(options.name)
    for broken in broken_laws(named.model.values):
        raise ConfigError(f"{shown(named.path)}: {broken.sentence}")
    summary = ModelSummary(named.model, options.sequence_length, named.not_understood)
    print(summary.to_json() if options.json else summary.text())


def _tokens(text: str) -> int:
    """A number of tokens; raises ArgumentTypeError for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number of tokens, such as 4096")
    return int(text)
