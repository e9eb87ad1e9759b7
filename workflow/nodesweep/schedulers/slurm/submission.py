"""What sbatch is given beside the job script, what of that is nodesweep's own, and what its answer means."""

import os
import re

from nodesweep.common.errors import ConfigError
from nodesweep.schedulers.batch import Complaints
from nodesweep.schedulers.own_options import OwnOptions

SITE_VARIABLES = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT")
"""Variables by which a site tells all of Slurm's commands whom to ask; whatever else begins so is an outer job's."""

# Variables of sbatch that say where a site wants its jobs, with the options that say it in a script: of these alone
# nodesweep has nothing to say itself. sbatch follows a variable rather than the script.
_HONOURED = {
    "SLURM_CLUSTERS": "clusters M",
    "SBATCH_CLUSTERS": "clusters M",
    "SBATCH_PARTITION": "partition p",
    "SBATCH_ACCOUNT": "account A",
    "SBATCH_QOS": "qos q",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_CONSTRAINT": "constraint C",
    "SBATCH_CLUSTER_CONSTRAINT": "cluster-constraint",
    "SBATCH_WCKEY": "wckey",
    "SBATCH_GRES": "gres",
    "SBATCH_GPUS": "gpus G",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_GPUS_PER_SOCKET": "gpus-per-socket",
    "SBATCH_GPUS_PER_TASK": "gpus-per-task",
}
_DIRECTIVE = re.compile(r"^#SBATCH --?([A-Za-z][\w-]*)", re.MULTILINE)

# Where a limit of accounts or QOS forbids a job, sbatch says one sentence for all limits, and since Slurm 18 before it
# a line of one word, which names the limit: QOSMaxNodePerJobLimit, AssocMaxSubmitJobLimit. All words of limits on how
# many jobs are submitted hold "Submit"; all others are limits on what a job asks for.
_POLICY = r"violates accounting/QOS policy"
COMPLAINTS = Complaints(
    refused=re.compile(
        rf"^(?:\w+: )?error: (?!\w*Submit)[A-Z]\w{{3,80}}\s*$(?=[\s\S]*{_POLICY})"
        r"|Invalid (?:partition|account|qos|job array|feature|wckey|reservation|license|node name|clusters?)"
        r"|Requested (?:node|nodes|time|partition|reservation)"
        r"|node configuration is not available|Node count specification invalid|Job dependency problem"
        r"|[Pp]ermission denied|not permitted to use|More processors requested|Unable to open file"
        r"|(?:CPU|Memory|Pn) [\w ]{0,40}(?:specification invalid|can ?not be satisfied)"
        r"|Invalid (?:time|generic resource|Trackable|directive|--\w)|unrecognized option|invalid option"
        r"|Batch script (?:is empty|contains)|does not exist|No partition specified",
        re.MULTILINE,
    ),
    crowded=re.compile(
        rf"^(?:\w+: )?error: \w*Submit\w*\s*$(?=[\s\S]*{_POLICY})"
        r"|job queue full|temporarily unable to accept|creation temporarily disabled",
        re.MULTILINE | re.IGNORECASE,
    ),
    unsure=re.compile(_POLICY),
)
SLEEPS = re.compile(r"(?:sleeping and|disabled,) retrying")
"""What sbatch says before it sleeps, for one second at first, and submits again by itself, for two minutes."""

_NO_OUTPUT = "nodesweep sends all output to <key>.log and reads it there; leave it out"
_ONE_START = "a submission is one job that starts once, and nodesweep itself submits it again; leave it out"
_ANSWER = "nodesweep reads sbatch's answer and watches the job itself; leave it out"
OWN_OPTIONS = OwnOptions(
    {
        "output o error e open-mode": _NO_OUTPUT,
        "job-name J": "a job's name is the key it is found by; leave it out",
        "array a requeue no-requeue": _ONE_START,
        "nodes N": "`nodes` of the layouts says it",
        "ntasks n ntasks-per-node tasks-per-node": "`nodes` of the layouts and `ranks_per_node` of the machine say it",
        "export export-file": "a job gets its key by the environment; set variables by `environment`",
        "chdir D": "a job works in the folder that nodesweep was started in; put a `cd` into `setup`",
        "wrap input i": "the job script is what runs; what it reads is for the workload's `command`",
        "wait W parsable quiet Q test-only": _ANSWER,
    },
    beside={"queues": "partition p time t time-min", "elapse_limit_seconds": "time t time-min"},
    shortened=True,
)


def check_script(script: str) -> None:
    """Raise ConfigError where Slurm would send a job's output elsewhere: it drops backslashes from names of files."""
    if re.search(r"^#SBATCH --output=.*\\\\", script, re.MULTILINE):
        raise ConfigError("the results folder has a backslash in its path, which Slurm drops from the log's; rename it")


def sbatch_variables(script: str) -> dict[str, str]:
    """The variables of the launcher's environment that sbatch is to follow: those of which the script says nothing."""
    return {name: os.environ[name] for name in _HONOURED if name in os.environ and not _said(script, name)}


def unheeded(script: str) -> list[str]:
    """What of the launcher's environment sbatch would follow, were it not kept from it."""
    lines = []
    for name in sorted(os.environ):
        if name in _HONOURED and (option := _said(script, name)):
            lines.append(f"{name} is set, but the job scripts name {option} themselves: {name} is not honoured")
        elif name.startswith("SBATCH_") and name not in _HONOURED:
            lines.append(f"{name} is set, but is not honoured: what jobs ask for stands in `options` of the machine")
    return lines


def _said(script: str, variable: str) -> str | None:
    """The option by which a script says what a variable says; None where it does not."""
    options = _HONOURED[variable].split()
    for named in _DIRECTIVE.findall(script):
        if named in options or (len(named) > 1 and options[0].startswith(named)):
            return options[0]
    return None
