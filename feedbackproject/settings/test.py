"""Settings of the tests: the same engines under their own directory, cheap password hashes, plain static files."""

from feedbackproject.settings.base import *  # noqa: F403  a settings file extends another one in Django

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True  # else WhiteNoise warns that nobody ran collectstatic
