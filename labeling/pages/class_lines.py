"""Classes as people type them: one a line, `key | title | description`, of which only the key is needed."""

from labeling.schema import AnySchema, JSONValue

_SEPARATOR = "|"
_PARTS = ("key", "title", "description")


def parse(text: str, *, before: AnySchema | None = None) -> list[JSONValue]:
    """Return the classes in the form of a schema's definition. A class of `before` keeps its hotkey."""
    hotkeys = {known.key: known.hotkey for known in before.label_classes} if before else {}
    classes: list[JSONValue] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(_SEPARATOR, len(_PARTS) - 1)]
        fields: dict[str, JSONValue] = {name: part for name, part in zip(_PARTS, parts, strict=False) if part}
        if hotkey := hotkeys.get(parts[0]):
            fields["hotkey"] = hotkey
        classes.append(fields)
    return classes


def written(schema: AnySchema) -> str:
    """The lines that `parse` reads back to the same classes."""
    lines = []
    for label_class in schema.label_classes:
        parts = [label_class.key, label_class.title, label_class.description]
        while not parts[-1]:
            parts.pop()
        lines.append(f" {_SEPARATOR} ".join(parts))
    return "\n".join(lines)
