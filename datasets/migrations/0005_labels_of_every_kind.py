from django.db import migrations, models

CREATE_SEQUENCE = "CREATE SEQUENCE datasets_label_change"

# All labels so far are of single choices. They keep the order in which they were accepted.
FILL_LABELS = """
UPDATE datasets_acceptedlabel SET answer = jsonb_build_object('choice', label), change = id;
SELECT setval('datasets_label_change', (SELECT coalesce(max(id), 1) FROM datasets_acceptedlabel));
"""

# A task may get all the answers it wants without a new answer: when fewer are wanted of it.
CREATE_TRIGGER = """
CREATE FUNCTION datasets_note_closed_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO datasets_pendingevidence (project_id, annotation_id)
    SELECT NEW.project_id, annotation.id FROM labeling_annotation AS annotation
    WHERE annotation.task_id = NEW.id AND annotation.withdrawn_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER datasets_task_closed AFTER UPDATE OF state ON labeling_annotationtask
    FOR EACH ROW WHEN (OLD.state <> NEW.state AND OLD.answers_count = NEW.answers_count AND NEW.answers_count > 0)
    EXECUTE FUNCTION datasets_note_closed_task();
"""

DROP_TRIGGER = """
DROP TRIGGER datasets_task_closed ON labeling_annotationtask;
DROP FUNCTION datasets_note_closed_task();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0004_accepted_method_known"),
        ("labeling", "0006_task_types_and_queue"),
    ]

    operations = [
        migrations.RunSQL(CREATE_SEQUENCE, "DROP SEQUENCE datasets_label_change"),
        migrations.AddField("acceptedlabel", "answer", models.JSONField(help_text="In the form of the label schema's kind.", null=True)),
        migrations.AddField(
            "acceptedlabel",
            "change",
            models.BigIntegerField(
                null=True,
                help_text="Grows with every label that is accepted or superseded; within a project in the order of the commits.",
            ),
        ),
        migrations.AddField(
            "snapshotrow",
            "answer",
            models.JSONField(null=True, blank=True, help_text="Where the label's text does not say it all."),
        ),
        migrations.RunSQL(FILL_LABELS, migrations.RunSQL.noop),
        migrations.AlterField("acceptedlabel", "answer", models.JSONField(help_text="In the form of the label schema's kind.")),
        migrations.AlterField(
            "acceptedlabel",
            "change",
            models.BigIntegerField(
                help_text="Grows with every label that is accepted or superseded; within a project in the order of the commits."
            ),
        ),
        migrations.RemoveConstraint("acceptedlabel", "accepted_label_not_empty"),
        migrations.RemoveConstraint("acceptedlabel", "accepted_method_known"),
        migrations.AlterField(
            "acceptedlabel",
            "label",
            models.CharField(max_length=100, blank=True, help_text="Class key; empty where an answer is not one class."),
        ),
        migrations.AlterField("snapshotrow", "label", models.CharField(max_length=100, blank=True)),
        migrations.AlterField(
            "acceptedlabel",
            "method",
            models.CharField(
                max_length=32,
                choices=[
                    ("trusted_annotation", "One annotation by a trusted role"),
                    ("majority", "What most of several annotators said"),
                    ("ground_truth", "An annotation that is marked as certainly right"),
                ],
            ),
        ),
        migrations.AddConstraint(
            "acceptedlabel",
            models.CheckConstraint(
                condition=models.Q(method__in=["trusted_annotation", "majority", "ground_truth"]),
                name="accepted_method_known",
            ),
        ),
        migrations.AddIndex("acceptedlabel", models.Index(fields=["project", "change"], name="accepted_by_change")),
        migrations.RunSQL(CREATE_TRIGGER, DROP_TRIGGER),
    ]
