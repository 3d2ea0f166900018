from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sampling", "0005_what_replacing_means")]

    operations = [
        migrations.AddField(
            "queuepolicy",
            "answers_per_item",
            models.PositiveSmallIntegerField(
                default=1, help_text="So many different people are asked about each item."
            ),
        ),
        migrations.AddConstraint(
            "queuepolicy",
            models.CheckConstraint(
                condition=models.Q(answers_per_item__gte=1, answers_per_item__lte=20),
                name="queue_policy_answers_in_range",
            ),
        ),
    ]
