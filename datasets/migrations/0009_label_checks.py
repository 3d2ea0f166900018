import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0008_names_of_standings'),
        ('labeling', '0015_gold_training_and_blind_share'),
    ]

    operations = [
        migrations.CreateModel(
            name='LabelCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trainer', models.CharField(blank=True, max_length=50)),
                ('folds', models.PositiveSmallIntegerField(default=0)),
                ('seed', models.BigIntegerField(default=0)),
                ('classes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), default=list, help_text='Columns of the probabilities.', size=None)),
                ('label_count', models.PositiveIntegerField(default=0, help_text='Labels that were predicted.')),
                ('unreadable_count', models.PositiveIntegerField(default=0, help_text='Labels of items that the trainer cannot read.')),
                ('agreement', models.FloatField(help_text='Share of the labels that are the likeliest class.', null=True)),
                ('last_change', models.BigIntegerField(help_text='Number of the newest change of a label when it began.')),
                ('message', models.TextField(blank=True, help_text='Why nothing was predicted.')),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField()),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='label_checks', to='labeling.project')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='HeldOutPrediction',
            fields=[
                ('accepted_label', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='held_out', serialize=False, to='datasets.acceptedlabel')),
                ('probabilities', models.BinaryField(help_text='float32, little endian, one per class of the check.')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='predictions', to='datasets.labelcheck')),
            ],
            options={
                'ordering': ['accepted_label_id'],
            },
        ),
        migrations.CreateModel(
            name='SuspectLabel',
            fields=[
                ('accepted_label', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='suspicion', serialize=False, to='datasets.acceptedlabel')),
                ('source', models.CharField(choices=[('cross_validation', 'Cross-validation'), ('prediction', "A model's prediction")], max_length=16)),
                ('model', models.CharField(help_text='Name of the model version, or of the trainer.', max_length=200)),
                ('score', models.FloatField(help_text='Best other class minus that of the label; higher = more suspicious.')),
                ('self_confidence', models.FloatField(help_text="Probability of the label's own class.")),
                ('suggested', models.CharField(help_text='Key of the class that is likelier.', max_length=100)),
                ('found_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='labeling.item')),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='suspect_labels', to='labeling.project')),
            ],
            options={
                'ordering': ['-score', 'accepted_label_id'],
            },
        ),
        migrations.AddIndex(
            model_name='labelcheck',
            index=models.Index(fields=['project', '-id'], name='label_check_newest'),
        ),
        migrations.AddIndex(
            model_name='suspectlabel',
            index=models.Index(fields=['project', '-score', 'accepted_label'], name='suspect_label_worst_first'),
        ),
        migrations.AddConstraint(
            model_name='suspectlabel',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['cross_validation', 'prediction'])), name='suspect_label_source_known'),
        ),
        migrations.AddConstraint(
            model_name='suspectlabel',
            constraint=models.CheckConstraint(condition=models.Q(('score__gte', -1), ('score__lte', 1), ('self_confidence__gte', 0), ('self_confidence__lte', 1)), name='suspect_label_in_range'),
        ),
    ]
