"""Values -> text that may stand inside a page: JSON, compressed panels, the hashes by which a browser knows scripts."""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from markupsafe import Markup

PANELS_A_PACK = 200
_LEVEL = 6
_ESCAPES = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


def script_json(value: Any) -> Markup:
    """JSON that can neither end the element it stands in nor begin another.

    >>> script_json({"a": "</script>"})
    Markup('{"a":"\\\\u003c/script\\\\u003e"}')
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))


def packs(panels: Iterable[tuple[str, Any]]) -> list[tuple[Sequence[str], Markup]]:
    """Panels by slug -> packs of them: their slugs, and all as base64 of compressed JSON."""
    found, left = [], iter(panels)
    while some := list(islice(left, PANELS_A_PACK)):
        data = json.dumps(dict(some), separators=(",", ":"), allow_nan=False).encode()
        found.append(([slug for slug, _ in some], Markup(base64.b64encode(zlib.compress(data, _LEVEL)).decode())))
    return found


def source_hash(text: str) -> str:
    """What a Content-Security-Policy calls the text of a script or style element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
