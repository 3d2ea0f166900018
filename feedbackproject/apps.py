from django.apps import AppConfig


class FeedbackprojectConfig(AppConfig):
    """The wiring as an app, so that its management commands are found and its receivers are connected."""

    name = "feedbackproject"

    def ready(self) -> None:
        from feedbackproject import receivers  # models exist only now

        receivers.connect()
