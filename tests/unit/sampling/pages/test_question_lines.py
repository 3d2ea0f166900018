import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.pages.question_lines import parse_options, parse_texts, written_options, written_texts

LOCALES = st.sampled_from(["en", "de", "pt-BR", "zh_Hant_TW", "ar"])
WORDS = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"], exclude_characters="|="), min_size=1
).map(lambda text: " ".join(text.split()))


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("Is this right?", {"en": "Is this right?"}),
        ("de = Stimmt das?", {"de": "Stimmt das?"}),
        ("Is this right?\npt-BR=Está certo?", {"en": "Is this right?", "pt-BR": "Está certo?"}),
        ("en = One line\nand another\n\nde = Eine", {"en": "One line\nand another", "de": "Eine"}),
        ("Which one = the best?", {"en": "Which one = the best?"}),
        ("  ", {}),
    ],
)
def test_texts_are_read_by_locale(text: str, texts: dict[str, str]) -> None:
    assert parse_texts(text) == texts


def test_a_locale_comes_once() -> None:
    with pytest.raises(ValueError, match="“de” comes twice"):
        parse_texts("de = a\nde = b")


@given(st.dictionaries(LOCALES, WORDS.filter(bool), min_size=1))
def test_texts_come_back_as_they_were(texts: dict[str, str]) -> None:
    assert parse_texts(written_texts(texts)) == texts


def test_options_are_read_with_their_languages() -> None:
    read = parse_options("wrong = It is wrong | de = Es ist falsch\n\nslow\n")
    assert read == [
        {"key": "wrong", "text": {"en": "It is wrong", "de": "Es ist falsch"}},
        {"key": "slow", "text": {"en": "slow"}},
    ]
    assert parse_options(written_options(read)) == read  # type: ignore[arg-type]  # JSON objects


@given(st.lists(st.tuples(WORDS.filter(bool), st.dictionaries(LOCALES, WORDS.filter(bool), min_size=1)), max_size=5))
def test_options_come_back_as_they_were(pairs: list[tuple[str, dict[str, str]]]) -> None:
    options = [{"key": key, "text": texts} for key, texts in pairs]
    assert parse_options(written_options(options)) == options


def test_an_option_needs_a_key() -> None:
    with pytest.raises(ValueError, match="names no key"):
        parse_options("= It is wrong")
