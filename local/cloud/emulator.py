"""Business Unit: local cloud | Status: current.

Start, find and stop the emulator: one child process in a session of its own, on a free loopback port, with its data and log
below one folder. It sees no variable of the surrounding environment that could lead it or its functions to a real account.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.cloud.access import CloudAccess, dummy_environment
from local.cloud.emulator_side.strangers import TOKEN_VARIABLE
from local.cloud.environment import LocalEnvironment
from local.cloud.errors import EmulatorFailed
from local.cloud.progress import Progress, silent

STATE_FILE = "cloud.json"
CALLS_FILE = "calls.jsonl"
_LOG_FILE = "emulator.log"
_HOST = "127.0.0.1"
_MAIN = Path(__file__).parent / "emulator_side" / "serve.py"
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 3
_IAM = {"AUTH": "true", "CLOUDTRAIL_RECORDING": "1"}
_children: dict[int, subprocess.Popen[bytes]] = {}  # keeps our end of each child's pipe open as long as this process lives


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """An emulator that answers: its process, port and endpoint, where its log and data are, and the token that requests bear."""

    pid: int
    port: int
    endpoint: str
    log: str
    folder: str
    token: str = field(repr=False)

    @property
    def access(self) -> CloudAccess:
        """Give the clients of this emulator."""
        return CloudAccess(self.endpoint, self.token)


def start_emulator(
    environment: LocalEnvironment,
    folder: Path,
    *,
    stay: bool = False,
    wait_scale: float = 1.0,
    enforce_iam: bool = False,
    progress: Progress = silent,
) -> RunningEmulator:
    """Start an emulator below `folder` and wait until it answers.

    With `stay` it outlives this process (and `running_emulator` finds it again); without, it ends with this process however
    this process ends. `wait_scale` multiplies every wait and retry interval of the state machines: 0 skips them. With
    `enforce_iam` every function works under its own role, a call that its policies do not allow is denied, CloudTrail's
    LookupEvents tells of every call, and `CALLS_FILE` below `folder` names each different one with its role, action and resource.
    Raises EmulatorFailed when it does not answer in time, or when one already runs below `folder`.
    """
    already = running_emulator(folder)
    if already is not None:
        raise EmulatorFailed(f"a local cloud already runs at {already.endpoint}: `shadow down` ends it")
    progress("starting the emulator")
    folder = folder.absolute()
    for attempt in range(1, _ATTEMPTS + 1):
        shutil.rmtree(folder / "data", ignore_errors=True)
        (folder / "data" / "tmp").mkdir(parents=True)
        port, token = _free_port(), secrets.token_urlsafe(24)
        enforced = _IAM | {"SHADOW_CALL_RECORD": str(folder / CALLS_FILE)} if enforce_iam else {}
        variables = _variables(environment, folder, port, token, wait_scale) | enforced
        process = _launch(environment, folder, variables, stay=stay)
        running = RunningEmulator(process.pid, port, f"http://{_HOST}:{port}", str(folder / _LOG_FILE), str(folder), token)
        try:
            answers = _answers_in_time(running, process)
        except BaseException:  # interrupted: nothing may stay behind
            _end(process.pid, process)
            raise
        if answers:
            _children[process.pid] = process
            write_private(folder / STATE_FILE, json.dumps(asdict(running), indent=2))
            return running
        _end(process.pid, process)
        progress(f"the emulator did not start (attempt {attempt} of {_ATTEMPTS})")
    raise EmulatorFailed(f"the emulator did not answer within {_START_SECONDS:.0f} s; its log ends: {_tail(folder / _LOG_FILE)}")


def running_emulator(folder: Path) -> RunningEmulator | None:
    """Find the emulator that was started below `folder`, or None. A record of one that is gone is removed."""
    record = folder / STATE_FILE
    if not record.is_file():
        return None
    try:
        running = RunningEmulator(**json.loads(record.read_text()))
    except (ValueError, TypeError):
        record.unlink(missing_ok=True)
        return None
    if _is_ours(running) and _answers(running.endpoint):
        return running
    record.unlink(missing_ok=True)
    return None


def stop_emulator(running: RunningEmulator) -> None:
    """End the emulator by its process id, wait until it is gone, and remove its record and data. The log stays."""
    if _is_ours(running):
        _end(running.pid, _children.pop(running.pid, None))
    folder = Path(running.folder)
    (folder / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / "data", ignore_errors=True)


@contextmanager
def emulator(
    environment: LocalEnvironment, folder: Path | None = None, *, wait_scale: float = 1.0, enforce_iam: bool = False
) -> Iterator[RunningEmulator]:
    """Run an emulator for the length of a block, below `folder` or a temporary one; the rest as `start_emulator`."""
    with tempfile.TemporaryDirectory(prefix="shadow-cloud-") as temporary:
        place = folder or Path(temporary)
        running = start_emulator(environment, place, wait_scale=wait_scale, enforce_iam=enforce_iam)
        try:
            yield running
        finally:
            stop_emulator(running)


def write_private(path: Path, text: str) -> None:
    """Write a file whole that only its owner may read: it holds the token."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _launch(environment: LocalEnvironment, folder: Path, variables: Mapping[str, str], *, stay: bool) -> subprocess.Popen[bytes]:
    command = [str(environment.python), str(_MAIN), *(["--stay"] if stay else [])]
    with (folder / _LOG_FILE).open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and program
            command,
            stdin=subprocess.DEVNULL if stay else subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder / "data",
            env=dict(variables),
            start_new_session=True,
        )


def _variables(environment: LocalEnvironment, folder: Path, port: int, token: str, wait_scale: float) -> dict[str, str]:
    """Give everything the emulator's process sees of its surroundings."""
    data = folder / "data"
    return {
        **dummy_environment(f"http://{_HOST}:{port}", token),
        TOKEN_VARIABLE: token,
        "PATH": os.defpath,
        "HOME": str(data),
        "TMPDIR": str(data / "tmp"),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "BIND_HOST": _HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": _HOST,
        "MINISTACK_REGION": "us-east-1",
        "SFN_WAIT_SCALE": str(wait_scale),
        "S3_DATA_DIR": str(data / "s3"),
        "STATE_DIR": str(data / "state"),
        "DOCKER_HOST": f"unix://{data}/no-docker",
        "LOG_LEVEL": "INFO",
        "SHADOW_FUNCTION_PYTHON": str(environment.function_python),
        "SHADOW_LAYER_CACHE": str(environment.layers),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _answers_in_time(running: RunningEmulator, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(running.endpoint):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=5) as answer:  # noqa: S310 - our own loopback endpoint
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False


def _is_ours(running: RunningEmulator) -> bool:
    """Tell whether the recorded process id is still this emulator, and not another process that got the number since."""
    if Path("/proc/self").exists():
        listed = Path("/proc") / str(running.pid) / "cmdline"
        command = listed.read_bytes().replace(b"\0", b" ").decode(errors="replace") if listed.exists() else ""
    else:
        asked = ["/bin/ps", "-p", str(running.pid), "-o", "args="]
        command = subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603 - a fixed program and a number
    return str(_MAIN) in command


def _end(pid: int, process: subprocess.Popen[bytes] | None) -> None:
    """Ask the process group of `pid` to end, and insist when it does not."""
    for how, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
        try:
            os.killpg(pid, how)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _is_gone(pid, process):
                return
            time.sleep(_POLL_SECONDS)


def _is_gone(pid: int, process: subprocess.Popen[bytes] | None) -> bool:
    if process is not None:
        return process.poll() is not None
    try:
        reaped, _status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False
    return reaped == pid


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.is_file() else "(nothing)"
