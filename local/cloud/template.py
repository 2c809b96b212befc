"""Business Unit: local cloud | Status: current.

Make the deployed template deployable into the emulator, and nothing more: what `sam package` does (put artefacts into S3 and
point the URIs there), and the removals that `adaptations` lists. Every logical id, name and property else stays as written.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local.cloud.adaptations import INERT, REMOVED, Adaptation, Gap
from local.cloud.archive import contents
from local.cloud.build import Artefacts
from local.cloud.cfn_yaml import read_template
from local.cloud.errors import TemplateFailed

Upload = Callable[[str, bytes], str]
"""Store content under a key, and answer with its `s3://` URI."""

_URIS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}


@dataclass(frozen=True, slots=True)
class PreparedTemplate:
    """A template whose artefacts are uploaded: its body as JSON, and every gap of the emulator that it meets."""

    body: str
    adaptations: tuple[Adaptation, ...]


def prepare_template(path: Path, artefacts: Artefacts, upload: Upload) -> PreparedTemplate:
    """Read the template at `path`, upload what it refers to, and adapt it.

    `ContentUri: …/NAME.zip` is the built layer NAME, `CodeUri: …/NAME/` the built function NAME; any other local path is packed
    as it is. Raises TemplateFailed when a path does not exist, or when something that is kept needs what is removed.
    """
    template = copy.deepcopy(read_template(path))
    adaptations = (*_remove(template), *_inert(template))
    for logical_id, resource_type, properties in list(_resources(template)):
        key = _URIS.get(resource_type)
        if key is not None and isinstance(properties.get(key), str):
            uri = str(properties[key])
            if not uri.startswith("s3://"):
                name, content = _content(path.parent, resource_type, uri, artefacts, logical_id)
                properties[key] = upload(f"{hashlib.sha256(content).hexdigest()[:20]}/{name}", content)
    return PreparedTemplate(json.dumps(template), adaptations)


def _resources(template: Mapping[str, object]) -> Iterator[tuple[str, str, dict[str, object]]]:
    resources = template["Resources"]
    if isinstance(resources, dict):
        for logical_id, resource in resources.items():
            properties = resource.setdefault("Properties", {}) if isinstance(resource, dict) else {}
            yield str(logical_id), str(resource.get("Type", "")), properties


def _content(base: Path, resource_type: str, uri: str, artefacts: Artefacts, logical_id: str) -> tuple[str, bytes]:
    """Give the name and the bytes of what `uri` stands for."""
    place = PurePosixPath(uri)
    if resource_type == "AWS::Serverless::LayerVersion" and place.suffix == ".zip" and place.stem in artefacts.layers:
        return place.name, artefacts.layers[place.stem].path.read_bytes()
    if resource_type == "AWS::Serverless::Function" and place.name in artefacts.functions:
        return f"{place.name}.zip", artefacts.functions[place.name].path.read_bytes()
    local = base / uri
    if local.is_file():
        return local.name, local.read_bytes()
    if local.is_dir():
        return f"{local.name}.zip", _packed(local)
    raise TemplateFailed(f"{logical_id}: expected a built artefact, a file or a folder at {uri!r}, found nothing")


def _packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in contents(folder).items():
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
    return buffer.getvalue()


def _inert(template: Mapping[str, object]) -> Iterator[Adaptation]:
    for logical_id, resource_type, properties in (*_resources(template), *_globals(template)):
        for gap in _matching(INERT, resource_type, properties):
            yield Adaptation(logical_id, ".".join(part for part in gap.path if part != "*"), removed=False, reason=gap.reason)


def _globals(template: Mapping[str, object]) -> Iterator[tuple[str, str, object]]:
    """List the properties that Globals gives to every resource of a type."""
    shared = template.get("Globals")
    if isinstance(shared, Mapping):
        for kind, properties in shared.items():
            yield "Globals", f"AWS::Serverless::{kind}", properties


def _remove(template: dict[str, object]) -> tuple[Adaptation, ...]:
    """Take out every resource that meets a gap of `REMOVED`, with the outputs that speak of it."""
    gone = {}
    for logical_id, resource_type, properties in _resources(template):
        for gap in _matching(REMOVED, resource_type, properties):
            gone[logical_id] = Adaptation(logical_id, resource_type, removed=True, reason=gap.reason)
    resources, outputs = template["Resources"], template.get("Outputs", {})
    if not isinstance(resources, dict) or not isinstance(outputs, dict):
        raise TemplateFailed("expected Resources and Outputs to be mappings")
    for logical_id in gone:
        del resources[logical_id]
    for name in [name for name, output in outputs.items() if gone.keys() & set(_references(output))]:
        del outputs[name]
    for logical_id, resource in resources.items():
        needed = gone.keys() & set(_references(resource))
        if needed:
            raise TemplateFailed(f"{logical_id} needs {', '.join(sorted(needed))}, which the local cloud cannot hold")
    return tuple(gone.values())


def _matching(gaps: tuple[Gap, ...], resource_type: str, properties: object) -> Iterator[Gap]:
    return (gap for gap in gaps if gap.resource_type == resource_type and _present(properties, gap.path))


def _present(value: object, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    first, *rest = path
    if first == "*":
        values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        return any(_present(each, tuple(rest)) for each in values)
    return isinstance(value, Mapping) and first in value and _present(value[first], tuple(rest))


def _references(value: object) -> Iterator[str]:
    """List the logical ids that `value` refers to with Ref, Fn::GetAtt, Fn::Sub or DependsOn."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"Ref", "DependsOn"} and isinstance(inner, str):
                yield inner
            elif key == "Fn::GetAtt":
                yield str(inner[0] if isinstance(inner, list) else str(inner).split(".", 1)[0])
            elif key == "Fn::Sub":
                yield from _substituted(inner)
            elif key == "DependsOn" and isinstance(inner, list):
                yield from (str(each) for each in inner)
            yield from _references(inner)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _substituted(inner: object) -> Iterator[str]:
    text = inner[0] if isinstance(inner, list) else inner
    for part in str(text).split("${")[1:]:
        yield part.split("}", 1)[0].split(".", 1)[0]
