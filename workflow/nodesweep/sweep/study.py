"""A sweep as it lies on disk: its config, its layouts, and where each of their files is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nodesweep.common.errors import AxisError, ConfigError, ExpressionError, NodesweepError, SettingError
from nodesweep.config.loader import REPOSITORY, load_sweep, shown
from nodesweep.config.origins import axis_keys, origins, place_of
from nodesweep.config.sweep import Sweep

from .expand import Expansion, expand
from .layout import Layout, run_name

DEFAULT_SWEEP = REPOSITORY / "config" / "quickstart.yaml"


@dataclass(frozen=True)
class Study:
    """A checked and expanded sweep with its folder, results/<sweep>."""

    sweep: Sweep
    expansion: Expansion
    folder: Path
    sources: tuple[Path, ...]

    @classmethod
    def load(
        cls, paths: Iterable[Path], overrides: Mapping[str, Any] | None = None, results: Path = Path("results")
    ) -> "Study":
        """Read, check and expand a sweep; raises ConfigError."""
        paths = tuple(paths)
        sweep, sources = load_sweep(paths, overrides)
        try:
            return cls(sweep, expand(sweep), results / sweep.sweep, sources)
        except AxisError as error:
            keys = axis_keys(error.block, len(sweep.layouts[error.block].together), error.name)
            place = next(filter(None, map(origins(paths, overrides).where, keys)), shown(sources[0]))
            raise ConfigError(f"{place}: {error.reason}") from None
        except SettingError as error:
            named = origins(paths, overrides).where(error.key)
            raise ConfigError(f"{named} {error.reason}" if named else f"{shown(sources[0])}: {error}") from None
        except ExpressionError as error:
            raise ConfigError(f"{place_of(sources, error.source) or shown(sources[0])}: {error}") from None
        except ConfigError as error:
            raise ConfigError(f"{shown(sources[0])}: {error}") from None

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        """Layouts by slug, in the order of the config."""
        return {layout.slug: layout for layout in self.expansion.layouts}

    @cached_property
    def blocks(self) -> dict[str, int]:
        """The numbers of the layouts' blocks, by slug."""
        return dict(zip(self.layouts, self.expansion.blocks, strict=True))

    @cached_property
    def runs(self) -> dict[str, Layout]:
        """All runs that may be asked for, by the names of their folders, those of a layout together."""
        runs = (layout.repeated(number) for layout in self.layouts.values() for number in self.run_numbers)
        return {run.slug: run for run in runs}

    def runs_of(self, row: str) -> list[Layout]:
        """The runs of a layout, in the order of their numbers."""
        return [self.runs[run_name(row, number)] for number in self.run_numbers]

    @property
    def run_numbers(self) -> range:
        """The numbers of the runs of each layout."""
        return range(1, self.sweep.repeats.at_most + 1)

    @property
    def scripts_list(self) -> Path:
        """All job scripts with their digests, as `sha256sum --check` reads them; made once all are written."""
        return self.folder / "scripts.sha256"

    @property
    def records(self) -> list[Path]:
        """All terminal records."""
        return [self.record(slug) for slug in self.runs]

    def calibration(self, stack: str) -> Path:
        """What the runs of a campaign, and of the same parameters, were found to say."""
        return self.folder / "calibration" / f"{stack}.yaml"

    @property
    def calibrations(self) -> list[Path]:
        """All calibration files."""
        return sorted((self.folder / "calibration").glob("*.yaml"))

    @property
    def imported(self) -> list[Path]:
        """What was imported into it from hand-kept tables."""
        return sorted((self.folder / "imported").glob("*.json"))

    @property
    def ingested(self) -> list[Path]:
        """What was ingested into it from logs of other jobs."""
        return sorted((self.folder / "ingested").glob("*.json"))

    def directory(self, slug: str) -> Path:
        """The folder of one run's files."""
        return self.folder / "layouts" / slug

    def script(self, slug: str) -> Path:
        """The job script of a run."""
        return self.directory(slug) / "job.sh"

    def journal(self, slug: str) -> Path:
        """The journal of a run's submissions."""
        return self.directory(slug) / "journal.jsonl"

    def record(self, slug: str) -> Path:
        """The terminal record of a run; exists only when that needs no more jobs."""
        return self.directory(slug) / "job.json"

    def layout_beginning(self, start: str) -> Layout:
        """The one layout whose slug is, or begins, so; raises NodesweepError where none or several do."""
        meant = [slug for slug in self.layouts if slug.startswith(start)]
        if len(meant) > 1 and start not in meant:
            raise NodesweepError(f"{start!r:.120} begins {len(meant)} slugs: {', '.join(meant[:5])}; write more of it")
        return self.layout(start if start in meant or not meant else meant[0])

    def runs_named(self, name: str) -> list[Layout]:
        """All runs of a layout by its slug, or one, whose number stands behind it as `-r1`, `-r2`, ...

        Raises NodesweepError for an unknown one.
        """
        row, _, number = name.rpartition("-r")
        if name in self.layouts:
            return self.runs_of(name)
        if row in self.layouts and number == "1":
            return [self.layouts[row]]
        if row in self.layouts and name not in self.runs:
            raise NodesweepError(f"{row} has no run {number:.20}: `repeats` gives it {self.run_numbers[-1]}")
        return [self.runs[name]] if name in self.runs else [self.layout(name)]

    def layout(self, slug: str) -> Layout:
        """The layout of a slug; raises NodesweepError with the way out for an unknown one."""
        if slug not in self.layouts:
            known = ", ".join(sorted(self.layouts)[:5]) + (", ..." if len(self.layouts) > 5 else "")
            raise NodesweepError(f"{self.sweep.sweep} has no layout {slug!r:.80}; its layouts: {known} (plan.md)")
        return self.layouts[slug]
