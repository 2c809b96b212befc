"""No test reaches a real account, the network or a developer's own local cloud: credentials are made up, sockets open here.

What botocore knows of the services is read from disk once in a process, not once in each of the sessions that tests make.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest
from hypothesis import HealthCheck, settings

_LOCAL = {"127.0.0.1", "::1", "localhost"}
_connect = socket.socket.connect

settings.register_profile("shadow", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shadow")


class _Loader(botocore.loaders.Loader):
    """botocore's own loader of service models, shared: a session that adds a search path adds it for itself alone."""

    @property
    def search_paths(self) -> list[str]:
        return list(self._search_paths)


@cache
def _one_loader(search_path: str | None = None) -> botocore.loaders.Loader:
    extra = search_path.split(os.pathsep) if search_path else []
    return _Loader(extra_search_paths=[*extra, str(Path(boto3.__file__).parent / "data")])


def pytest_configure() -> None:
    botocore.session.create_loader = _one_loader
    os.environ.pop("COLUMNS", None)  # parallel workers inherit the terminal's width; pages are tested at their own
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        XDG_STATE_HOME=os.devnull,
    )


@pytest.fixture(autouse=True, scope="session")
def _this_machine_only() -> Iterator[None]:
    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOCAL:
            raise OSError(f"a test tried to reach {address[0]}: only this machine may be reached")
        _connect(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign,assignment]
    yield
    socket.socket.connect = _connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _logs_are_heard_again() -> Iterator[None]:
    """A test that silences logging for all the tests after it would let them miss, or wrongly ask for, what is logged."""
    yield
    silenced = logging.root.manager.disable
    logging.disable(logging.NOTSET)
    assert silenced == logging.NOTSET, "this test left logging disabled: use `without_logs` of tests.simulation.world"
