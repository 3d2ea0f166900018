from django.urls import path

from datasets.pages import datasets

urlpatterns = [path("projects/<slug:slug>/datasets/", datasets.datasets, name="datasets")]
