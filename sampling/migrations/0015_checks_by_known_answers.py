from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0015_gold_training_and_blind_share'),
        ('sampling', '0014_blocked_respondents'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='askdecision',
            name='ask_decision_reason_known',
        ),
        migrations.AddField(
            model_name='askpolicy',
            name='check_share',
            field=models.FloatField(default=0.0, help_text='Chance to ask about an item whose answer is known, so that little-known respondents are checked.'),
        ),
        migrations.AddField(
            model_name='askpolicy',
            name='check_until_answers',
            field=models.PositiveSmallIntegerField(default=5, help_text='Respondents are checked until so many of their answers were found right or wrong.'),
        ),
        migrations.AlterField(
            model_name='askdecision',
            name='reason',
            field=models.CharField(choices=[('selected', 'Asked: it is worth it'), ('audit', 'Asked: drawn by the audit share'), ('check', 'Asked about a known answer, to check the respondent'), ('not_drawn', 'Not drawn'), ('off', 'Asking is switched off'), ('no_question', 'No live question fits'), ('no_consent', 'No consent'), ('opted_out', 'Does not want to be asked'), ('blocked', 'Is blocked: what they said is not to be trusted'), ('holdout', 'Is never asked, for comparison'), ('quiet', 'The app asked for quiet'), ('concurrent', 'Another ask is open'), ('cooldown_shown', 'Was asked a short time ago'), ('cooldown_dismissed', 'Dismissed an ask lately'), ('cooldown_answered', 'Answered lately'), ('question_cooldown', 'Was asked this question lately'), ('session_cap', 'Was asked often enough in this session'), ('week_cap', 'Was asked often enough in 7 days'), ('month_cap', 'Was asked often enough in 30 days'), ('labelled', 'The label is known already, or being asked for'), ('privacy_budget', 'Their privacy budget is used up'), ('segment_quota', 'The quota of their segment is used up'), ('budget', 'The budget of the period is used up'), ('degraded', 'The counters cannot be reached, so nobody is asked')], max_length=32),
        ),
        migrations.AddConstraint(
            model_name='askdecision',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['selected', 'audit', 'not_drawn', 'off', 'no_question', 'no_consent', 'opted_out', 'holdout', 'quiet', 'concurrent', 'cooldown_shown', 'cooldown_dismissed', 'cooldown_answered', 'question_cooldown', 'session_cap', 'week_cap', 'month_cap', 'labelled', 'privacy_budget', 'segment_quota', 'budget', 'degraded', 'blocked', 'check'])), name='ask_decision_reason_known'),
        ),
        migrations.AddConstraint(
            model_name='askpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('check_share__gte', 0), ('check_share__lte', 1)), name='ask_policy_check_in_range'),
        ),
    ]
