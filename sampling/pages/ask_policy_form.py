"""The policy by which users are asked, as a form: times as people say them, shares in percent, values a line each."""

import re
from typing import Any, Final

from django import forms
from django.http import QueryDict

from labeling.models import Project
from sampling.models import AskPolicy
from sampling.pages.queue_policy import TargetsField
from sampling.services import ask_policies

_UNITS: Final = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_SPAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(days?|d|hours?|h|minutes?|min|seconds?|s)\s*")
_NAMES: Final = {"day": "d", "days": "d", "hour": "h", "hours": "h", "minute": "min", "minutes": "min"}


class SpanField(forms.CharField):
    """A time as people say it: 7 d, 12 h, 30 min, 90 s, or several of them together. Seconds inside."""

    def __init__(self, *, most_seconds: int = ask_policies.LONGEST_SECONDS, **options: Any) -> None:
        super().__init__(**options)
        self.most_seconds = most_seconds

    def prepare_value(self, value: object) -> object:
        return written_span(value) if isinstance(value, int) else value

    def to_python(self, value: object) -> int:  # type: ignore[override]  # a field of another type
        text = str(value or "").strip().lower()
        if text in {"0", "none"}:
            return 0
        seconds, place = 0.0, 0
        while place < len(text) and (found := _SPAN.match(text, place)):
            unit = found[2]
            seconds += float(found[1]) * _UNITS[_NAMES.get(unit, "s" if unit.startswith("s") else unit)]
            place = found.end()
        if not text or place < len(text):
            raise forms.ValidationError("Say it as 7 d, 12 h, 30 min or 90 s.")
        if seconds > self.most_seconds:
            raise forms.ValidationError(f"At most {written_span(self.most_seconds)}.")
        return round(seconds)


class PercentField(forms.FloatField):
    """A share, in percent on the page."""

    def __init__(self, *, least: float = 0, most: float = 100, **options: Any) -> None:
        super().__init__(min_value=least, max_value=most, **options)

    def prepare_value(self, value: object) -> object:
        return f"{100 * value:.6g}" if isinstance(value, float) else value

    def clean(self, value: object) -> float | None:
        found = super().clean(value)
        return None if found is None else found / 100.0


class QuotasField(forms.CharField):
    """Most asks by value, a line each: `de = 100`."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: object) -> object:
        return "\n".join(f"{name} = {most}" for name, most in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: object) -> dict[str, int]:  # type: ignore[override]  # a field of another type
        quotas: dict[str, int] = {}
        for line in str(value or "").splitlines():
            if not line.strip():
                continue
            name, _, most = (part.strip() for part in line.rpartition("="))
            if not name or not most.isdecimal() or len(most) > 9:
                raise forms.ValidationError(f"“{line.strip()}” is not of the form: value = 100")
            if name in quotas:
                raise forms.ValidationError(f"“{name}” has two quotas: name each value once.")
            quotas[name] = int(most)
        return quotas


def written_span(seconds: int) -> str:
    """In the largest units that say it exactly.

    >>> written_span(604_800), written_span(90_000), written_span(0)
    ('7 d', '1 d 1 h', '0')
    """
    parts, left = [], seconds
    for unit, length in _UNITS.items():
        if left >= length:
            parts.append(f"{left // length} {unit}")
            left %= length
    return " ".join(parts) or "0"


_GROUPS: Final = {
    "Whom": ["is_asking", "needs_consent", "holdout_share", "blind_share"],
    "How often": [
        "cooldown_shown_seconds",
        "cooldown_dismissed_seconds",
        "cooldown_answered_seconds",
        "question_cooldown_seconds",
        "most_per_session",
        "most_per_7_days",
        "most_per_30_days",
    ],
    "Budget": ["budget_asks", "budget_period_seconds", "segment", "segment_quotas", "segment_targets"],
    "What an ask must be worth": [
        "threshold",
        "temperature",
        "audit_share",
        "check_share",
        "check_until_answers",
        "least_propensity",
        "most_propensity",
        "fatigue_weight",
        "fatigue_half_life_seconds",
    ],
    "Details": ["privacy_cap", "ask_lifetime_seconds", "logged_share_of_no"],
}
_NAMES_OF_FIELDS: Final = [name for names in _GROUPS.values() for name in names]
_OPEN: Final = {"Whom", "Budget"}
"""Groups that are open at first: the defaults of the others need no thought."""


_LABELS: Final = {
    "is_asking": "Ask",
    "needs_consent": "Only with consent",
    "most_per_session": "At most in a session",
    "most_per_7_days": "At most in 7 days",
    "most_per_30_days": "At most in 30 days",
    "budget_asks": "Asks at most",
    "threshold": "Worth an even chance",
    "temperature": "Softness",
    "fatigue_weight": "Weight of fatigue",
    "check_until_answers": "Checks until so many answers are judged",
    "privacy_cap": "Privacy budget of a respondent, epsilon",
}
_HELP_TEXTS: Final = {
    "budget_asks": "Empty: no budget.",
    "segment": "E.g. country; empty: none.",
    "threshold": "Utility at which an opportunity is asked half of the time: 0 asks much, 1 next to nothing.",
    "temperature": "The smaller, the sharper chance follows worth.",
}


class AskPolicyForm(forms.Form):
    """All that a version says. What is valid is for the service to say, not for the table's constraints."""

    holdout_share = PercentField(
        most=50,
        label="Never asked, %",
        help_text="Of respondents, for good, so that the harm of asking can be measured.",
    )
    blind_share = PercentField(
        label="Hide the model's answer, %", help_text="Of asks, to measure how far it sways people."
    )
    cooldown_shown_seconds = SpanField(label="Pause after an ask")
    cooldown_dismissed_seconds = SpanField(label="Pause after a dismissal")
    cooldown_answered_seconds = SpanField(label="Pause after an answer")
    question_cooldown_seconds = SpanField(label="Pause of the same question")
    budget_period_seconds = SpanField(label="Per", help_text="The budget is spent evenly over it.")
    segment_quotas = QuotasField(
        required=False, label="Most asks by its values", help_text="In a period; a line each, as “de = 100”."
    )
    segment_targets = TargetsField(
        required=False,
        label="Wanted shares of its values",
        help_text="A line each, as “de = 50%”. Values that fall short are asked more.",
    )
    audit_share = PercentField(
        label="Asked at random, %", help_text="Whatever it is worth: the honest sample of opportunities."
    )
    check_share = PercentField(
        label="Check by known answers, %",
        help_text="Chance to ask about gold items, of respondents with few judged answers. Needs gold; 0: never.",
    )
    least_propensity = PercentField(least=0.01, label="Lowest chance, %")
    most_propensity = PercentField(least=0.01, label="Highest chance, %")
    fatigue_half_life_seconds = SpanField(label="Fatigue halves in")
    ask_lifetime_seconds = SpanField(label="An ask can be answered for")
    logged_share_of_no = PercentField(
        least=0.01, label="Log so many refusals, %", help_text="The others are counted by the weight of these."
    )

    def __init__(self, data: QueryDict | None = None, *, policy: AskPolicy) -> None:
        super().__init__(data, initial={name: getattr(policy, name) for name in _NAMES_OF_FIELDS})
        others = forms.fields_for_model(AskPolicy, fields=_NAMES_OF_FIELDS, labels=_LABELS, help_texts=_HELP_TEXTS)
        self.fields = {**others, **self.fields}

    @property
    def groups(self) -> list[tuple[str, bool, list[forms.BoundField]]]:
        """Title, whether it is open, and fields."""
        return [
            (title, title in _OPEN or any(self[name].errors for name in names), [self[name] for name in names])
            for title, names in _GROUPS.items()
        ]


def current(project: Project, data: QueryDict | None = None) -> AskPolicyForm:
    """The policy in force, or what was filled in over it."""
    return AskPolicyForm(data, policy=ask_policies.current_policy(project))
