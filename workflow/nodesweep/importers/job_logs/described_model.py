"""What of a model a log and its user have told: enough for a formula, or what is missing and how to give it."""

from collections.abc import Mapping

from pydantic import ValidationError

from nodesweep.config.model import Model
from nodesweep.config.model_fields import MODEL_FIELDS, words_in
from nodesweep.importers.layout_values import LayoutValue
from nodesweep.logs.reading import LogReading
from nodesweep.logs.trainers import FORMATS
from nodesweep.performance.dimensions import SIZES_OF_FLOPS, Dimensions, NoFormulaError, UnknownSizeError
from nodesweep.results.rows import size_label

from .fields import JobValues

_OF_GATED: dict[str, tuple[str | bool, str | bool]] = {
    "tied_embeddings": (False, True),
    "biases": ("none", "all"),
    "norm": ("rmsnorm", "layernorm"),
    "positions": ("rotary", "learned"),
}
"""What goes with a gate where nothing says otherwise, as in Llama and those after it; behind it what a GPT has."""
_GPT_TRAINERS = ("megatron", "gpt-neox")
"""How the names of formats begin whose trainers build a GPT where their arguments say nothing else."""
_NO_OTHER_SIZE = 0.001
_NONE = "no TFLOPs by the formula"


def missing_of_model(known: JobValues, is_gpt_by_default: bool) -> str:
    """Why the sizes that are known of a model are not enough for a formula; empty where they are, or where none is.

    Where the model `is_gpt_by_default`, what nothing tells is as in a GPT. Else the heads of k and v and the gate are
    asked for: they say which decoder it is.

    >>> missing_of_model({"layers": 2, "hidden_size": 8, "vocab_size": 9, "gated_ffn": True}, False)
    'nothing tells kv_heads of the model: no TFLOPs by the formula; --set kv_heads=...'
    >>> missing_of_model({"layers": 2, "hidden_size": 8, "vocab_size": 9, "attention_heads": 2}, True)
    ''
    """
    if not known.keys() >= {"layers", "hidden_size", "vocab_size"}:
        return ""  # the report says which of these are unknown, of all logs together
    if not known.keys() & {"gated_ffn", "other_parts"}:
        if known.get("kv_heads") not in (None, known.get("attention_heads")):
            gate = "shared heads of k and v, and not told whether the FFN has a gate"
            return f"{gate}: {_NONE}; --set gated_ffn=yes or no"
        if known.get("experts") and not is_gpt_by_default:
            return f"experts, and not told whether they have a gate: {_NONE}; --set gated_ffn=yes or no"
    if "experts_per_token" in known and "experts" not in known:
        return f"nothing tells experts of the model: {_NONE}; --set experts=..., 0 for none"
    asked = () if is_gpt_by_default or known.get("kv_lora_rank") else ("kv_heads", "gated_ffn")
    if unknown := [name for name in asked if name not in known]:
        settings = " ".join(f"--set {name}=..." for name in unknown)
        return f"nothing tells {' and '.join(unknown)} of the model: {_NONE}; {settings}"
    if any(name not in known for name in SIZES_OF_FLOPS):
        return ""
    try:
        _ = _sizes(known).forward
    except NoFormulaError as error:
        return f"{error}: {_NONE}"
    except UnknownSizeError as error:
        name = str(error).partition(" ")[0]
        return f"{name} of the model is not told: {_NONE}; --set {name}=... gives it"
    model = _model_or_complaint(known)
    return f"{model}: {_NONE}" if model and isinstance(model, str) else ""


def is_gpt_by_default(in_log: JobValues, reading: LogReading) -> bool:
    """Whether what a log does not tell of its model is as in a GPT.

    So it is under a whole dump of arguments: a release that does not name a gate or shared heads knew of none. So it
    is where users alone tell the model, as they would in a config, of a trainer whose models are GPTs by default.
    """
    if reading.dump_is_whole:
        return True
    name = reading.format.name if reading.format else ""
    may_build_any = name in FORMATS and not name.startswith(_GPT_TRAINERS)
    return not may_build_any and not in_log.keys() & {"layers", "hidden_size"}


def shape_of(known: JobValues, is_told: bool) -> Dimensions:
    """The sizes that rates follow from; those of the model only where it `is_told` what it is."""
    if is_told:
        return _sizes(known)
    return _sizes({name: value for name, value in known.items() if name not in MODEL_FIELDS})


def model_of(known: Mapping[str, LayoutValue | None]) -> Model | None:
    """The model of a layout; None where a size is unknown that has no default, or sizes do not fit together.

    >>> model_of({}) is None
    True
    """
    model = _model_or_complaint(known)
    return None if isinstance(model, str) else model


def _model_or_complaint(known: Mapping[str, LayoutValue | None]) -> Model | str:
    """The model of a layout, or what of its sizes does not fit together; empty where one is missing."""
    given = {name: value for name, value in known.items() if name in MODEL_FIELDS and value is not None}
    usual = {name: value for name, (value, _) in _OF_GATED.items() if given.get("gated_ffn") and name not in given}
    special = {name: value for name, value in given.items() if value != MODEL_FIELDS[name].default}
    lists = {name: tuple(words_in(str(special[name]))) for name in ("extras", "other_parts") if name in special}
    try:
        return Model.model_validate({**usual, **special, **lists})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return str(first["msg"]).removeprefix("Value error, ") if first["type"] == "value_error" else ""


def taken_of_size(known: Mapping[str, LayoutValue | None]) -> str:
    """What the Size of a gated model takes as in Llama, where it would be another otherwise; empty where all is told.

    A share of a thousandth is no other size, though it may be rounded otherwise.

    >>> llama = {"layers": 16, "hidden_size": 2048, "attention_heads": 32, "kv_heads": 8, "vocab_size": 128256}
    >>> llama |= {"gated_ffn": True, "ffn_hidden_size": 8192}
    >>> taken_of_size(llama)
    'tied_embeddings is not told: Size 1.50B is with no, as in Llama; with yes it is 1.24B; --set tied_embeddings=yes'
    >>> taken_of_size({**llama, "tied_embeddings": True})
    ''
    """
    model = model_of(known)
    size, found = size_label(model) if model is not None and model.gated_ffn else "", []
    if model is None or not size:
        return ""
    for name, (usual, other) in _OF_GATED.items():
        otherwise = model.model_copy(update={name: other})
        changed, share = size_label(otherwise), _parameters(otherwise) / _parameters(model) - 1
        if known.get(name) is None and changed != size and abs(share) > _NO_OTHER_SIZE:
            what = f"{name} is not told: Size {size} is with {_word(usual)}, as in Llama"
            found.append(f"{what}; with {_word(other)} it is {changed}; --set {name}={_word(other)}")
    return "; ".join(found)


def _parameters(model: Model) -> int:
    return Dimensions(**model.sizes).parts.parameters


def _word(value: str | bool) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _sizes(known: JobValues) -> Dimensions:
    return Dimensions().changed(**known)


def unusual(known: Mapping[str, LayoutValue | None]) -> frozenset[str]:
    """Names of the sizes of a model that are given and are not what they would be were they left out."""
    sizes = _sizes({name: value for name, value in known.items() if name in MODEL_FIELDS and value is not None})
    return frozenset(name for name in MODEL_FIELDS if sizes.special_size(name) is not None)
