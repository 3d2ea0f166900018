"""The digit reader: a page that stands for somebody's app. It uses the service only as any app would, by its API."""

import random
from dataclasses import asdict

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from feedbackproject import demo_reader
from feedbackproject.demo_reader import Reader

DIGITS_SHOWN = 6


@require_safe
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "feedbackproject/demo_reader.html", {"reader": _reader(), "question": demo_reader.QUESTION})


@require_safe
@never_cache
def digits(request: HttpRequest) -> JsonResponse:
    """What the app's own server would answer: the next digits, and what the model reads in them."""
    readings = demo_reader.readings(_reader().project, count=DIGITS_SHOWN, rng=random.SystemRandom())
    return JsonResponse({"digits": [asdict(reading) for reading in readings]})


def _reader() -> Reader:
    reader = demo_reader.current()
    if reader is None:
        raise Http404
    return reader
