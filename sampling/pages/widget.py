"""The widget at its stable address, for pages of any origin."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

from sampling import widget_file

FRESH_SECONDS = 3600


@require_safe
def widget(request: HttpRequest) -> HttpResponse:
    """Public: it holds no secret, and a page that pins it by hash may only do so if it is served to every origin."""
    served = widget_file.current()
    is_known = any(etag in {served.etag, "*"} for etag in _known(request))
    response: HttpResponse
    if is_known:
        response = HttpResponseNotModified()
    elif "gzip" in request.headers.get("Accept-Encoding", ""):
        response = HttpResponse(served.gzipped, content_type="text/javascript; charset=utf-8")
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = HttpResponse(served.content, content_type="text/javascript; charset=utf-8")
    response.headers["ETag"] = served.etag
    response.headers["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _known(request: HttpRequest) -> list[str]:
    return [etag.removeprefix("W/") for etag in parse_etags(request.headers.get("If-None-Match", ""))]
