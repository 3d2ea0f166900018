from django.urls import path

from sampling.pages import queue, widget

urlpatterns = [
    path("projects/<slug:slug>/queue/", queue.queue, name="queue"),
    path("widget.js", widget.widget, name="widget"),
]
