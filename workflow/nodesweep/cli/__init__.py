"""Subcommands of nodesweep: the only modules that open files for the rooms behind them."""
