"""Business Unit: evidence | Status: current.

What must never enter evidence: account numbers, keys, secrets. They are taken out of the serialised document, because a
history holds JSON texts inside JSON texts: by the name of the field, at any depth of quoting, and by value, when the
SHA-256 of a word is one of the known fingerprints. The stored bytes are what outcomes are read from, so a judgement today
and one in a year see the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

REDACTED = "[redacted]"
SECRET_FIELDS = (
    "account_number",
    "accountNumber",
    "account_id",
    "accountId",
    "api_key",
    "apiKey",
    "api_secret",
    "apiSecret",
    "secret",
    "secret_key",
    "secretKey",
    "key_id",
    "keyId",
    "access_key",
    "accessKey",
    "password",
    "token",
    "taskToken",
    "authorization",
    "Authorization",
    "APCA-API-KEY-ID",
    "APCA-API-SECRET-KEY",
    "ALPACA__KEY",
    "ALPACA__SECRET",
)
_WORD = re.compile(r"(?<![A-Za-z0-9/+_\-])[A-Za-z0-9/+_\-]{8,128}(?![A-Za-z0-9/+_\-])")


def fingerprint(value: str) -> str:
    """Give the SHA-256 of a secret value: what may be configured and compared where the value may not."""
    return sha256(value.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Redactor:
    """Takes secrets out of a JSON text. `fingerprints` are SHA-256 digests of known secret values."""

    fingerprints: frozenset[str] = frozenset()
    fields: tuple[str, ...] = SECRET_FIELDS

    def clean(self, text: str) -> str:
        """Replace every secret in `text` and keep the JSON valid."""
        present = [name for name in self.fields if name in text]
        if present:
            text = _named(present).sub(_replacement, text)
        for word in self._secrets_in(text):
            text = text.replace(word, REDACTED)
        return text

    def _secrets_in(self, text: str) -> list[str]:
        if not self.fingerprints:
            return []
        words = {match.group() for match in _WORD.finditer(text)}
        return sorted(word for word in words if fingerprint(word) in self.fingerprints)


def _named(names: list[str]) -> re.Pattern[str]:
    """Match `"field": value` with quotes escaped to any depth; the value is a text up to the same quote, or a bare word."""
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    text_or_word = r'(?P=q).*?(?<!\\)(?P=q)|[^"\\,}\]\s\[{]+'
    return re.compile(rf'(?P<lead>(?P<q>\\*")(?:{alternatives})(?P=q)\s*:\s*)(?P<value>{text_or_word})')


def _replacement(match: re.Match[str]) -> str:
    quote, value = match.group("q"), match.group("value")
    if value in ("null", "true", "false", quote * 2):
        return match.group()
    return f"{match.group('lead')}{quote}{REDACTED}{quote}"
