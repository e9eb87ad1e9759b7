"""The commands of nodesweep, one module a command; each opens the files that the packages behind it work on."""
