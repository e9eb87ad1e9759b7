"""Situations of real sites, to be played on real clusters; importing this package enters all of them."""

from slurm.situations import folders, launchers, listings, logs, states
from slurm.situations.registry import SITUATIONS, Situation, play_all

__all__ = ["SITUATIONS", "Situation", "folders", "launchers", "listings", "logs", "play_all", "states"]
