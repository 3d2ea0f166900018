"""Settings. Everything that differs between installations is an environment variable; docs/operations.md lists them."""

import importlib.util
import os
import secrets
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from feedbackproject import embedded
from feedbackproject.schedule import BEAT_SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = embedded.var_directory()
"""Everything the service writes to disk: embedded engines, model artifacts, logs."""

ARTIFACT_DIR = VAR_DIR / "artifacts"


def _secret_key() -> str:
    """From the environment, else one made once and kept under var/."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = VAR_DIR / "secret_key"
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()


def _list(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = _list("SECRET_KEY_FALLBACKS", "")
RESPONDENT_KEY = os.environ.get("RESPONDENT_KEY") or SECRET_KEY
"""Hashes the ids of respondents. With another key they all are strangers, so this one stays when SECRET_KEY changes."""
RESPONDENT_KEY_FALLBACKS = _list("RESPONDENT_KEY_FALLBACKS", "")
DEBUG = os.environ.get("DEBUG", "") == "1"
ALLOWED_HOSTS = _list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _list("CSRF_TRUSTED_ORIGINS", "")

# -- engines --------------------------------------------------------------------------------------------------
# With a variable unset, the embedded engine of that kind is used. Reading settings starts nothing: the addresses
# follow from VAR_DIR, and manage.py starts the engines for commands that need them.
ENGINES = embedded.from_environment()
REDIS_URL = ENGINES.redis_url

_database = dj_database_url.parse(ENGINES.database_url)
if _database["ENGINE"] != "django.db.backends.postgresql":
    raise ValueError("DATABASE_URL must name a PostgreSQL database")
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "feedbackproject.postgresql",
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 600,
        # For the statements that ask for it (labeling.services.queue_sql); the ORM's are not prepared.
        "OPTIONS": {"prepare_threshold": 5, **_database.get("OPTIONS", {})},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- applications ---------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "django_htmx",
    "feedbackproject",
    "labeling",
    "datasets",
    "sampling",
    "training",
]

MIDDLEWARE = [
    "labeling.cors.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "feedbackproject.content_security.ContentSecurityMiddleware",
    "feedbackproject.api.RequestIdMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "feedbackproject.page_errors.PageErrorMiddleware",
]

ROOT_URLCONF = "feedbackproject.urls"
WSGI_APPLICATION = "feedbackproject.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# -- people and safety ----------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["feedbackproject.sessions.PersonBackend"]
SESSION_ENGINE = "feedbackproject.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "projects"
LOGOUT_REDIRECT_URL = "login"
CSRF_FAILURE_VIEW = "feedbackproject.page_errors.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = os.environ.get("HTTPS", "") == "1"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # forms; the intake has its own, streamed limits

API_MAX_BODY_BYTES = 1024 * 1024
"""Largest JSON body of an ordinary API request."""
INTAKE_MAX_JSON_BYTES = 32 * 1024 * 1024
"""Largest JSON object or array in one request; it is held in memory."""
INTAKE_MAX_NDJSON_BYTES = 1024 * 1024 * 1024
"""Largest NDJSON stream in one request; it is read line by line."""
INTAKE_MAX_ROW_BYTES = 1024 * 1024
"""Largest single row."""
MEDIA_MAX_BYTES = 20 * 1024 * 1024
"""Largest uploaded image."""
MEDIA_MAX_PIXELS = 50_000_000
"""Most pixels of an uploaded image: a small file may unfold to gigabytes."""
IMPORT_MAX_BYTES = 4 * 1024 * 1024 * 1024
"""Largest file of an import."""
IMPORT_MAX_UNPACKED_BYTES = 20 * 1024 * 1024 * 1024
"""Most bytes that a zip of an import may unpack to."""
IMPORT_KEEP_DAYS = 30
"""How long the file of an import that ended is kept, so that it can be repeated."""
LEASE_SECONDS = int(os.environ.get("LEASE_SECONDS") or 600)
"""How long a claimed task stays with its annotator without an answer or a heartbeat."""
QUEUE_SIZE_SECONDS = 1.0
"""How old the numbers of open and leased tasks may be that an annotator sees, and the beliefs by which they are asked again."""
WAKEUP_SECONDS = 0.2
"""How often at most each web process tells the worker of new answers."""
UNDO_SECONDS = 600
"""How long an annotator may take back an answer."""
ASK_SETTING_SECONDS = 2.0
"""How old the policy, questions and model versions may be by which a process decides whether to ask."""
ASK_KEY_SECONDS = 1.0
"""How old what a process knows of an API key may be when it is asked whether to ask: so long a revoked key may still be taken."""
ASK_RATES_SECONDS = 60.0
"""How old the response rates and label shares may be by which it values an ask."""
ASK_REDIS_SECONDS = 0.25
"""How long a request waits for the counters of asks; then nobody is asked."""
ASK_COUNTS_SECONDS = 0.2
"""How old the counts of asks may be by which a process says no. Who says yes counts in Redis itself."""
ASK_REDIS_PAUSE_SECONDS = 1.0
"""After the counters could not be reached, they are left alone for so long."""
BROWSER_MAX_BODY_BYTES = 64 * 1024
"""Largest body that a token or a publishable key may send."""
BROWSER_MAX_ROWS = 50
"""Most rows of feedback in one request by a publishable key."""
ORIGINS_SECONDS = 10.0
"""How old the known origins of a project's keys may be when an answer is marked as readable for a page."""
PROXY_COUNT = int(os.environ.get("PROXY_COUNT") or 0)
"""Proxies in front of the service, each of which adds the address it was called from to X-Forwarded-For."""
ASK_EDIT_SECONDS = 15 * 60
"""How long a respondent may change an answer."""
ASK_OPT_OUT_SECONDS = 180 * 86_400
"""How long "don't ask me again" lasts."""
FEEDBACK_KEEP_DAYS = int(os.environ.get("FEEDBACK_KEEP_DAYS") or 0)
"""Opinions and behaviour older than that are deleted; 0: never."""
RESPONDENT_KEEP_DAYS = int(os.environ.get("RESPONDENT_KEEP_DAYS") or 0)
"""After so many days nobody can tell any more who said a thing: hashes and comments are blanked; 0: never."""
ASK_DECISION_KEEP_DAYS = int(os.environ.get("ASK_DECISION_KEEP_DAYS") or 0)
"""Logged decisions not to ask that are older are deleted; 0: never."""

LABEL_ERRORS_MOST_OPEN = int(os.environ.get("FEEDBACK_LABEL_ERRORS_OPEN") or 100)
# Which labels look wrong: "own", or "cleanlab", which is an extra.
LABEL_ERROR_RULE = os.environ.get("FEEDBACK_LABEL_ERROR_RULE") or "own"
if LABEL_ERROR_RULE not in ("own", "cleanlab"):
    raise ImproperlyConfigured("FEEDBACK_LABEL_ERROR_RULE must be own or cleanlab")
if LABEL_ERROR_RULE == "cleanlab" and importlib.util.find_spec("cleanlab") is None:
    raise ImproperlyConfigured(
        "FEEDBACK_LABEL_ERROR_RULE=cleanlab needs the extra: pip install --require-hashes -r requirements-label-errors.lock"
    )
"""So many cases of labels that a model contradicts are open at once in a project."""

# -- words, times, files --------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {
        "BACKEND": "storages.backends.s3.S3Storage",
        # Keys and region come from the environment or the instance, as everywhere in AWS's SDK.
        "OPTIONS": {
            "bucket_name": os.environ["S3_BUCKET"],
            "endpoint_url": os.environ.get("S3_ENDPOINT_URL"),
            "file_overwrite": False,
        },
    }
    if os.environ.get("S3_BUCKET")
    else {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "files"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# -- API ------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labeling.authentication.ApiKeyAuthentication",
        "labeling.authentication.PersonAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "feedbackproject.negotiation.JSONNegotiation",
    "DEFAULT_PARSER_CLASSES": ["feedbackproject.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "feedbackproject.api.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Feedback service",
    "DESCRIPTION": "Active-learning labeling and user feedback: items, predictions, annotation queue, snapshots, training.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "LabelSchemaKindEnum": "labeling.models.LabelSchema.Kind",
        "ApiKeyKindEnum": "labeling.models.ApiKey.Kind",
        "QuestionKindEnum": "labeling.models.QuestionVersion.Kind",
        "QuestionStateEnum": "labeling.models.Question.State",
        "AskStateEnum": "labeling.models.Ask.State",
        "ItemStateEnum": "datasets.api.items.ItemState",
        "AnnotationTaskStateEnum": "labeling.models.AnnotationTask.State",
        "AnnotationReasonEnum": "labeling.models.AnnotationTask.Reason",
        "ImportFormatEnum": "labeling.models.ImportJob.Format",
        "ImportStateEnum": "labeling.models.ImportJob.State",
        "AcceptedLabelMethodEnum": "datasets.models.AcceptedLabel.Method",
        "AcceptancePolicyMethodEnum": "datasets.models.AcceptancePolicy.Method",
        "SnapshotStateEnum": "datasets.models.Snapshot.State",
        "SourceStepEnum": "datasets.api.source_serializers.STEPS",
        "ReviewKindEnum": "datasets.models.ReviewCase.Kind",
        "ReviewStateEnum": "datasets.models.ReviewCase.State",
        "ReviewActionEnum": "datasets.models.ReviewDecision.Action",
        "ReviewDecisionEnum": "datasets.api.review_serializers.DECISIONS",
        "RefillRunStateEnum": "sampling.models.RefillRun.State",
        "RefillRunTriggerEnum": "sampling.models.RefillRun.Trigger",
        "TrainingRunStateEnum": "training.models.TrainingRun.State",
        "TrainingRunTriggerEnum": "training.models.TrainingRun.Trigger",
        "PromotionOutcomeEnum": "training.models.Promotion.Outcome",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "feedbackproject.openapi.describe_errors",
    ],
}

# -- Celery ---------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = ENGINES.celery_broker_url
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_timeout": 10, "socket_connect_timeout": 5}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = 3300
CELERY_TASK_DEFAULT_QUEUE = "ingest"
# A task goes where the first pattern that fits its name says; whole names come before all patterns.
CELERY_TASK_ROUTES = {
    "training.sweep_predictions": {"queue": "train"},
    "sampling.sweep_refills": {"queue": "score"},
    "datasets.fit_beliefs": {"queue": "train"},
    "sampling.make_features": {"queue": "train"},
    "sampling.train_surrogate": {"queue": "train"},
    "sampling.compare_arms": {"queue": "train"},
    "datasets.examine_sources": {"queue": "score"},
    "datasets.sweep_label_errors": {"queue": "ingest"},
    "*.sweep_*": {"queue": "monitor"},
    "labeling.*": {"queue": "ingest"},
    "datasets.*": {"queue": "ingest"},
    "sampling.*": {"queue": "score"},
    "training.*": {"queue": "train"},
}
# Texts get vectors from a pretrained package, which is an extra, instead of TF-IDF and SVD of the project's own.
PRETRAINED_EMBEDDINGS = os.environ.get("FEEDBACK_PRETRAINED_EMBEDDINGS", "") == "1"
if PRETRAINED_EMBEDDINGS and importlib.util.find_spec("wordllama") is None:
    raise ImproperlyConfigured(
        "FEEDBACK_PRETRAINED_EMBEDDINGS=1 needs the extra: pip install --require-hashes -r requirements-embeddings.lock"
    )
# Larger pools are cut into ranges of about so many items, which all workers of the queue "score" share.
REFILL_ITEMS_PER_SHARD = int(os.environ.get("FEEDBACK_REFILL_ITEMS_PER_SHARD", "2000000"))
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # Celery sets the level of the root; our own apps speak up all the same.
    "loggers": {app: {"level": "INFO"} for app in ("feedbackproject", "labeling", "datasets", "sampling", "training")},
}
