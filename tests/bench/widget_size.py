"""What a page loads to ask its people: the widget with all kinds of questions, as a browser gets it."""

import gzip

from sampling import widget_file
from tests.bench.result import Result

MOST_BYTES = 10_000


def run() -> list[Result]:
    served = widget_file.current()
    return [
        Result("widget, as it is written", len(served.content), "bytes", None, "at_most"),
        Result("widget, gzip -9", len(gzip.compress(served.content, 9)), "bytes", MOST_BYTES, "at_most"),
    ]
