"""What a plan remarks on before anything runs: what has no effect, what is not filled in, what is not judged."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nodesweep.config.loader import Key, dotted
from nodesweep.config.sweep import Sweep
from nodesweep.launch.plan import Planned
from nodesweep.sweep.expand import conditions_without_effect
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study
from nodesweep.sweep.template_values import environment_of

from .contradictions import contradictory_settings

Where = Callable[[Key], str | None]
"""`file:line: key` of a key of the sweep; None where it was left out."""
MOST_BATCHES = 5
"""Batches that one remark names."""
_PLACEHOLDER = "/path/to/"
"""How a path begins that whoever shipped a file left to its users."""


def plan_remarks(study: Study, layouts: Sequence[Planned], where: Where) -> list[str]:
    """A sentence for each thing that whoever wrote the sweep would want to know before it runs."""
    return [
        *contradictory_settings(study.layouts.values(), where),
        *_idle_parameters(study),
        *_idle_conditions(study, where),
        *_idle_enough([one.layout for one in layouts if one.runs], where),
        *_placeholders(study.sweep, [one.layout for one in layouts], where),
        *_memory_not_judged(layouts),
        *_search_over_batches(study, where),
        *_more_threads_than_cores([one.layout for one in layouts if one.runs], where),
        *_limits_of_queues([one.layout for one in layouts if one.runs]),
    ]


def layouts_in_words(count: int) -> str:
    """So many layouts."""
    return f"{count} layout{'' if count == 1 else 's'}"


def _idle_parameters(study: Study) -> Iterator[str]:
    """Parameters that nothing of a sweep asks for, so that layouts that differ in them run alike."""
    if idle := study.sweep.idle_parameters:
        yield f"Nothing asks for {', '.join(idle)}: layouts that differ in that alone run alike."


def _idle_conditions(study: Study, where: Where) -> Iterator[str]:
    """Conditions that hold for nothing, such as those with a word that is misspelt."""
    sweep = study.sweep
    for key, condition in conditions_without_effect(sweep, study.expansion):
        none = "point" if key[0] == "exclude" else "layout"
        yield f"{where(key) or dotted(key)} holds for no {none}, and changes nothing: {condition:.120}"


def _idle_enough(layouts: Sequence[Layout], where: Where) -> Iterator[str]:
    """That runs are to end early which are over before they are looked at."""
    asked = [(one.iterations, one.iterations.enough) for one in layouts]
    idle = [(each.total - each.warmup, enough.least) for each, enough in asked if enough]
    short = [pair for pair in idle if pair[0] <= pair[1]]
    if short:
        most, least = max(short)
        yield (
            f"{where(('iterations', 'enough')) or 'iterations.enough'} ends no run of {layouts_in_words(len(short))}: "
            f"it looks first at {least} iterations after warm-up (enough.least), and there are {most}"
        )


def _placeholders(sweep: Sweep, layouts: Sequence[Layout], where: Where) -> Iterator[str]:
    """Variables of the job's environment that still have the path of a file as it was shipped."""
    found = Counter(
        (name, value)
        for layout in layouts
        for name, value in environment_of(layout).items()
        if value.startswith(_PLACEHOLDER)
    )
    for (name, value), count in found.items():
        key = next((key for key, given in _values_of(sweep, name) if given == value), ("environment", name))
        yield (
            f"{where(key) or dotted(key)} is still {value:.100}: write its path on your machine there, "
            f"or {layouts_in_words(count)} will not find it"
        )


def _values_of(sweep: Sweep, name: str) -> Iterator[tuple[Key, Any]]:
    """All keys of a sweep that give a variable of the environment, and its value there."""
    for number, variant in enumerate(sweep.variants):
        yield ("variants", number, "env", name), variant.env.get(name)
    for number, entry in enumerate(sweep.when):
        for part, changes in (("workload", entry.workload), ("machine", entry.machine)):
            yield ("when", number, part, "environment", name), (changes.get("environment") or {}).get(name)
    yield ("workload", "environment", name), sweep.workload.environment.get(name)
    yield ("machine", "environment", name), sweep.machine.environment.get(name)


def _memory_not_judged(layouts: Sequence[Planned]) -> Iterator[str]:
    """Machines without a limit of memory, although something is known of what layouts need."""
    memories = ((one.layout.machine.name, one.forecast.memory) for one in layouts)
    found = Counter(
        name for name, memory in memories if memory.limit_bytes is None and (memory.peak or memory.least_bytes)
    )
    for name, count in found.items():
        yield (
            f"memory is not judged: machine {name} gives no memory_mib_per_node; with it the plan tells what cannot "
            f"fit, and that is not run ({layouts_in_words(count)})"
        )


def _more_threads_than_cores(layouts: Sequence[Layout], where: Where) -> Iterator[str]:
    """Machines whose ranks share cores, and are to run more threads than these at once."""
    found: dict[tuple[str, int, int | None], list[int]] = {}
    for layout in layouts:
        cores = layout.machine.cores_shared_by_ranks
        threads = _threads_of_rank(layout)
        if cores and (count := layout.ranks * (threads or 1)) > cores:
            found.setdefault((layout.machine.name, cores, threads), []).append(count)
    for (name, cores, threads), counts in found.items():
        at_most = "at least" if threads is None else "up to"
        known = where(("machine", "shared_cores"))
        yield (
            f"{layouts_in_words(len(counts))} will run {at_most} {max(counts)} threads at once "
            f"on the {cores} cores of machine {name}{f' ({known})' if known else ''}: ranks take turns, "
            "and iterations last longer than with a core for each"
        )


def _threads_of_rank(layout: Layout) -> int | None:
    """Threads that OMP_NUM_THREADS asks for; None where it is left out, or known only as the job starts."""
    given = environment_of(layout).get("OMP_NUM_THREADS", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 6 and int(given) else None


def _limits_of_queues(layouts: Sequence[Layout]) -> Iterator[str]:
    """Queues of which jobs ask for all the time there is."""
    found = Counter(
        (layout.queue.name, layout.elapse_limit_seconds)
        for layout in layouts
        if layout.queue and layout.elapse_limit_source == "queue"
    )
    for (name, limit), count in found.items():
        yield (
            f"{layouts_in_words(count)} will ask for all of the {limit} s of queue {name}: no run tells how long they "
            "take, and a guess sets no limit; give iterations.expected_seconds, or elapse_limit_seconds of the machine"
        )


def _search_over_batches(study: Study, where: Where) -> Iterator[str]:
    """That a search compares layouts of several batches, and so leaves out points of strong and weak series."""
    search = study.sweep.search
    if search is None or len({layout.nodes for layout in study.layouts.values()}) < 2:
        return
    batches: dict[tuple[Any, ...], set[int]] = {}
    for layout in study.layouts.values():
        group = tuple(layout.values().get(name) for name in search.for_each)
        batches.setdefault(group, set()).add(layout.global_batch)
    most = max(batches.values(), key=len, default=set())
    if len(most) < 2:
        return
    shown = ", ".join(map(str, sorted(most)[:MOST_BATCHES])) + (", ..." if len(most) > MOST_BATCHES else "")
    each = ", ".join(dict.fromkeys(("nodes", "global_batch", *search.for_each)))
    yield (
        f"{where(('search',)) or 'search'} seeks the best at any batch (GBS {shown}), by tokens, and leaves out what "
        f"cannot beat it: points of strong and weak series too; for_each: [{each}] seeks the best of each point"
    )
