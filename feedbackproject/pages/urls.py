from django.urls import path

from feedbackproject.pages import overview

urlpatterns = [path("projects/<slug:slug>/", overview.overview, name="overview")]
