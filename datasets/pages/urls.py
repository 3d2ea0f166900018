from django.urls import path

from datasets.pages import acceptance, datasets

urlpatterns = [
    path("projects/<slug:slug>/acceptance/", acceptance.acceptance, name="acceptance"),
    path("projects/<slug:slug>/datasets/", datasets.datasets, name="datasets"),
]
