"""Markdown in payloads, as HTML that is safe to show."""

from collections.abc import Iterator
from typing import Final

import nh3
from markdown_it import MarkdownIt

_PARSER: Final = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").enable("strikethrough")
_TAGS: Final = frozenset(
    [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}


def to_html(text: str) -> str:
    """Render CommonMark with tables; HTML in the text is shown as text, and what is left is sanitised.

    >>> to_html("*so* <script>alert(1)</script>")
    '<p><em>so</em> &lt;script&gt;alert(1)&lt;/script&gt;</p>\\n'
    """
    return nh3.clean(
        _PARSER.render(text),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )


def rendered_fields(payload: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and HTML of each Markdown text in a payload: in a field `markdown`, or as {"markdown": ...}.

    Looks into the columns of a side-by-side payload too.

    >>> dict(rendered_fields({"a": {"markdown": "*x*"}, "text": "*y*"}))
    {'a': '<p><em>x</em></p>\\n'}
    """
    if not isinstance(payload, dict):
        return
    for name, value in payload.items():
        if name == "markdown" and isinstance(value, str):
            yield path + name, to_html(value)
        elif isinstance(value, dict) and isinstance(value.get("markdown"), str):
            yield path + name, to_html(value["markdown"])
        elif name == "columns" and isinstance(value, list):
            for index, column in enumerate(value):
                yield from rendered_fields(column, f"{path}columns.{index}.")
