import django.db.models.deletion
from django.db import migrations, models

CREATE_TRIGGERS = """
CREATE FUNCTION datasets_note_pending_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO datasets_pendingevidence (project_id, annotation_id)
    SELECT item.project_id, NEW.id FROM labeling_item AS item WHERE item.id = NEW.item_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER datasets_evidence_recorded AFTER INSERT ON labeling_annotation
    FOR EACH ROW EXECUTE FUNCTION datasets_note_pending_evidence();

CREATE TRIGGER datasets_evidence_withdrawn AFTER UPDATE OF withdrawn_at ON labeling_annotation
    FOR EACH ROW WHEN (OLD.withdrawn_at IS DISTINCT FROM NEW.withdrawn_at)
    EXECUTE FUNCTION datasets_note_pending_evidence();
"""

DROP_TRIGGERS = """
DROP TRIGGER datasets_evidence_withdrawn ON labeling_annotation;
DROP TRIGGER datasets_evidence_recorded ON labeling_annotation;
DROP FUNCTION datasets_note_pending_evidence();
"""

# What was annotated before the triggers existed. Harmless when it is run again: working out a belief twice changes nothing.
NOTE_ALL = """
INSERT INTO datasets_pendingevidence (project_id, annotation_id)
SELECT item.project_id, annotation.id
FROM labeling_annotation AS annotation
JOIN labeling_item AS item ON item.id = annotation.item_id
ORDER BY annotation.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0001_initial"),
        ("labeling", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PendingEvidence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("annotation", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="labeling.annotation")),
                ("project", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="labeling.project")),
            ],
            options={
                "verbose_name_plural": "pending evidence",
                "ordering": ["id"],
                "indexes": [models.Index(fields=["project", "id"], name="pending_by_project")],
            },
        ),
        migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS),
        migrations.RunSQL(NOTE_ALL, migrations.RunSQL.noop),
    ]
