"""What looks like a secret: names of variables, and the look of values. Both are read by Python and by Bash alike.

The patterns are for text in capitals, in a syntax that Python's `re` and POSIX's extended expressions share.
"""

import re

NAMES = (
    *(
        "*TOKEN*",
        "*SECRET*",
        "*PASS*",
        "*_PWD",
        "*KEY*",
        "*CRED*",
        "*AUTH*",
        "*COOKIE*",
        "*SESSION*",
        "*LOGIN*",
        "*JWT*",
    ),
    *("*PRIVATE*", "*WEBHOOK*", "*DSN*", "*CONNECTION_STRING*", "*_PAT", "*_PIN"),
)
"""Globs of names whose values are left out."""
_BEHIND_NAME = (
    r'(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|[?&]SIG|(API|ACCESS|ACCOUNT|PRIVATE)_?KEY)[=:"]'
    r'|(JWT|CRED|CREDENTIALS?|LOGIN|AUTH|COOKIE|SESSION|PRIVATE)["]?[=:] ?["]?[A-Z0-9+_=-]{20}'
    r"|BEARER |PRIVATE KEY-"
)
"""A secret is what follows, up to the end of the line."""
_SHAPE = (
    r"(^|[^A-Z0-9])("
    r"EYJ[A-Z0-9_-]{10}|(AKIA|ASIA)[A-Z0-9]{12}|XOX[A-Z]-[A-Z0-9]|GLPAT-|GITHUB_PAT_|DCKR_PAT_|AIZA[A-Z0-9_-]{30}"
    r"|(GH[PORSU]|HF|NPM)_[A-Z0-9]{12}|(SK|PYPI)-[A-Z0-9_-]{12})"
)
"""A secret is the word itself: tokens of the web (JWT), of clouds, of code hosts, of package indices and of models."""
LOOK = f"{_BEHIND_NAME}|{_SHAPE}"
LEFT_OUT = "(left out)"
_URL = re.compile(r"://[^\s/@'\"]*:?[^\s/@'\"]*@")
_BEHIND = re.compile(rf"({_BEHIND_NAME})(?!['\"]?\$)[^\n]+", re.IGNORECASE)
_WORD = re.compile(rf"{_SHAPE}[^\s'\",;]*", re.IGNORECASE | re.MULTILINE)


def without_secrets(text: str) -> str:
    """`text` without what looks like a secret, and without users and passwords in addresses.

    >>> without_secrets("export API_KEY=none-such\\ngit clone https://me:word@host/x\\ncurl -u $TOKEN")
    'export API_KEY=(left out)\\ngit clone https://(left out)@host/x\\ncurl -u $TOKEN'
    """
    text = _URL.sub(f"://{LEFT_OUT}@", text)
    text = _BEHIND.sub(_behind_name, text)
    return _WORD.sub(lambda found: f"{found[1]}{LEFT_OUT}", text)


def _behind_name(found: re.Match[str]) -> str:
    """The name of a secret, and its sign, without what follows."""
    name = re.match(r"[^=:\" ]*(?:[=:\" ]|-+)", found[0])
    return f"{name[0] if name else ''}{LEFT_OUT}"
