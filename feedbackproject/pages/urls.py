from django.urls import path

from feedbackproject.pages import demo_reader, overview

urlpatterns = [
    path("projects/<slug:slug>/", overview.overview, name="overview"),
    path("demo/", demo_reader.page, name="demo_reader"),
    path("demo/digits/", demo_reader.digits, name="demo_digits"),
]
