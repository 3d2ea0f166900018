"""Texts and options of questions as people type them, a line each, and back."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from labeling.schema import JSONValue

_LOCALE: Final = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}"
_LOCALE_LINE: Final = re.compile(rf"\s*({_LOCALE})\s*=(.*)", re.DOTALL)
_USUAL: Final = "en"


def parse_texts(text: str) -> dict[str, str]:
    r"""Read `de = Stimmt das?`, a locale a line. What begins without a locale is English; a later line without one goes on.

    ValueError for a locale that comes twice.

    >>> parse_texts("Is this right?\nde = Stimmt das?")
    {'en': 'Is this right?', 'de': 'Stimmt das?'}
    """
    texts: dict[str, list[str]] = {}
    locale = _USUAL
    for line in text.splitlines():
        if found := _LOCALE_LINE.fullmatch(line):
            locale = found[1]
            if locale in texts:
                raise ValueError(f"“{locale}” comes twice")
            texts[locale] = [found[2].strip()]
        elif line.strip():
            texts.setdefault(locale, []).append(line.strip())
    return {name: "\n".join(lines).strip() for name, lines in texts.items()}


def written_texts(texts: Mapping[str, str]) -> str:
    r"""The lines that `parse_texts` reads back to the same texts; English alone without its locale.

    >>> written_texts({"en": "Is this right?"}), written_texts({"de": "Stimmt das?"})
    ('Is this right?', 'de = Stimmt das?')
    """
    if set(texts) == {_USUAL} and not _LOCALE_LINE.match(texts[_USUAL]):
        return texts[_USUAL]
    return "\n".join(f"{locale} = {text}" for locale, text in texts.items())


def parse_options(text: str) -> list[JSONValue]:
    """Read `wrong = It is wrong | de = Es ist falsch`, an option a line, in the form of a question's definition.

    An option without `=` is its own text. ValueError for one without a key, or with a locale that comes twice.

    >>> parse_options("ok = Fine | de = Gut")
    [{'key': 'ok', 'text': {'en': 'Fine', 'de': 'Gut'}}]
    """
    options: list[JSONValue] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        key, sign, wording = (part.strip() for part in line.partition("="))
        if not key:
            raise ValueError(f"“{line.strip()}” names no key")
        texts = parse_texts(wording.replace("|", "\n")) if sign else {_USUAL: key}
        options.append({"key": key, "text": dict(texts)})
    return options


def written_options(options: Sequence[Mapping[str, object]]) -> str:
    """The lines that `parse_options` reads back to the same options, whose texts are of one line."""
    lines = []
    for option in options:
        texts = option["text"]
        assert isinstance(texts, dict)  # noqa: S101 - the form of a stored definition
        first, *others = [_USUAL, *(locale for locale in texts if locale != _USUAL)]
        parts = [str(texts[first])] if first in texts else []
        parts += [f"{locale} = {texts[locale]}" for locale in others]
        lines.append(f"{option['key']} = {' | '.join(parts)}")
    return "\n".join(lines)
