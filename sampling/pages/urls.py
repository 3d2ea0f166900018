from django.urls import path

from sampling.pages import queue

urlpatterns = [path("projects/<slug:slug>/queue/", queue.queue, name="queue")]
