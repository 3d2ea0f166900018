from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from labeling.models import Project


class QueuePolicy(models.Model):
    """How the queue is filled. Versions are append-only; the highest one is in force."""

    class BatchRule(models.TextChoices):
        STOCHASTIC = "stochastic", "Stochastic acquisition"
        SOFTMAX = "softmax", "Stochastic acquisition, softmax"
        TOP_K = "top_k", "The k most informative"
        CLUSTER_QUOTAS = "cluster_quotas", "The most informative of each cluster"
        STOCHASTIC_CLUSTERS = "stochastic_clusters", "The first drawn of each cluster"
        K_CENTER = "k_center", "Informative and farthest apart (k-center)"
        K_MEANS_PLUS_PLUS = "k_means_plus_plus", "Informative and far apart, drawn (k-means++)"
        BADGE = "badge", "Far apart in what they would teach (BADGE)"
        FACILITY_LOCATION = "facility_location", "Standing for the informative around them (facility location)"

    class ColdStart(models.TextChoices):
        TYPICALITY = "typicality", "Typical items of each cluster"
        UNIFORM = "uniform", "Items at random"
        K_CENTER = "k_center_cold", "Items farthest apart (k-center)"
        COVERAGE = "probability_coverage", "Items in the most crowded places (probability coverage)"

    class ScoreSource(models.TextChoices):
        AUTO = "auto", "The champion; a surrogate while there is none"
        CHAMPION = "champion", "The champion alone"
        SURROGATE = "surrogate", "A surrogate, trained from the accepted labels"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queue_policies")
    version = models.PositiveIntegerField()
    strategy = models.CharField(max_length=32, default="margin", help_text="Name in sampling.strategies.registry.")
    score_source = models.CharField(max_length=16, choices=ScoreSource, default=ScoreSource.AUTO)
    batch_rule = models.CharField(max_length=24, choices=BatchRule, default=BatchRule.STOCHASTIC)
    cold_start = models.CharField(max_length=24, choices=ColdStart, default=ColdStart.TYPICALITY)
    hand_over_labels_per_class = models.PositiveSmallIntegerField(
        default=5, help_text="Cold start ends at so many labels a class on average; 0: as soon as there are scores."
    )
    shortlist_factor = models.PositiveSmallIntegerField(
        default=10, help_text="Diverse rules choose among so many times the batch of the most informative items."
    )
    segment = models.CharField(
        max_length=200, blank=True, help_text="Segment whose values get shares of the chosen items; empty: none."
    )
    segment_targets = models.JSONField(
        default=dict,
        blank=True,
        help_text="Share by value, e.g. {'de': 0.5, 'fr': 0.2}; all other items share the rest.",
    )
    falls_back = models.BooleanField(
        default=True, help_text="Draw at random while chosen labels are measured to teach less than random ones."
    )
    stop_below_gain = models.FloatField(
        default=0.002, help_text="Advise to stop when the next 100 labels are expected to raise accuracy by less."
    )
    beta = models.FloatField(default=12.0, help_text="Power on informativeness: 0 draws uniformly, large is greedy.")
    epsilon = models.FloatField(default=0.1, help_text="Share of draws that go to the audit slice.")
    batch_size = models.PositiveIntegerField(default=100, help_text="Open tasks after a refill.")
    low_watermark = models.PositiveIntegerField(default=20, help_text="A refill starts when fewer tasks are open.")
    answers_per_item = models.PositiveSmallIntegerField(
        default=1, help_text="So many different people are asked about each item."
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["project_id", "-version"]
        verbose_name_plural = "queue policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="queue_policy_version_unique"),
            models.CheckConstraint(condition=Q(beta__gte=0, beta__lte=50), name="queue_policy_beta_in_range"),
            models.CheckConstraint(condition=Q(epsilon__gte=0, epsilon__lte=1), name="queue_policy_epsilon_in_range"),
            models.CheckConstraint(
                condition=Q(batch_size__gte=1, low_watermark__lte=models.F("batch_size")),
                name="queue_policy_watermark_below_batch",
            ),
            models.CheckConstraint(
                condition=Q(answers_per_item__gte=1, answers_per_item__lte=20), name="queue_policy_answers_in_range"
            ),
            models.CheckConstraint(
                condition=Q(
                    batch_rule__in=[
                        *("stochastic", "softmax", "top_k", "cluster_quotas", "stochastic_clusters"),
                        *("k_center", "k_means_plus_plus", "badge", "facility_location"),
                    ]
                ),
                name="queue_policy_rule_known",
            ),
            models.CheckConstraint(
                condition=Q(cold_start__in=["typicality", "uniform", "k_center_cold", "probability_coverage"]),
                name="queue_policy_cold_start_known",
            ),
            models.CheckConstraint(
                condition=Q(stop_below_gain__gte=0, stop_below_gain__lte=1), name="queue_policy_gain_in_range"
            ),
            models.CheckConstraint(
                condition=Q(score_source__in=["auto", "champion", "surrogate"]), name="queue_policy_source_known"
            ),
            models.CheckConstraint(
                condition=Q(hand_over_labels_per_class__lte=1000), name="queue_policy_hand_over_in_range"
            ),
            models.CheckConstraint(
                condition=Q(shortlist_factor__gte=1, shortlist_factor__lte=100), name="queue_policy_shortlist_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} queue policy v{self.version}"
