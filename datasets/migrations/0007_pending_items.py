from django.db import migrations

# One statement, however many rows came in; and nothing to do in projects that go by votes.
_NOTE = """
    INSERT INTO datasets_pendingitem (project_id, item_id)
    SELECT DISTINCT said.project_id, said.item_id FROM said
    WHERE said.item_id IS NOT NULL AND said.project_id IN (
        SELECT newest.project_id FROM (
            SELECT DISTINCT ON (project_id) project_id, method FROM datasets_acceptancepolicy
            ORDER BY project_id, version DESC
        ) AS newest WHERE newest.method = 'label_model'
    );
    RETURN NULL;
"""

CREATE_TRIGGERS = f"""
CREATE FUNCTION datasets_note_pending_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{_NOTE}
END
$$;

CREATE TRIGGER datasets_feedback_said AFTER INSERT ON labeling_feedback REFERENCING NEW TABLE AS said
    FOR EACH STATEMENT EXECUTE FUNCTION datasets_note_pending_items();
CREATE TRIGGER datasets_feedback_changed AFTER UPDATE ON labeling_feedback REFERENCING NEW TABLE AS said
    FOR EACH STATEMENT EXECUTE FUNCTION datasets_note_pending_items();
CREATE TRIGGER datasets_correction_said AFTER INSERT ON labeling_correction REFERENCING NEW TABLE AS said
    FOR EACH STATEMENT EXECUTE FUNCTION datasets_note_pending_items();
CREATE TRIGGER datasets_correction_changed AFTER UPDATE ON labeling_correction REFERENCING NEW TABLE AS said
    FOR EACH STATEMENT EXECUTE FUNCTION datasets_note_pending_items();
"""  # noqa: S608 - all constants

DROP_TRIGGERS = """
DROP TRIGGER datasets_feedback_said ON labeling_feedback;
DROP TRIGGER datasets_feedback_changed ON labeling_feedback;
DROP TRIGGER datasets_correction_said ON labeling_correction;
DROP TRIGGER datasets_correction_changed ON labeling_correction;
DROP FUNCTION datasets_note_pending_items();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0006_belief_of_all_evidence"),
        ("labeling", "0015_gold_training_and_blind_share"),
    ]

    operations = [migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS)]
