"""Importing a file in the browser: preview, upload, progress by itself, errors; on a phone and in dark colours, too."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from labeling.models import Project

ROWS = b'{"key": "a", "text": "<i>one</i>", "label": "cat"}\n{"key": "b", "text": "two", "label": "horse"}\n'


@pytest.mark.usefixtures("worker")
def test_a_file_is_looked_at_sent_and_watched(owner_page: Page, project: Project, tmp_path: Path) -> None:
    page = owner_page
    path = tmp_path / "rows.jsonl"
    path.write_bytes(ROWS)
    page.goto(f"/projects/{project.slug}/imports/")
    expect(page.get_by_text("No file yet")).to_be_visible()
    page.get_by_label("File", exact=True).set_input_files(path)
    preview = page.get_by_role("region", name="Preview of the first rows")
    expect(preview.get_by_text("<i>one</i>")).to_be_visible()
    expect(preview.get_by_text("refused")).to_be_visible()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="1 failed")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="1 failed").click()
    assert "unknown_class" in Path(download.value.path()).read_text()
    found = Axe().run(page)
    assert not [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
