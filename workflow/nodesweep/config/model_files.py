"""A model as a person names it: under config/models, in a YAML file, as a Hugging Face config.json, or of a sweep."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nodesweep.common.errors import ConfigError
from nodesweep.common.text import plain

from .complaints import complaint
from .loader import NoSuchPartError, Source, completed_part, part_file, read_part, read_yaml, resolved, shown
from .model import Model


@dataclass(frozen=True)
class NamedModel:
    """A model, the file it was read from, and in words what of a config.json was not understood."""

    model: Model
    path: Path
    not_understood: tuple[str, ...]


def read_model(name: str) -> NamedModel:
    """The model that is meant; raises ConfigError with file, line and key for anything that cannot be used."""
    part = _part(name)
    try:
        return NamedModel(Model.model_validate(part.values), part.path, part.not_understood)
    except ValidationError as error:
        found = [
            f"{part.where(item['loc'])} {complaint(item, ('model', *item['loc']))}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(found)) from None


def _file_of(name: str) -> Path:
    """The file of a model by its name; raises ConfigError with what may be named."""
    try:
        return part_file("model", name, Path("config").resolve())
    except NoSuchPartError as error:
        config, words = Path(name) / "config.json", f"{error}; {error.known}or name a YAML file or a config.json"
        if config.is_file():
            words = f"is a folder; name its file, {plain(str(config))}"
        raise ConfigError(f"{plain(name)}: {words}") from None


def _part(name: str) -> Source:
    path = Path(name)
    if path.suffix == ".json":
        folder = path.resolve().parent.name
        label = folder if path.name == "config.json" else path.stem
        values = {"name": "".join(one if one.isalnum() or one in "._-" else "-" for one in label), "from": path.name}
        return completed_part(Source(path, values))
    if path.suffix not in (".yaml", ".yml"):
        return read_part(_file_of(name))
    source = read_yaml(path)
    if "model" in source.values and "layers" not in source.values:
        return resolved("model", source)
    if not source.values.keys() & {"layers", "hidden_size", "from"}:
        raise ConfigError(f"{shown(path)}: describes no model: it has neither layers nor from, nor a sweep's model")
    return read_part(path)
