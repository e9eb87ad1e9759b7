"""Errors a user can meet; each message says what is wrong, where, and the way out."""


class NodesweepError(Exception):
    """Anything nodesweep refuses to go on with; printed as one message, never as a traceback."""


class ConfigError(NodesweepError):
    """A sweep, model, machine or workload file that cannot be used."""


class ExpressionError(ConfigError):
    """An expression of a config that gives nothing for some layout.

    Attributes: `source`, its text as it stands in the file.
    """

    def __init__(self, source: str, message: str):
        super().__init__(message)
        self.source = source


class SettingError(ConfigError):
    """A setting that cannot be used; its message says nothing of the file and line where it stands.

    Attributes: `key`, the parts of its key; `reason`, what is wrong, in words that follow the key.
    """

    def __init__(self, key: tuple[str | int, ...], name: str, reason: str):
        super().__init__(f"{name} {reason}")
        self.key, self.reason = key, reason


class AxisError(ConfigError):
    """An expression of an axis or parameter that gives no value; its message says nothing of where it stands.

    Attributes: `block`, the number of its block; `name` of the axis or parameter.
    """

    def __init__(self, block: int, name: str, message: str):
        super().__init__(f"layouts[{block}].{name}: {message}")
        self.block, self.name, self.reason = block, name, message


class LayoutError(NodesweepError):
    """A layout that breaks one of its laws.

    Attributes: `law`, the short name of the broken law, as it stands in the plan.
    """

    def __init__(self, law: str, message: str):
        super().__init__(message)
        self.law = law


class DamagedFileError(NodesweepError):
    """A file that is not what nodesweep wrote, or none at all; the message names it and the way out."""


class JournalError(NodesweepError):
    """A journal that cannot be read or does not make sense."""


class LockError(NodesweepError):
    """Another launcher works on the same sweep."""


class SchedulerError(NodesweepError):
    """A scheduler that refused or failed a request in a way that retrying does not mend."""


class Throttled(SchedulerError):
    """A submission refused because too many jobs are queued already; later it will do.

    Attributes: `perhaps_for_ever`, whether the scheduler may as well mean what the job itself asks for.
    """

    def __init__(self, message: str, perhaps_for_ever: bool = False):
        super().__init__(message)
        self.perhaps_for_ever = perhaps_for_ever


class SubmissionUnclear(NodesweepError):
    """A submission that failed or timed out in a way that may have made a job all the same.

    Attributes: `crowded`, whether its reason is that too many jobs are queued already.
    """

    def __init__(self, message: str, crowded: bool = False):
        super().__init__(message)
        self.crowded = crowded


class SchedulerAway(NodesweepError):
    """A scheduler that does not answer, which says nothing about any job."""
