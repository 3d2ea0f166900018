from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from datasets.api.items import ItemDetail, ItemList
from labeling.api.items import ItemIntake


class Items(ItemList, ItemIntake):
    """One address: reading items shows beliefs and is datasets', sending them is labeling's."""

    capabilities = {**ItemList.capabilities, **ItemIntake.capabilities}


# A namespace of its own: pages and API have the same nouns.
api_v1: list[URLPattern | URLResolver] = [
    path("openapi", SpectacularAPIView.as_view(), name="openapi"),
    path("projects/<slug:slug>/items", Items.as_view(), name="items"),
    path("projects/<slug:slug>/items/<int:item_id>", ItemDetail.as_view(), name="item"),
    # First, because asks come with every page view of an app, and addresses are tried in their order.
    path("", include("sampling.api.urls")),
    path("", include("labeling.api.urls")),
    path("", include("datasets.api.urls")),
    path("", include("training.api.urls")),
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
