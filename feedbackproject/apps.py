from django.apps import AppConfig


class FeedbackprojectConfig(AppConfig):
    """The wiring as an app, so that its management commands are found and its receivers are connected."""

    name = "feedbackproject"

    def ready(self) -> None:
        from feedbackproject import celery, receivers  # models exist only now

        # Web threads and commands send tasks too; without this Celery looks for a broker at its own default address.
        celery.app.set_default()
        receivers.connect()
