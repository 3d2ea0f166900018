from django.apps import AppConfig


class FeedbackprojectConfig(AppConfig):
    """The wiring as an app, so that its management commands are found and its receivers are connected."""

    name = "feedbackproject"

    def ready(self) -> None:
        from datasets.services import asking_again  # models exist only now
        from feedbackproject import celery, receivers
        from labeling import serving_order

        # Web threads and commands send tasks too; without this Celery looks for a broker at its own default address.
        celery.app.set_default()
        receivers.connect()
        serving_order.rank_by(asking_again.order_for)
