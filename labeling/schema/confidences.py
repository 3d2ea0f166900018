"""Confidences that a model gives part by part, as of spans and boxes."""

from labeling.schema.base import JSONValue, SchemaError


def split_off_confidences(value: JSONValue, name: str) -> tuple[JSONValue, float | None]:
    """Return the answer without its parts' confidences, and the least of these: an answer is right if all of it is.

    None if no part has one, or there is no part; what is no list of objects is left for `parse_answer` to refuse. Raises
    `SchemaError` "invalid_answer" for a confidence that is no number from 0 to 1.
    """
    parts = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(parts, list):
        return value, None
    plain: list[JSONValue] = []
    least: float | None = None
    for part in parts:
        if not isinstance(part, dict) or "confidence" not in part:
            plain.append(part)
            continue
        confidence = part["confidence"]
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
            raise SchemaError("invalid_answer", f"a confidence is a number from 0 to 1 - at `$.{name}`")
        least = float(confidence) if least is None else min(least, float(confidence))
        plain.append({key: each for key, each in part.items() if key != "confidence"})
    return {**value, name: plain}, least
