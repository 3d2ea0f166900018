"""The Celery application. Tasks get ids, are safe to run twice, and are acknowledged after they ran."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedbackproject.settings.base")

app = Celery("feedbackproject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
