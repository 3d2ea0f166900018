"""Class names behind integer labels, as the `datasets` library writes them down in three places."""

import json
from collections.abc import Mapping
from typing import Final

import yaml

ClassNames = Mapping[str, tuple[str, ...]]

LARGEST_DESCRIPTION: Final = 4 * 1024 * 1024


def from_info(value: object) -> ClassNames:
    """Read {"features": {"label": {"_type": "ClassLabel", "names": [..]}}}, alone or by configuration.

    >>> from_info({"default": {"features": {"label": {"_type": "ClassLabel", "names": ["ham", "spam"]}}}})
    {'label': ('ham', 'spam')}
    """
    if not isinstance(value, dict):
        return {}
    infos = [value] if isinstance(value.get("features"), dict) else list(value.values())
    found: dict[str, tuple[str, ...]] = {}
    for info in infos:
        features = info.get("features") if isinstance(info, dict) else None
        for column, feature in (features or {}).items() if isinstance(features, dict) else ():
            if names := _names(feature):
                found.setdefault(str(column), names)
    return found


def from_json(text: bytes) -> ClassNames:
    """Read a dataset_infos.json, or the description that stands in the schema of a Parquet file."""
    if len(text) > LARGEST_DESCRIPTION:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, dict) and isinstance(value.get("info"), dict):
        value = value["info"]
    return from_info(value)


def from_card(text: bytes) -> ClassNames:
    """Read the block between two lines of dashes at the head of a README.md."""
    head = text[:LARGEST_DESCRIPTION].replace(b"\r\n", b"\n")
    if not head.startswith(b"---\n") or (end := head.find(b"\n---", 3)) < 0:
        return {}
    try:
        value = yaml.safe_load(head[4:end].decode())
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    info = value.get("dataset_info") if isinstance(value, dict) else None
    found: dict[str, tuple[str, ...]] = {}
    for configuration in info if isinstance(info, list) else [info]:
        features = configuration.get("features") if isinstance(configuration, dict) else None
        for feature in features if isinstance(features, list) else ():
            if isinstance(feature, dict) and (names := _names(feature)):
                found.setdefault(str(feature.get("name", "")), names)
    return found


def _names(feature: object) -> tuple[str, ...]:
    """Of a class label, or of a list of them."""
    if isinstance(feature, list):
        return _names(feature[0]) if len(feature) == 1 else ()
    if not isinstance(feature, dict):
        return ()
    names = feature.get("names")
    if isinstance(names, list):
        return tuple(map(str, names))
    if isinstance(names, dict) and all(str(key).isdigit() for key in names):
        return tuple(str(names[key]) for key in sorted(names, key=lambda key: int(str(key))))
    for inner in ("dtype", "class_label", "feature", "sequence", "list"):
        if inner in feature and (found := _names(feature[inner])):
            return found
    return ()
