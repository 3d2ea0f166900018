from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("datasets", "0009_label_checks")]

    operations = [
        migrations.AddField(
            model_name="acceptancepolicy",
            name="draws_first",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Every drawn item gets its first answer before any is asked about again: fewest answers for the whole pool, but labels come later.",
            ),
        ),
    ]
