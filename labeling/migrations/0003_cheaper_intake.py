import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Fewer indexes and fewer repeated checks per imported row; room for updates of pool entries in place."""

    dependencies = [
        ("labeling", "0002_annotation_index_by_time"),
    ]

    operations = [
        migrations.AlterField(
            model_name="item",
            name="key",
            field=models.CharField(db_collation="C", max_length=200),
        ),
        migrations.AlterField(
            model_name="item",
            name="project",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="labeling.project",
            ),
        ),
        migrations.AlterField(
            model_name="poolentry",
            name="project",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="labeling.project",
            ),
        ),
        migrations.AlterField(
            model_name="poolentry",
            name="model_version",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="Whose probabilities these are: the champion's, as of scored_at.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="labeling.modelversion",
            ),
        ),
        # A promotion rewrites the probabilities of every entry; with room on the page no index is touched.
        migrations.RunSQL(
            "ALTER TABLE labeling_poolentry SET (fillfactor = 50)",
            "ALTER TABLE labeling_poolentry RESET (fillfactor)",
        ),
    ]
