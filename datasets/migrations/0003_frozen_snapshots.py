import django.db.models.deletion
from django.db import migrations, models

# The setting is for an operator who deletes a whole project or must erase data; see docs/algorithms/snapshots.md.
CREATE_TRIGGERS = """
CREATE FUNCTION datasets_keep_snapshot_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    frozen bigint;
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('feedback.allow_snapshot_delete', true) = 'on' THEN
        RETURN OLD;
    END IF;
    SELECT id INTO frozen FROM datasets_snapshot
    WHERE state = 'ready' AND id IN (OLD.snapshot_id, NEW.snapshot_id)  -- NEW is null when a row is deleted
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'snapshot % is ready: its rows never change', frozen USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;

CREATE TRIGGER datasets_snapshot_rows_frozen BEFORE UPDATE OR DELETE ON datasets_snapshotrow
    FOR EACH ROW EXECUTE FUNCTION datasets_keep_snapshot_rows();

CREATE FUNCTION datasets_refuse_late_snapshot_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    frozen bigint;
BEGIN
    SELECT id INTO frozen FROM datasets_snapshot
    WHERE state = 'ready' AND id IN (SELECT snapshot_id FROM added)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'snapshot % is ready: it takes no more rows', frozen USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER datasets_snapshot_takes_no_more AFTER INSERT ON datasets_snapshotrow
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_late_snapshot_rows();

CREATE FUNCTION datasets_keep_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('feedback.allow_snapshot_delete', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'snapshot % is ready: it never changes', OLD.id USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER datasets_snapshot_not_deleted BEFORE DELETE ON datasets_snapshot
    FOR EACH ROW WHEN (OLD.state = 'ready') EXECUTE FUNCTION datasets_keep_snapshot();

-- The note and the name of who took it are not content: people rename things, and accounts are deleted.
CREATE TRIGGER datasets_snapshot_frozen BEFORE UPDATE ON datasets_snapshot
    FOR EACH ROW WHEN (
        OLD.state = 'ready'
        AND (OLD.id, OLD.project_id, OLD.number, OLD.state, OLD.label_schema_id, OLD.content_hash, OLD.row_count,
             OLD.split_counts, OLD.class_counts, OLD.audit_count, OLD.created_at)
            IS DISTINCT FROM
            (NEW.id, NEW.project_id, NEW.number, NEW.state, NEW.label_schema_id, NEW.content_hash, NEW.row_count,
             NEW.split_counts, NEW.class_counts, NEW.audit_count, NEW.created_at)
    )
    EXECUTE FUNCTION datasets_keep_snapshot();
"""

DROP_TRIGGERS = """
DROP TRIGGER datasets_snapshot_frozen ON datasets_snapshot;
DROP TRIGGER datasets_snapshot_not_deleted ON datasets_snapshot;
DROP FUNCTION datasets_keep_snapshot();
DROP TRIGGER datasets_snapshot_takes_no_more ON datasets_snapshotrow;
DROP FUNCTION datasets_refuse_late_snapshot_rows();
DROP TRIGGER datasets_snapshot_rows_frozen ON datasets_snapshotrow;
DROP FUNCTION datasets_keep_snapshot_rows();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0002_pending_evidence"),
    ]

    operations = [
        migrations.AlterField(
            model_name="snapshotrow",
            name="accepted_label",
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="datasets.acceptedlabel"),
        ),
        migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS),
    ]
