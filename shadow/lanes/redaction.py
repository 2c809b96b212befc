"""Business Unit: evidence | Status: current.

What must never enter evidence: account numbers, keys, secrets. Values are taken out before anything is serialised, so that a
fault in one text cannot reach the next: by the name of their field (of an object, of a DynamoDB item, of a header, of a repr
in an error text), and by value, where the SHA-256 of a word is a known fingerprint. A text that holds JSON is read token by
token, however deep such texts stand in each other, and keeps every byte that is no secret.

What is left is written by `DocumentWriter`, a line of canonical JSON a record, without holding more than one record.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256

from shadow.contracts.model import canonical

REDACTED = "[redacted]"
SECRET_FIELDS = (
    "account_number",
    "accountNumber",
    "account_id",
    "accountId",
    "api_key",
    "apiKey",
    "api_key_id",
    "api_secret",
    "apiSecret",
    "api_secret_key",
    "secret",
    "secret_key",
    "secretKey",
    "client_secret",
    "secret_access_key",
    "aws_secret_access_key",
    "credentials",
    "SecretString",
    "SecretBinary",
    "key_id",
    "keyId",
    "access_key",
    "accessKey",
    "access_key_id",
    "aws_access_key_id",
    "private_key",
    "password",
    "passphrase",
    "token",
    "taskToken",
    "access_token",
    "refresh_token",
    "session_token",
    "aws_session_token",
    "id_token",
    "authorization",
    "Authorization",
    "Proxy-Authorization",
    "x-api-key",
    "Cookie",
    "Set-Cookie",
    "X-Amz-Security-Token",
    "APCA-API-KEY-ID",
    "APCA-API-SECRET-KEY",
    "ALPACA__KEY",
    "ALPACA__SECRET",
)
"""Names whose values are secret, however they are cased and whatever stands between their words."""


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_NAMES = frozenset(map(_plain, SECRET_FIELDS))
_WORDS = sorted({re.sub(r"[^a-z0-9]+", r"[ _\-]*", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) for name in SECRET_FIELDS})
_NAME = "|".join(sorted(_WORDS, key=len, reverse=True))
_MAY_NAME = re.compile(_NAME, re.IGNORECASE)
_PARTS = ("account", "key", "secret", "password", "passphrase", "token", "author", "cook", "credent", "acct", "bearer")
"""Every name has one of these in it, and they are found far faster than names.

None has an `i`: a pattern that ignores case takes two foreign letters for an i, which casefold does not turn into one.
"""
_INSIDE = r"""[^\[\](){}<>\n]"""
_HELD = rf"""[A-Za-z_.]{{0,40}}[\[({{<](?:{_INSIDE}|[\[({{<]{_INSIDE}{{0,200}}(?:[\])}}>]|\Z)){{0,400}}(?:[\])}}>]|\Z)"""
"""What stands in brackets, with the word before them and one more pair of brackets in them: `SecretStr('x')`, `{'S': 'x'}`."""
_NAMED = re.compile(
    rf"""(?<![A-Za-z0-9])(?P<lead>(?P<q>b?(?P<quote>\\*["'])?)(?:{_NAME})(?(quote)(?P=quote))\s*(?P<sep>=>|[:=,])\s*)"""
    r"""(?:(?P<open>b?(?P<mark>\\*["']))(?P<quoted>(?:(?!(?P=mark))[^\n])*?)(?P=mark)(?=[\s,;:)}\]&>]|$|\\*["'])|"""
    rf"""(?P<held>{_HELD})|"""
    r"""(?P<stray>\\*["'])?(?P<scheme>(?:Bearer|Basic|Token)\s+)?(?P<bare>[^\s"'\\,;(){}\[\]&<>]+))""",
    re.IGNORECASE,
)
_TOLD = re.compile(
    rf"""(?<![A-Za-z0-9_])(?P<lead>(?:(?P<sure>{_NAME}|bearer)|"""
    r"""(?P<account>(?:accounts?|accts?)(?:[ _\-]?(?:numbers?|num|nos?\b\.?|nr\b\.?|ids?))?)|keys?)"""
    r"""(?:\\*["'`])?(?:\s{0,4}(?:->|=>|[:=\#/|>\u2013\u2014]|%3A|%3D|%20|\b(?:is|was|of|with|having|named|number|id)\b)\s{0,4}|"""
    r"""\s{0,4},\s{0,4}(?=\\*["'`])|\s{0,4}(?=["'`(\[<\\])|\s{1,4}){1,3}["'`(\[<\\]{0,8})"""
    r"""(?P<word>[A-Za-z0-9][A-Za-z0-9+/_.\-]{5,}+=*+)(?!\s*(?:USD|dollars?|shares?|trades?|orders?)\b)""",
    re.IGNORECASE,
)
"""A name and a word, as people write them: `account PA3… is blocked`. Whether the word is a secret, its looks must say."""
_DATE_OR_AMOUNT = re.compile(r"\d{4}-\d\d-\d\d.*|[\d_]*\.\d+|\d+-\d+(?:-\d+)?")
_NUMBERED = re.compile(r"[A-Za-z]+(?:[-_./][A-Za-z]+)*[-_./]\d{1,3}")
_COUNTED = re.compile(r"[A-Za-z]?[a-z]+\d{1,3}")
_KEY = re.compile(r"(?=.*\d)(?=.*[A-Z])[A-Za-z0-9]{16,}")
_HOLDER = re.compile(
    r"""\b\w*(?:[Cc]redentials?|CREDENTIALS?|Secrets?|SecretStr|SecretBytes|A[Pp][Ii]Keys?|KeyPair)"""
    rf"""(?:(?P<call>[({{\[])|\s+(?=\w+=))(?:{_INSIDE}|[\[({{<]{_INSIDE}{{0,200}}[\])}}>]){{0,400}}"""
)
"""An object of secrets as it is printed, `Credentials(key='…')`: what its fields are called alone would not give them away."""
_ARGUMENT = re.compile(
    r"""(?P<lead>\b(?:key|id|user|username|login|value|pin|pwd|passwd|public|private)\s*[=:]\s*|(?<=[({\[])\s*(?=["'])|,\s*(?=["']))"""
    r"""(?P<open>b?(?P<mark>["'])|)(?P<word>(?(mark)(?:(?!(?P=mark))[^\n])*|[^\s"'\\,;(){}\[\]&<>]+))"""
)
_IN_ADDRESS = re.compile(r"""(?<=://)[^\s/@"'<>\\]+(?=@)""")
"""Name and password in an address, as in `https://name:password@host`."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_CANDIDATES = (
    re.compile(r"""[^\s"'\\,;(){}\[\]<>&]{6,256}"""),
    re.compile(r"""[^\s"'\\,;(){}\[\]<>&:=@]{6,256}"""),
    re.compile(r"[A-Za-z0-9/+_\-]{6,256}"),
    re.compile(r"[A-Za-z0-9]{6,256}"),
)
_MARKS = frozenset("{}[]:,")
_SPACE = " \t\r\n"
_SURE_LENGTH = 16
_SHORTEST = 6
_PAIR = 2
_HOLDS_NOTHING = re.compile(r"[\[({<](?:redacted)?[\])}>]")
_NOTHING = ("", "null", "None", "true", "false", "True", "False", REDACTED)


def fingerprint(value: str) -> str:
    """Give the SHA-256 of a secret value: what may be configured and compared where the value may not."""
    return sha256(value.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Redactor:
    """Takes secrets out of values. `fingerprints` are SHA-256 digests of known secret values."""

    fingerprints: frozenset[str] = frozenset()

    def clean(self, value: object) -> object:
        """Give `value`, anything that JSON can hold, with every secret replaced; what holds none is given back as it is."""
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, Mapping):
            return self._object(value)
        if isinstance(value, list | tuple):
            if len(value) == _PAIR and is_secret(value[0]) and not isinstance(value[1], Mapping | list | tuple):
                return [value[0], _blank(value[1])]
            return [self.clean(inner) for inner in value]
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and self.fingerprints:
            return REDACTED if fingerprint(str(value)) in self.fingerprints else value
        return value

    def clean_text(self, text: str) -> str:
        """Replace every secret in a text, which may itself be JSON; it stays JSON then."""
        if _may_name(text) or "\\u" in text:
            text = self._json(text) if _is_json(text) else _without_named(text)
        if "://" in text and "@" in text:
            text = _IN_ADDRESS.sub(REDACTED, text)
        for word in self._known_in(text):
            text = text.replace(word, REDACTED)
        return text

    def _object(self, value: Mapping[object, object]) -> dict[object, object]:
        """Clean an object. A header stands in one as `{"name": …, "value": …}`."""
        named = next((value[key] for key in ("name", "key", "Name", "Key") if key in value), None)
        is_header = is_secret(named)
        return {
            self.clean_text(name) if isinstance(name, str) and self.fingerprints else name: (
                _blank(inner)
                if is_secret(name) or (is_header and name in ("value", "Value")) or _tells_account(name, inner)
                else self.clean(inner)
            )
            for name, inner in value.items()
        }

    def _json(self, text: str) -> str:
        """Replace the secrets in a JSON text and nothing else, token by token."""
        pieces: list[str] = []
        place, end = _Place(), 0
        for token in _TOKEN.finditer(text):
            piece = token.group()
            pieces.append(text[end : token.start()])
            end = token.end()
            if piece in _MARKS:
                place.mark(piece)
            elif place.is_object and text[end:].lstrip(_SPACE)[:1] == ":":
                place.name = str(json.loads(piece))
                piece = self._scalar(piece, secret=False)
            else:
                secret = place.is_secret or _tells_account(place.name, json.loads(piece))
                place.value(json.loads(piece) if piece[0] == '"' else None)
                piece = self._scalar(piece, secret=secret)
            pieces.append(piece)
        return "".join((*pieces, text[end:]))

    def _scalar(self, piece: str, *, secret: bool) -> str:
        value = json.loads(piece) if piece[0] == '"' else piece
        if secret:
            return piece if value in _NOTHING else f'"{REDACTED}"'
        cleaned = self.clean_text(value)
        if cleaned == value:
            return piece
        return json.dumps(cleaned, ensure_ascii=piece.isascii())

    def _known_in(self, text: str) -> list[str]:
        if not self.fingerprints:
            return []
        words = {text} | {match.group() for pattern in _CANDIDATES for match in pattern.finditer(text)}
        return sorted((word for word in words if fingerprint(word) in self.fingerprints), key=len, reverse=True)


class _Place:
    """Where in a JSON text one stands, as far as it matters for what is secret there."""

    def __init__(self) -> None:
        self._open: list[tuple[str, bool]] = []
        self.name: str | None = None
        self._named_before = False

    @property
    def is_object(self) -> bool:
        """Whether the innermost thing that is open is an object."""
        return bool(self._open) and self._open[-1][0] == "{"

    @property
    def is_secret(self) -> bool:
        """Whether a value that stands here is: by its field, by what it is inside of, or as the other half of a header."""
        inside = bool(self._open) and self._open[-1][1]
        as_header = self._named_before and (not self.is_object or _plain(self.name or "") == "value")
        return inside or is_secret(self.name) or as_header

    def mark(self, piece: str) -> None:
        """Go past a bracket, a comma or a colon."""
        if piece in "{[":
            self._open.append((piece, self.is_secret))
            self._named_before, self.name = False, None
        elif piece in "}]":
            self._open.pop()
            self._named_before, self.name = False, None
        elif piece == ",":
            self.name = None

    def value(self, text: object) -> None:
        """Go past a value; a header's name announces that what follows is secret."""
        is_name = not self.is_object or _plain(self.name or "") in ("name", "key")
        self._named_before = is_secret(text) and is_name if isinstance(text, str) else False


def _may_name(text: str) -> bool:
    folded = text.casefold()
    if not any(part in folded for part in _PARTS):
        return False
    return any(pattern.search(text) is not None for pattern in (_MAY_NAME, _TOLD, _HOLDER))


def is_secret(name: object) -> bool:
    """Tell whether a field is called as a secret is: what stands in it never enters evidence."""
    return isinstance(name, str) and _plain(name) in _NAMES


def _is_json(text: str) -> bool:
    if text.lstrip(_SPACE)[:1] not in ("{", "[", '"'):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _blank(value: object) -> object:
    """Replace every text and number inside a secret field; its shape stays, such as an item's `{"S": …}`."""
    if isinstance(value, Mapping):
        if list(value) == ["N"]:
            return {"S": REDACTED}
        return {name: _blank(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_blank(inner) for inner in value]
    return value if value is None or isinstance(value, bool) or value == "" else REDACTED


_ACCOUNTS = frozenset({"account", "acct", "accountno", "acctno", "acctnumber", "acctid"})


def _tells_account(name: object, value: object) -> bool:
    """Tell whether a field that may be anything of an account holds its number: an `account` may well be an object."""
    if not isinstance(name, str) or _plain(name) not in _ACCOUNTS:
        return False
    if isinstance(value, Mapping) and list(value) in (["S"], ["N"]):
        return _tells_account(name, next(iter(value.values())))
    is_plain = isinstance(value, str | int) and not isinstance(value, bool)
    return is_plain and " " not in str(value) and _looks_secret(str(value), is_sure=False)


def _looks_secret(word: str, *, is_sure: bool) -> bool:
    """Tell whether a word has the looks of a number or key that somebody was given: no word, date, amount or numbered thing."""
    if len(word) < _SHORTEST or not any(character.isdigit() for character in word):
        return False
    if _DATE_OR_AMOUNT.fullmatch(word) or _NUMBERED.fullmatch(word):
        return False
    return is_sure or not _COUNTED.fullmatch(word)


def _without_named(text: str) -> str:
    """Replace the secrets that a text, which is no JSON, names: as fields, as arguments of an object of secrets, in prose."""
    text = _HOLDER.sub(lambda match: _ARGUMENT.sub(_without_argument, match.group()), text)
    return _TOLD.sub(_untold, _NAMED.sub(_replaced, text))


def _without_argument(match: re.Match[str]) -> str:
    return match.group() if match["word"] in _NOTHING else f"{match['lead']}{match['open']}{REDACTED}"


def _untold(match: re.Match[str]) -> str:
    """Replace the word that follows a secret's name in prose, where it looks like one."""
    word, is_sure = match["word"].rstrip("."), bool(match["sure"])
    if not is_sure:
        word = word.partition("/")[0]
    is_key = not is_sure and not match["account"]
    if not (_KEY.fullmatch(word) if is_key else _looks_secret(word, is_sure=is_sure)):
        return match.group()
    return f"{match['lead']}{REDACTED}{match['word'][len(word) :]}"


def _replaced(match: re.Match[str]) -> str:
    """Replace the value that follows a secret name in a text that is no JSON: up to its closing quote, else one word."""
    lead, sep, named_in_quotes = match["lead"], match["sep"], bool(match["quote"])
    if match["quoted"] is not None:
        if (sep == "," and not named_in_quotes) or match["quoted"] in _NOTHING:
            return match.group()
        return f"{lead}{match['open']}{REDACTED}{match['mark']}"
    if match["held"] is not None:
        is_field = named_in_quotes or sep.startswith("=")
        return f"{lead}{REDACTED}" if is_field and not _HOLDS_NOTHING.fullmatch(match["held"]) else match.group()
    bare = match["bare"]
    if bare in _NOTHING or sep == ",":
        return match.group()
    is_sure = named_in_quotes or match["stray"] or match["scheme"] or sep.startswith("=")
    if not is_sure and len(bare) < _SURE_LENGTH and not any(character.isdigit() for character in bare):
        return match.group()  # a sentence such as "token: expected a text"
    return f"{lead}{match['stray'] or ''}{match['scheme'] or ''}{REDACTED}"


_COMPRESSION = 6


_GZIP = 31  # zlib's way of asking for gzip's format, which then has no time stamp


class DocumentWriter:
    """Writes an evidence document record by record, so that none but the one being written is held."""

    def __init__(self, redactor: Redactor) -> None:
        """Begin a document, cleaned by `redactor`."""
        self._redactor = redactor
        self._digest = sha256()
        self._size = 0
        self._compressed = bytearray()
        self._compress = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, _GZIP)

    def add(self, what: str, value: object) -> None:
        """Write one record."""
        line = f"{canonical({'record': what, 'value': self._redactor.clean(value)})}\n".encode()
        self._digest.update(line)
        self._size += len(line)
        self._compressed += self._compress.compress(line)

    def finish(self) -> tuple[str, int, bytes]:
        """End the document: the digest and size of its text, and its compressed bytes."""
        self._compressed += self._compress.flush()
        return self._digest.hexdigest(), self._size, bytes(self._compressed)
