"""Wiring: settings, URLs, Celery, schedule, API envelope, embedded engines."""
