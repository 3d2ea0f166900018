"""The policy by which a queue is filled, as a form."""

from django import forms
from django.http import QueryDict

from labeling.models import Project
from sampling.models import QueuePolicy
from sampling.services import policies
from sampling.strategies.registry import STRATEGIES

STRATEGY_NAMES = {
    "margin": "Margin: the two best classes are close",
    "entropy": "Entropy: the whole distribution is spread",
    "least_confidence": "Least confidence: the best class is weak",
    "uniform": "Uniform: every item alike",
}


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    strategy = forms.ChoiceField(
        choices=[(name, STRATEGY_NAMES.get(name, name)) for name in STRATEGIES],
        help_text="What counts as informative.",
    )

    class Meta:
        model = QueuePolicy
        fields = ["strategy", "batch_rule", "beta", "epsilon", "batch_size", "low_watermark"]
        labels = {
            "batch_rule": "Rule for a batch",
            "beta": "Sharpness (beta)",
            "epsilon": "Random share (epsilon)",
            "batch_size": "Queue size",
            "low_watermark": "Refill below",
        }
        help_texts = {
            "batch_rule": "Stochastic draws keep a batch diverse and give exact propensities.",
            "beta": "0 draws uniformly; the larger, the more only the most informative items come.",
            "epsilon": "Share of tasks drawn at random, whatever the model says: they measure it honestly.",
            "batch_size": "Open tasks after a refill.",
            "low_watermark": "With fewer open tasks a refill starts by itself.",
        }


def current(project: Project) -> PolicyForm:
    return PolicyForm(instance=policies.current_policy(project))


def next_version(project: Project, data: QueryDict) -> PolicyForm:
    version = policies.current_policy(project).version + 1
    return PolicyForm(data, instance=QueuePolicy(project=project, version=version))
