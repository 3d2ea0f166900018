from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

# A namespace of its own: pages and API have the same nouns.
api_v1: list[URLPattern | URLResolver] = [
    path("openapi", SpectacularAPIView.as_view(), name="openapi"),
    path("", include("datasets.api.urls")),
]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include((api_v1, "api"))),
    path("", include("labeling.pages.urls")),
    path("", include("sampling.pages.urls")),
    path("", include("datasets.pages.urls")),
    path("", include("training.pages.urls")),
    path("", include("feedbackproject.pages.urls")),
]

handler400 = "feedbackproject.page_errors.bad_request"
handler403 = "feedbackproject.page_errors.permission_denied"
handler404 = "feedbackproject.page_errors.not_found"
handler500 = "feedbackproject.page_errors.server_error"
