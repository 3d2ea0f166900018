"""Settings of the tests: the same engines under their own directory, cheap password hashes, plain static files."""

import os
from pathlib import Path

# Before the base settings work out where everything is: tests never touch the data of `make run`.
os.environ.setdefault("FEEDBACK_VAR_DIR", str(Path(__file__).resolve().parents[2] / "var" / "test"))

from feedbackproject.settings.base import *  # noqa: F403  a settings file extends another one in Django

DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405  threads of the live server must not keep the database in use
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": STORAGES["default"],  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True  # else WhiteNoise warns that nobody ran collectstatic
QUEUE_SIZE_SECONDS = 0.0  # each test has a queue of its own
ORIGINS_SECONDS = 0.0  # the same
WAKEUP_SECONDS = 0.0  # no thread outlives its test
ASK_SETTING_SECONDS = ASK_RATES_SECONDS = ASK_KEY_SECONDS = 0.0  # what a test changes is in force at once
ASK_REDIS_PAUSE_SECONDS = ASK_COUNTS_SECONDS = 0.0
ASK_REDIS_SECONDS = 2.0  # a busy machine is no outage
