"""The policy by which a queue is filled, as a form."""

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict

from labeling import selectors
from labeling.models import Project
from sampling.models import QueuePolicy
from sampling.selection import LARGEST_BETA
from sampling.services import policies
from sampling.strategies import registry
from sampling.strategies.inputs import NEEDS

STRATEGY_NAMES = {
    "margin": "Margin: the two best classes are close",
    "entropy": "Entropy: the whole distribution is spread",
    "least_confidence": "Least confidence: the best class is weak",
    "rating_variance": "Variance: the levels it thinks likely lie far apart",
    "multi_label_margin": "Margin: on average the classes are near a half",
    "multi_label_worst_margin": "Worst margin: one class is near a half",
    "multi_label_entropy": "Entropy: on average the classes are uncertain",
    "preference_probability": "Preference: which side is better is open",
    "confidence": "Confidence: the model trusts its own answer little",
    "uniform": "Uniform: every item alike",
    "vote_entropy": "Votes: the models vote for different classes",
    "consensus_entropy": "Consensus: the models' mean is spread",
    "kl_disagreement": "Dissent: one model is far from the others' mean",
    "bald": "Disagreement: each model is sure, and they differ",
    "expected_model_change": "Change: a label would move the model most",
}


class TargetsField(forms.CharField):
    """Shares by value, a line each: `de = 50%` or `de = 0.5`."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{name} = {100 * share:g}%" for name, share in value.items())

    def to_python(self, value: object) -> dict[str, float]:  # type: ignore[override]  # a field of another type
        targets: dict[str, float] = {}
        for line in str(value or "").splitlines():
            if not line.strip():
                continue
            name, _, share = (part.strip() for part in line.rpartition("="))
            if name in targets:
                raise forms.ValidationError(f"“{name}” has two shares: name each value once.")
            try:
                targets[name] = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
            except ValueError:
                raise forms.ValidationError(f"“{line.strip()}” is not of the form: value = 50%") from None
            if not name:
                raise forms.ValidationError(f"“{line.strip()}” names no value.")
        return targets


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    strategy = forms.ChoiceField(help_text="What counts as informative.")
    segment_targets = TargetsField(
        required=False,
        label="Shares of its values",
        help_text="A line each, as “de = 50%”. All other items share the rest.",
    )

    class Meta:
        model = QueuePolicy
        fields = [
            "strategy", "score_source", "batch_rule", "beta", "epsilon", "batch_size", "low_watermark", "answers_per_item", "cold_start",
            "hand_over_labels_per_class", "shortlist_factor", "segment", "segment_targets", "stop_below_gain", "falls_back",
        ]  # fmt: skip
        labels = {
            "score_source": "Scored by",
            "batch_rule": "Rule for a batch",
            "cold_start": "Begin with",
            "hand_over_labels_per_class": "Labels per class before doubt counts",
            "shortlist_factor": "Shortlist, times the batch",
            "segment": "Segment with shares",
            "stop_below_gain": "Advise to stop below a gain of",
            "falls_back": "Draw at random while chosen labels do worse",
            "beta": "Sharpness (beta)",
            "epsilon": "Random share (epsilon)",
            "batch_size": "Queue size",
            "low_watermark": "Refill below",
            "answers_per_item": "People asked per item",
        }
        help_texts = {
            "score_source": "A surrogate is a small committee trained here from the accepted labels.",
            "batch_rule": "Stochastic rules give every item a known chance; of the others' choice nothing can be estimated.",
            "cold_start": "What to ask while there are too few labels for a model's doubt to mean something.",
            "hand_over_labels_per_class": "On average. The doubt of a model that your app sends counts from the start.",
            "shortlist_factor": "Rules that spread a batch choose among so many times its size.",
            "segment": "E.g. country: so much of the chosen items is to come from each of its values.",
            "stop_below_gain": "Accuracy that the next 100 labels are expected to add: 0.002 is a fifth of a point.",
            "falls_back": "A control arm of random labels measures that all the time.",
            "beta": "0 draws uniformly; the larger, the more only the most informative items come.",
            "epsilon": "Share of tasks drawn at random, whatever the model says: they measure it honestly.",
            "batch_size": "Open tasks after a refill.",
            "low_watermark": "With fewer open tasks a refill starts by itself.",
            "answers_per_item": "From so many different people an answer is wanted.",
        }

    def __init__(self, data: QueryDict | None = None, *, instance: QueuePolicy) -> None:
        """Offers the strategies that fit what models say in this project."""
        super().__init__(data, instance=instance)
        strategy = self.fields["strategy"]
        assert isinstance(strategy, forms.ChoiceField)  # noqa: S101 - for the type checker
        for name, largest in (("beta", LARGEST_BETA), ("epsilon", 1.0), ("stop_below_gain", 1.0)):
            self.fields[name].validators += [MinValueValidator(0.0), MaxValueValidator(largest)]
        fitting = registry.fitting(selectors.current_schema(instance.project).kind, frozenset(NEEDS))
        strategy.choices = [(name, STRATEGY_NAMES.get(name, name)) for name in fitting]


def short_name(strategy: str) -> str:
    return STRATEGY_NAMES.get(strategy, strategy).split(":")[0]


def current(project: Project) -> PolicyForm:
    return PolicyForm(instance=policies.current_policy(project))


def next_version(project: Project, data: QueryDict) -> PolicyForm:
    version = policies.current_policy(project).version + 1
    return PolicyForm(data, instance=QueuePolicy(project=project, version=version))
