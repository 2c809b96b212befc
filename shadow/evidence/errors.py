"""Business Unit: evidence | Status: current.

What can go wrong between the lanes' records and a verdict.

ShadowError
├── EvidenceUnavailable     a source did not answer (throttled, timed out): worth another try
├── EvidenceCorrupt         stored bytes do not have the digest in their key
├── UnknownPair             no pair is recorded for the plan or run
├── PairMoved               another comparator changed the pair first
└── InvalidPayload          a message is not what its contract says (shadow.contracts.errors)
"""

from __future__ import annotations

from shadow.contracts.errors import ShadowError


class EvidenceUnavailable(ShadowError):
    """A source of evidence did not answer; worth another try."""


class EvidenceCorrupt(ShadowError):
    """Stored bytes do not have the digest that their key promises."""


class UnknownPair(ShadowError):
    """No pair is recorded for this plan or run."""


class PairMoved(ShadowError):
    """Another comparator changed the pair first; read it again."""
