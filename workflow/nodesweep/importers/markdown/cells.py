"""Table cells -> numbers with their printed rounding, units, remarks and footnotes; `as above`, OOM and unknown."""

import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal

from nodesweep.common.text import plain
from nodesweep.config.layout_field import Kind, LayoutField
from nodesweep.importers.layout_values import MOST_COUNT

CELL_CHARACTERS = 400

_MARKS = re.compile(
    r"\[\^([^\]\s]{1,20})\]|<sup>([^<>]{1,20})</sup>|([†‡§¶※⁑][0-9]{0,2})|([⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})"
    r"|(?<=[^\s*])\s?(\*{1,3}[0-9]{1,2}|\*{1,3})(?=\s|$)"
)
_TAG = re.compile(r"<(?:/?[A-Za-z][^<>]{0,100})>")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()]{0,300}\)")
_EMPHASIS = re.compile(
    r"\*\*([^*]{1,300})\*\*|__([^_]{1,300})__|~~([^~]{1,300})~~|(?<![\w*])\*([^*]{1,300})\*(?![\w*])"
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_NUMBER = re.compile(
    r"(?P<approximate>[~≈<>≤≥≦≧約∼]{0,2}) ?"
    r"(?P<number>[+-]?(?:[0-9]{1,3}(?:(?:,[0-9]{3}){1,5}|(?: [0-9]{3}){1,5}|(?:'[0-9]{3}){1,5})(?:\.[0-9]{1,24})?"
    r"(?![0-9,.])"
    r"|[0-9]{1,18}(?:\.[0-9]{1,24})?(?:e[+-]?[0-9]{1,2})?))"
    r"(?P<rest>.{0,400})",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s?([A-Za-zμ/]{1,16}|[ぁ-んァ-ヶー一-龠]{1,8})(?=$|[\s(\[;,±])")
_REMARK = re.compile(r"[\s(\[;±]|, |\+/-")
_OUT_OF_MEMORY = re.compile(
    r"(?<!no )(?<!not )(?<!without )(?<![a-z])(?:oom|out[ -]of[ -]memory)(?![a-z])|メモリー?不足", re.IGNORECASE
)
_COUNTED = frozenset(
    [
        "node",
        "nodes",
        "gpu",
        "gpus",
        "rank",
        "ranks",
        "process",
        "processes",
        "sample",
        "samples",
        "token",
        "tokens",
        "layer",
        "layers",
        "head",
        "heads",
        "ノード",
        "台",
        "枚",
        "基",
        "層",
        "個",
    ]
)
_SIZE = re.compile(r"(?<![\w.])(\d{1,4}(?:\.\d{1,3})?) ?([BMT])(?![A-Za-z0-9_])(?! ?tok)", re.IGNORECASE)
_DITTO = frozenset({'"', "^", "″", "′′", "''", "〃", "↑", "同上", "ditto", "same", "same as above"})
_UNKNOWN = frozenset(
    [
        "-",
        "--",
        "---",
        "–",
        "—",
        "―",
        "ー",
        "−",
        "n/a",
        "na",
        "n.a.",
        "none",
        "null",
        "?",
        "??",
        "tbd",
        "tba",
        "✗",
        "✘",
        "❌",
        "×",
        "x",
        "…",
        "...",
        "nan",
        "未測定",
        "未計測",
        "未",
        "不明",
        "なし",
        "失敗",
        "failed",
        "fail",
    ]
) | {""}
_YES = frozenset(
    ["yes", "y", "on", "true", "full", "1", "✓", "✔", "✅", "☑", "○", "〇", "◯", "あり", "有", "有り", "する"]
)
_NO = frozenset(["no", "n", "off", "false", "none", "0", "✗", "✘", "❌", "×", "なし", "無", "無し", "しない"])


@dataclass(frozen=True)
class CellText:
    """A cell without markup: `shown` as a reader sees it, `read` normalised and without its footnote `marks`."""

    shown: str
    read: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class CellValue:
    """The value of a cell of a hand-kept table.

    `number` is as printed, in the unit `unit` where the cell names one; `half` is half a unit in its last place. `word`
    is the text of a cell that holds no number, a yes or no as "yes" and "no". `approximate`: printed as `~3700`.
    `known`: whether the cell was understood. `line` is that of the file.
    """

    line: int
    shown: str
    number: Decimal | None = None
    half: Decimal = Decimal(0)
    digits: str = ""
    unit: str = ""
    remark: str = ""
    word: str = ""
    marks: tuple[str, ...] = ()
    approximate: bool = False
    out_of_memory: bool = False
    known: bool = True


def cell_text(raw: str) -> CellText:
    """A cell without its markup.

    >>> cell_text("**3,720.0**[^1]").read, cell_text("３７２０¹").read, cell_text("[a](b) `c`").read
    ('3,720.0', '3720', 'a c')
    """
    text = _EMPHASIS.sub(lambda match: match[match.lastindex or 0], _LINK.sub(r"\1", raw[: 10 * CELL_CHARACTERS]))
    marks = tuple(_TAG.sub("", match[0]).strip() for match in _MARKS.finditer(text))
    shown, read = (_ESCAPE.sub(r"\1", _TAG.sub(" ", one)).replace("`", "") for one in (text, _MARKS.sub("", text)))
    return CellText(plain(shown, CELL_CHARACTERS), plain(unicodedata.normalize("NFKC", read), CELL_CHARACTERS), marks)


def is_ditto(raw: str) -> bool:
    """Whether a cell means the one above it."""
    return cell_text(raw).read.casefold() in _DITTO or raw.strip() in _DITTO


def number_cell(raw: str, line: int, units: Container[str], whole: bool = False) -> CellValue:
    """A cell that should hold a number, in one of `units` or in that of its heading; `whole`: a positive count.

    >>> value = number_cell("3534883.3(1itrのみ実行)", 40, {"ms"})
    >>> value.number, value.remark
    (Decimal('3534883.3'), '1itrのみ実行')
    >>> number_cell("16-32", 40, ()).known, number_cell("1,536", 40, (), whole=True).number
    (False, Decimal('1536'))
    """
    cell = cell_text(raw)
    out_of_memory = says_oom(cell.read)
    match = _NUMBER.fullmatch(cell.read)
    unit, remark = _rest(match["rest"], _COUNTED if whole else units, whole) if match else ("", None)
    if match is None or remark is None:
        token = re.split(r"[(\[;,]", cell.read, maxsplit=1)[0].strip().casefold()
        known = token in _UNKNOWN or out_of_memory
        remark = "" if token == cell.read.casefold() and known else cell.read
        return CellValue(line, cell.shown, remark=remark, marks=cell.marks, out_of_memory=out_of_memory, known=known)
    number = Decimal(re.sub(r"[, ']", "", match["number"]))
    if number < 0 or (whole and (number != number.to_integral_value() or not 0 < number <= MOST_COUNT)):
        return CellValue(line, cell.shown, remark=cell.read, marks=cell.marks, out_of_memory=out_of_memory, known=False)
    return CellValue(
        line,
        cell.shown,
        number=number.quantize(Decimal(1)) if whole else number,
        half=Decimal(0) if whole else Decimal((0, (5,), int(number.as_tuple().exponent) - 1)),
        digits=match["number"],
        unit="" if whole else unit,
        remark=remark,
        marks=cell.marks,
        approximate=bool(match["approximate"]),
        out_of_memory=out_of_memory,
    )


def yes_no_cell(raw: str, line: int) -> CellValue:
    """A cell with a yes or a no."""
    cell = cell_text(raw)
    token = re.split(r"[\s(\[]", cell.read, maxsplit=1)[0].casefold()
    word = "yes" if token in _YES else "no" if token in _NO else ""
    known = bool(word) or cell.read.casefold() in _UNKNOWN or token == "selective"
    remark = cell.read[len(token) :].strip(" ()[]") if word else cell.read
    return CellValue(line, cell.shown, word=word, marks=cell.marks, known=known, remark=remark if known else "")


def value_cell(raw: str, line: int, kind: Kind, units: Container[str]) -> CellValue:
    """A cell under a heading whose values are of a kind, numbers in one of `units` or in that of the heading."""
    if kind == "yes_no":
        return yes_no_cell(raw, line)
    if kind == "word":
        return text_cell(raw, line)
    return number_cell(raw, line, () if kind == "count" else units, whole=kind == "count")


def word_cell(raw: str, line: int, row: LayoutField) -> CellValue:
    """A cell with one of the words that a field has as values, whatever its spelling."""
    cell = cell_text(raw)
    token = re.split(r"[(\[;,]", cell.read, maxsplit=1)[0].strip()
    word = row.word(token) or ""
    known = bool(word) or token.casefold() in _UNKNOWN
    remark = cell.read[len(token) :].strip(" ()[]") if word else ""
    return CellValue(line, cell.shown, word=word, marks=cell.marks, known=known, remark=remark)


def field_cell(raw: str, line: int, row: LayoutField, units: Container[str]) -> CellValue:
    """A cell under a heading that names a field of a layout; 0 of what may be absent means that there is none."""
    if row.kind == "count" and row.absent_means_default and row.default is None and cell_text(raw).read == "0":
        return CellValue(line, "0", known=True)
    return word_cell(raw, line, row) if row.words else value_cell(raw, line, row.kind, units)


def text_cell(raw: str, line: int) -> CellValue:
    """A cell of words."""
    cell = cell_text(raw)
    return CellValue(line, cell.shown, word=cell.read, marks=cell.marks, out_of_memory=says_oom(cell.read))


def says_oom(text: str) -> bool:
    """Whether a text reports that memory ran out."""
    return bool(_OUT_OF_MEMORY.search(text))


def size_word(text: str) -> str:
    """The size of a model as a text names it; empty where it names none.

    >>> size_word("GPT-3 1.3B, first try")
    '1.3B'
    """
    match = _SIZE.search(text)
    return match[0] if match else ""


def size_in(text: str) -> Decimal | None:
    """Parameters of a model named in a text, such as `30B` or `GPT-3 1.3B`.

    >>> size_in("30B model"), size_in("80GB cards"), size_in("300B tokens")
    (Decimal('30000000000'), None, None)
    """
    match = _SIZE.search(text)
    return Decimal(match[1]) * {"M": 10**6, "B": 10**9, "T": 10**12}[match[2].upper()] if match else None


def _rest(rest: str, units: Container[str], whole: bool) -> tuple[str, str | None]:
    """Unit and remark behind a number; no remark where the number is not one."""
    unit = ""
    if (match := _UNIT.match(rest)) and match[1].casefold() in units:
        unit, rest = match[1].casefold(), rest[match.end() :]
    if rest and (not _REMARK.match(rest) or (whole and rest.strip()[0] not in "([")):
        return "", None
    remark = rest.strip(" ;,")
    inner = re.fullmatch(r"[(\[]([^()\[\]]{0,400})[)\]]", remark)
    return unit, inner[1].strip() if inner else remark
