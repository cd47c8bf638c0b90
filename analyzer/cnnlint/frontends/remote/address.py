"""URLs: shown without their secrets, and taken apart."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

SECRET_KEY = re.compile(
    r"sig|token|secret|passw|auth|cred|session|expires|policy|api.?key|access.?key|^key|^x-(amz|goog|ms)-",
    re.IGNORECASE,
)
"""Query parameters of signed URLs: X-Amz-Signature, X-Goog-Credential, Azure's sig, CloudFront's Key-Pair-Id."""

SECRET_VALUE = re.compile(r"[A-Za-z0-9+/=_.~-]{24,}")
"""As long and as unreadable as a signature."""

URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>)\]]+", re.IGNORECASE)


def shown(url: str) -> str:
    """Return `url` as it may be printed: without user and password, and without a query that looks like a signature."""
    return "::".join(_shown(part) for part in url.split("::"))


def without_secrets(text: str) -> str:
    """Return `text`, such as the message of an error, with every URL in it as it may be printed."""
    return URL.sub(lambda found: shown(found[0]), text)


def protocols(url: str) -> list[str]:
    """Return the protocols of a URL, several where one wraps another: "zip://model.onnx::https://host/a.zip"."""
    return [part.partition("://")[0].lower() for part in url.split("::") if "://" in part]


def name_of(url: str) -> str:
    """Return the path of the file that `url` names, without host and query."""
    return urlsplit(url.split("::", maxsplit=1)[0])._replace(query="", fragment="").path


def sibling(url: str, location: str) -> str:
    """Return the URL of the file at `location`, a relative path, from the folder of `url`; a query is not kept."""
    first, *around = url.split("::")
    parts = urlsplit(first)
    if parts.scheme in {"http", "https"}:
        location = quote(location, safe="/!$&'()*+,;=:@~")
    if parts.path:
        parts = parts._replace(path=posixpath.join(posixpath.dirname(parts.path), location), query="", fragment="")
    else:  # memory://model.onnx has no host, so that the file stands in its place
        parts = parts._replace(netloc=location, query="", fragment="")
    return "::".join([urlunsplit(parts), *around])


def _shown(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # a broken IPv6 address
        return url.partition("?")[0].rpartition("@")[2]
    host = parts.netloc.rpartition("@")[2]
    query = "" if _is_signed(parts.query) else parts.query
    return urlunsplit(parts._replace(netloc=host, query=query, fragment=""))


def _is_signed(query: str) -> bool:
    pairs = parse_qsl(query, keep_blank_values=True)
    return any(SECRET_KEY.search(key) or SECRET_VALUE.fullmatch(value) or not value for key, value in pairs)
