"""The committed API description is that of the code, and every operation is described."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

COMMITTED = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # the package is untyped here
    return schema


def test_the_committed_description_is_up_to_date(described: dict[str, Any]) -> None:
    """`manage.py spectacular --file docs/openapi.yaml` writes it anew."""
    rendered = OpenApiYamlRenderer().render(described, renderer_context={})  # type: ignore[no-untyped-call]  # likewise
    assert COMMITTED.read_bytes() == rendered


def test_the_description_is_valid(described: dict[str, Any]) -> None:
    validate_schema(described)  # type: ignore[no-untyped-call]  # likewise


def test_every_operation_has_a_summary_and_may_fail_in_the_one_form(described: dict[str, Any]) -> None:
    written = yaml.safe_load(COMMITTED.read_text())
    assert set(written["paths"]) == set(described["paths"])
    for path, operations in described["paths"].items():
        assert path.startswith("/api/v1/")
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation.get("summary"), f"{method} {path} has no summary"
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/Error"}
