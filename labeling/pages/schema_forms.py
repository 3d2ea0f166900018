"""A label schema as people fill it in: which fields the form of each kind has, and how they become a definition."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms

from labeling.models import LabelSchema
from labeling.pages import class_lines
from labeling.schema import AnySchema, JSONValue, definition_of

KIND_MEANINGS: Final[dict[str, str]] = {
    LabelSchema.Kind.SINGLE_CHOICE: "exactly one class: spam or not, which product",
    LabelSchema.Kind.MULTI_LABEL: "all classes that apply: topics, tags",
    LabelSchema.Kind.RATING: "one level of a scale: how good, how toxic",
    LabelSchema.Kind.TEXT_CORRECTION: "the model's text, edited until it is right",
    LabelSchema.Kind.PREFERENCE: "which of two answers is better",
    LabelSchema.Kind.SPANS: "passages of a text, each with a class: names, places",
    LabelSchema.Kind.NUMERIC: "a number within bounds: a price, an age",
    LabelSchema.Kind.BOXES: "rectangles on an image, each with a class",
}


def _classes() -> forms.Field:
    return forms.CharField(
        label="Classes",
        widget=forms.Textarea(
            attrs={"rows": 8, "class": "mono", "placeholder": "spam | Spam | Nobody asked for it\nham | Not spam"}
        ),
        help_text="One a line: key | title | description, of which only the key is needed. Keys stand in predictions and "
        "datasets: add rather than rename.",
    )


def _payload_field(label: str, initial: str, meaning: str) -> forms.Field:
    return forms.CharField(
        max_length=100, label=label, initial=initial, help_text=f"The field of an item's payload {meaning}."
    )


def _confidence_rule(parts: str) -> forms.Field:
    return forms.TypedChoiceField(
        choices=[
            ("least", "as of the one it is least sure of"),
            ("mean", "as of them on average"),
            ("geometric_mean", "as of them together, whatever their number"),
        ],
        required=False,
        empty_value="least",
        label="How sure a model is of an answer",
        help_text=f"Where predictions give a confidence of each of their {parts}, and none of the whole. Counts for predictions "
        "that come from now on.",
    )


def _kind_fields(kind: str) -> dict[str, forms.Field]:
    """By name in the definition; "definition" are the classes, which are typed as lines."""
    match kind:
        case LabelSchema.Kind.MULTI_LABEL:
            return {
                "definition": _classes(),
                "min_choices": forms.IntegerField(min_value=0, initial=0, label="At least so many classes"),
                "max_choices": forms.IntegerField(min_value=1, required=False, label="At most so many classes"),
            }
        case LabelSchema.Kind.RATING:
            return {
                "minimum": forms.IntegerField(initial=1, label="Lowest level"),
                "maximum": forms.IntegerField(initial=5, label="Highest level", help_text="2 to 20 levels in all."),
                "minimum_title": forms.CharField(max_length=200, required=False, label="The lowest level means"),
                "maximum_title": forms.CharField(max_length=200, required=False, label="The highest level means"),
            }
        case LabelSchema.Kind.TEXT_CORRECTION:
            return {"source": _payload_field("Text to correct", "output", "with the text to begin with")}
        case LabelSchema.Kind.PREFERENCE:
            return {
                "a": _payload_field("Field of A", "a", "shown as A"),
                "b": _payload_field("Field of B", "b", "shown as B"),
                "allows_tie": forms.BooleanField(required=False, initial=True, label="A tie is an answer"),
                "allows_both_bad": forms.BooleanField(required=False, initial=True, label="“Both bad” is an answer"),
            }
        case LabelSchema.Kind.SPANS:
            return {
                "definition": _classes(),
                "field": _payload_field("Text to mark", "text", "with the text"),
                "allows_overlap": forms.BooleanField(required=False, label="Passages may overlap"),
                "confidence_rule": _confidence_rule("passages"),
            }
        case LabelSchema.Kind.NUMERIC:
            return {
                "minimum": forms.FloatField(label="Lowest number"),
                "maximum": forms.FloatField(label="Highest number"),
                "unit": forms.CharField(max_length=50, required=False, help_text="Shown behind the number, e.g. EUR."),
                "step": forms.FloatField(
                    required=False, label="Step", help_text="Only multiples of it above the lowest; empty: any number."
                ),
            }
        case LabelSchema.Kind.BOXES:
            return {
                "definition": _classes(),
                "field": _payload_field("Image to mark", "image", "with the image"),
                "confidence_rule": _confidence_rule("boxes"),
            }
    return {"definition": _classes()}


class SchemaForm(forms.Form):
    """The fields of one kind of label schema, and its guidelines."""

    guidelines = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="What annotators should know about hard cases. They open it with G while labeling.",
    )

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind_fields = _kind_fields(kind)
        guidelines = self.fields.pop("guidelines")
        self.fields.update(self._kind_fields)
        self.fields["guidelines"] = guidelines

    def definition(self, *, before: AnySchema | None = None) -> dict[str, JSONValue]:
        """What was filled in, in the form of a schema; classes of `before` keep their hotkeys."""
        values = {name: self.cleaned_data[name] for name in self._kind_fields}
        definition: dict[str, JSONValue] = {"guidelines": self.cleaned_data["guidelines"]}
        if "definition" in values:
            definition["classes"] = class_lines.parse(values.pop("definition"), before=before)
        return definition | values


def initial_values(schema: AnySchema) -> Mapping[str, object]:
    """What a form shows of a schema."""
    said: dict[str, Any] = dict(definition_of(schema))
    said.pop("kind")
    if said.pop("classes", None) is not None:
        said["definition"] = class_lines.written(schema)
    # 10, not 10.0, as people write it.
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in said.items()
    }
