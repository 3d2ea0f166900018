"""The WSGI entry point for Granian or any other server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedbackproject.settings.base")

application = get_wsgi_application()
