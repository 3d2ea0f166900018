"""A question as people fill it in: which fields the form of each kind has, and how they become a wording."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.core.validators import validate_slug

from labeling.models import QuestionVersion
from labeling.questions.private import LARGEST_EPSILON
from labeling.questions.survey import MOST_STEPS, STEP_KINDS
from labeling.schema import JSONValue
from labeling.services.questions import LONGEST_OBJECTIVE, Wording
from sampling.pages import question_lines

KIND_MEANINGS: Final[dict[str, str]] = {
    QuestionVersion.Kind.CORRECTION: "the surest way to a label: confirm what the model says, or correct it",
    QuestionVersion.Kind.THUMBS: "one tap, a weak hint",
    QuestionVersion.Kind.RATING: "how good, on a scale",
    QuestionVersion.Kind.SINGLE_CHOICE: "which of a few reasons",
    QuestionVersion.Kind.MULTIPLE_CHOICE: "all reasons that apply",
    QuestionVersion.Kind.TEXT: "in their own words",
    QuestionVersion.Kind.PREFERENCE: "which of two answers they like better",
    QuestionVersion.Kind.SURVEY: "up to five questions in a row, after something was done",
}
_MAY_BE_PRIVATE: Final = frozenset({"thumbs", "single_choice", "rating"})
"""The others are not offered the field; what may be private is for the service to say."""
_STYLES: Final = [("stars", "Stars"), ("numbers", "Numbers")]
_PER_LOCALE: Final = "English as it is; other languages a line each, as “de = Stimmt das?”."
_POINTS: Final = 100.0


class TextsField(forms.CharField):
    """A text by locale, a line each."""

    def __init__(self, *, rows: int = 2, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows, "dir": "auto"}), **options)

    def prepare_value(self, value: object) -> object:
        return question_lines.written_texts(value) if isinstance(value, dict) else value

    def to_python(self, value: object) -> dict[str, str]:  # type: ignore[override]  # a field of another type
        try:
            return question_lines.parse_texts(str(value or ""))
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from None


class OptionsField(forms.CharField):
    """Options, a line each."""

    widget = forms.Textarea(
        attrs={"rows": 5, "class": "mono", "dir": "auto", "placeholder": "wrong = It is wrong\nslow = It took too long"}
    )

    def prepare_value(self, value: object) -> object:
        return question_lines.written_options(value) if isinstance(value, list) else value

    def to_python(self, value: object) -> list[JSONValue]:  # type: ignore[override]  # a field of another type
        try:
            return question_lines.parse_options(str(value or ""))
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from None


def _options_field() -> forms.Field:
    return OptionsField(
        help_text="One a line: key = text. The key stands in the data; other languages behind a bar, as "
        "“wrong = It is wrong | de = Es ist falsch”."
    )


def _kind_fields(kind: str) -> dict[str, forms.Field]:
    """By name in the definition."""
    match kind:
        case QuestionVersion.Kind.RATING:
            return {
                "minimum": forms.IntegerField(initial=1, label="Lowest level"),
                "maximum": forms.IntegerField(initial=5, label="Highest level", help_text="2 to 11 levels in all."),
                "style": forms.ChoiceField(choices=_STYLES, label="Drawn as"),
                "low": TextsField(rows=1, required=False, label="The lowest level means"),
                "high": TextsField(rows=1, required=False, label="The highest level means"),
            }
        case QuestionVersion.Kind.SINGLE_CHOICE:
            return {"options": _options_field()}
        case QuestionVersion.Kind.MULTIPLE_CHOICE:
            return {
                "options": _options_field(),
                "least": forms.IntegerField(min_value=0, initial=0, label="At least so many"),
                "most": forms.IntegerField(min_value=1, required=False, label="At most so many"),
            }
        case QuestionVersion.Kind.CORRECTION:
            return {
                "blind_text": TextsField(
                    required=False,
                    label="Question where the model's answer is hidden",
                    help_text="Some asks hide what the model said, to measure how far it sways people. Empty: “What is it?”",
                )
            }
        case QuestionVersion.Kind.TEXT:
            return {"longest": forms.IntegerField(min_value=1, initial=2_000, label="At most so many characters")}
        case QuestionVersion.Kind.PREFERENCE:
            return {
                "a": TextsField(rows=1, label="The first is called", initial={"en": "The first"}),
                "b": TextsField(rows=1, label="The second is called", initial={"en": "The second"}),
                "tie": forms.BooleanField(required=False, initial=True, label="“No difference” is an answer"),
            }
    return {}


class QuestionForm(forms.Form):
    """The wording of a question of one kind, and what its answers are for."""

    text = TextsField(label="Question", help_text=_PER_LOCALE)
    help = TextsField(rows=1, required=False, label="In small print")
    comment = forms.BooleanField(required=False, label="Offer a box for a comment")
    thanks = TextsField(rows=1, required=False, label="Said after an answer", help_text="Empty: “Thank you.”")
    objective = forms.CharField(
        required=False,
        max_length=LONGEST_OBJECTIVE,
        widget=forms.Textarea(attrs={"rows": 2}),
        label="What for",
        help_text="Which decision do the answers serve?",
    )
    target_answers = forms.IntegerField(
        required=False, min_value=1, label="Answers needed", help_text="Nobody is asked any more once they are there."
    )
    target_points = forms.FloatField(
        required=False,
        min_value=0.1,
        max_value=49.9,
        label="Or: as exact as ± points",
        help_text="Half width of the 95% interval of a share; the service works out the answers. 5 takes 385.",
    )
    deadline = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="From then on nobody is asked.",
    )
    epsilon = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=LARGEST_EPSILON,
        label="Private, with epsilon",
        help_text="Answers are mixed with chance in the browser: nobody, we included, learns what one person said. Small is "
        "more private and takes more answers; 1 to 2 is usual. Empty: not private.",
    )

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self._kind_fields = _kind_fields(kind)
        if kind not in _MAY_BE_PRIVATE:
            del self.fields["epsilon"]
        self.fields = {"text": self.fields["text"], "help": self.fields["help"], **self._kind_fields, **self.fields}

    def wording(self, steps: Sequence[JSONValue] = ()) -> Wording:
        """What was filled in, in the form of a version; `steps` are those of a survey."""
        said = self.cleaned_data
        definition: dict[str, JSONValue] = {"text": said["text"], "comment": said["comment"]}
        definition |= {name: said[name] for name in ("help", "thanks") if said[name]}
        definition |= {name: said[name] for name in self._kind_fields if said[name] not in (None, {})}
        if self.kind == QuestionVersion.Kind.SURVEY:
            definition["steps"] = list(steps)
        deadline: dt.datetime | None = said["deadline"]
        return Wording(
            definition=definition,
            objective=said["objective"],
            target_answers=said["target_answers"],
            target_half_width=said["target_points"] / _POINTS if said["target_points"] else None,
            deadline=deadline,
            epsilon=said.get("epsilon"),
        )

    @property
    def wording_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("text", "help", *self._kind_fields, "comment", "thanks")]

    @property
    def objective_fields(self) -> list[forms.BoundField]:
        names = ("objective", "target_answers", "target_points", "deadline", "epsilon")
        return [self[name] for name in names if name in self.fields]


class NewQuestionForm(QuestionForm):
    key = forms.CharField(
        max_length=64,
        validators=[validate_slug],
        label="Key",
        help_text="Its name in code and data, e.g. is_right. It stays.",
    )


class StepForm(forms.Form):
    """A step of a survey. Without a text there is no step."""

    text = TextsField(required=False, label="Question")
    kind = forms.ChoiceField(
        choices=[(kind, QuestionVersion.Kind(kind).label) for kind in STEP_KINDS if kind != "preference"]
    )
    key = forms.CharField(
        required=False,
        max_length=64,
        validators=[validate_slug],
        help_text="Its name in the data; empty: by its place.",
    )
    options = OptionsField(required=False, help_text="One a line: key = text.")
    minimum = forms.IntegerField(required=False, initial=1, label="Lowest level")
    maximum = forms.IntegerField(required=False, initial=5, label="Highest level")

    def step(self, place: int) -> dict[str, JSONValue] | None:
        said = self.cleaned_data
        if not said.get("text"):
            return None
        form: dict[str, JSONValue] = {
            "key": said["key"] or f"s{place}",
            "kind": said["kind"],
            "text": said["text"],
            **self._kept(said["kind"]),
        }
        if said["kind"] == "rating":
            form |= {"minimum": said["minimum"] or 1, "maximum": said["maximum"] or 5}
        elif said["kind"] in {"single_choice", "multiple_choice"}:
            form["options"] = said["options"]
        return form

    def _kept(self, kind: str) -> dict[str, JSONValue]:
        """What this form has no field for, of a step that stays of its kind: texts in small print, the ends of a scale."""
        before = self.initial
        if before.get("kind") != kind:
            return {}
        return {name: value for name, value in before.items() if name not in self.fields}


StepFormSet = forms.formset_factory(StepForm, extra=0, min_num=MOST_STEPS, max_num=MOST_STEPS, validate_max=True)


def initial_values(version: QuestionVersion) -> Mapping[str, object]:
    """What a form shows of a version."""
    return {
        **version.definition,
        "objective": version.objective,
        "target_answers": version.target_answers,
        "target_points": f"{_POINTS * version.target_half_width:g}" if version.target_half_width else None,
        "deadline": version.deadline,
        "epsilon": f"{version.epsilon:g}" if version.epsilon else None,
    }


def initial_steps(version: QuestionVersion | None) -> list[dict[str, object]]:
    return list(version.definition.get("steps", [])) if version else []
