"""Texts in several languages: which one a respondent reads, and in which direction."""

import re
from collections.abc import Mapping
from typing import Final, Literal

_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_SPLIT: Final = re.compile("[-_]")
_RIGHT_TO_LEFT: Final = frozenset({"ar", "ckb", "dv", "fa", "he", "iw", "ps", "sd", "ug", "ur", "yi"})
_RIGHT_TO_LEFT_SCRIPTS: Final = frozenset({"adlm", "arab", "hebr", "nkoo", "rohg", "syrc", "thaa"})
_SCRIPT_LENGTH: Final = 4

Direction = Literal["ltr", "rtl"]


def is_locale(name: str) -> bool:
    """Whether it has the form of a language tag, such as "de", "pt-BR" or "zh_Hant_TW".

    >>> is_locale("pt-BR"), is_locale("german, please")
    (True, False)
    """
    return _LOCALE.fullmatch(name) is not None


def best_locale(available: Mapping[str, object], wanted: str) -> str:
    """The locale to read: the one wanted, its language, another region of that language, English, or the first.

    Upper and lower case, hyphen and underscore make no difference. Without any locale it is "".

    >>> best_locale({"en": "", "de": "", "pt-BR": ""}, "de_AT")
    'de'
    >>> best_locale({"en": "", "pt-BR": ""}, "pt")
    'pt-BR'
    >>> best_locale({"fr": "", "en": ""}, "ja")
    'en'
    """
    by_name = {_normal(name): name for name in available}
    name = _normal(wanted)
    while name:
        if name in by_name:
            return by_name[name]
        name = name.rpartition("-")[0]
    language = _normal(wanted).partition("-")[0]
    for candidate, original in by_name.items():
        if language and candidate.partition("-")[0] == language:
            return original
    return by_name.get("en") or next(iter(available), "")


def in_locale(texts: Mapping[str, str], wanted: str) -> str:
    """The text in the best locale; empty where there is none."""
    return texts.get(best_locale(texts, wanted), "")


def direction_of(locale: str) -> Direction:
    """How the locale's script runs.

    >>> direction_of("he"), direction_of("az-Arab"), direction_of("ar-Latn"), direction_of("de")
    ('rtl', 'rtl', 'ltr', 'ltr')
    """
    language, *others = _SPLIT.split(locale.lower())
    for part in others:
        if len(part) == _SCRIPT_LENGTH and part.isalpha():
            return "rtl" if part in _RIGHT_TO_LEFT_SCRIPTS else "ltr"
    return "rtl" if language in _RIGHT_TO_LEFT else "ltr"


def _normal(name: str) -> str:
    return name.replace("_", "-").lower()
