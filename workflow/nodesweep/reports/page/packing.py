"""Values -> text that may stand inside a page: JSON, compressed panels, the hashes by which a browser knows scripts."""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable

from markupsafe import Markup

PANELS_A_PACK = 200
Pack = tuple[list[str], Markup]
_LEVEL = 6
_ESCAPES = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


def script_json(value: object) -> Markup:
    """JSON that can neither end the element it stands in nor begin another.

    >>> script_json({"a": "</script>"})
    Markup('{"a":"\\\\u003c/script\\\\u003e"}')
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))


def pack(panels: Iterable[tuple[str, object]]) -> Pack:
    """Panels by slug -> their slugs, and all as base64 of compressed JSON."""
    found = dict(panels)
    data = json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
    return list(found), Markup(base64.b64encode(zlib.compress(data, _LEVEL)).decode())


def source_hash(text: str) -> str:
    """What a Content-Security-Policy calls the text of a script or style element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
