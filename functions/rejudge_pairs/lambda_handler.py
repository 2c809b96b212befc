"""Business Unit: settlement | Status: current.

Judge a portion of the stored pairs again by another policy, for `shadow rejudge --in-cloud`: one call of a Distributed Map.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ConfigDict

from shadow.aws import clients
from shadow.aws.clients import Environment
from shadow.aws.objects import S3Objects
from shadow.contracts.model import Frozen, Identifier
from shadow.settlement.judging import answer_batch


class _RejudgeEnvironment(Environment):
    evidence_bucket_name: str


class _Call(Frozen):
    model_config = ConfigDict(extra="ignore")

    folder: Identifier
    items: tuple[tuple[str, str], ...]


@cache
def _objects() -> S3Objects:
    return S3Objects(clients.s3(), _RejudgeEnvironment.load().evidence_bucket_name)


def lambda_handler(event: dict[str, object], context: Any) -> dict[str, object]:
    """Judge the documents of `items` (name and stamp) as the request below `folder` says, and store the answers there.

    Raises `InvalidPayload` for a call or a document of another form, `EvidenceUnavailable`.
    """
    del context
    call = _Call.parse(event)
    return {"pairs": answer_batch(_objects(), call.folder, call.items)}
