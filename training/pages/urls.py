from django.urls import path

from training.pages import models

urlpatterns = [path("projects/<slug:slug>/models/", models.models, name="models")]
