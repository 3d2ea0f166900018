"""`manage.py import <project> <file>`: an import in the foreground, without a worker."""

from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from labeling.errors import DomainError
from labeling.file_formats import registry
from labeling.models import ImportJob, Membership, Project
from labeling.services import import_reports, imports

_SHOWN_ERRORS = 10


class Command(BaseCommand):
    help = (
        "Import a file (JSONL, CSV, Parquet, Label Studio JSON, Hugging Face folder as zip) into a project. "
        "Exit code 1 if the import or any row failed. Interrupted, it goes on with --resume."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's short name, as in its address")
        parser.add_argument("file", nargs="?", default="", help="path of the file")
        parser.add_argument("--format", default="", choices=["", *registry.FORMATS], help="else the file tells")
        parser.add_argument("--key", default="", help="column that names the item")
        parser.add_argument("--label", help="column with a known label (default: label; empty: none)")
        parser.add_argument(
            "--on-conflict", choices=["skip", "update", "error"], help="items that exist (default: skip)"
        )
        parser.add_argument("--options", default="{}", help="all other options as a JSON object, see docs/imports.md")
        parser.add_argument("--user", default="", help="in whose name (default: the project's first owner)")
        parser.add_argument("--resume", type=int, metavar="ID", help="go on with this import instead of a file")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project “{options['project']}”.")
        try:
            job = self._resumed(project, options) if options["resume"] else self._created(project, options)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Import {job.pk} of {job.file_name} ({job.get_format_display()}) into {project.slug}")
        try:
            done = imports.execute(job.pk, on_chunk=self._show)
        except KeyboardInterrupt:
            raise CommandError(self._interrupted(project, job), returncode=130) from None
        except Exception as error:
            raise CommandError(f"{type(error).__name__}: {error}\n{self._interrupted(project, job)}") from error
        if done is None:
            job.refresh_from_db()
            if job.finished_at is None:
                raise CommandError("A worker is at this import already; watch it on the page Imports.")
            done = job
        self._summarise(done)

    def _created(self, project: Project, options: dict[str, Any]) -> ImportJob:
        path = Path(options["file"])
        if not path.is_file():
            raise CommandError(f"There is no file “{path}”.")
        with path.open("rb") as content:
            return imports.create(
                project,
                name=path.name,
                content=content,
                size=path.stat().st_size,
                by=self._user(project, options["user"]),
                now=timezone.now(),
                file_format=options["format"],
                options=self._options(options),
            )

    def _resumed(self, project: Project, options: dict[str, Any]) -> ImportJob:
        job = imports.find(project, options["resume"])
        return imports.retry(project, job.pk) if job.finished_at is not None else job

    def _options(self, options: dict[str, Any]) -> dict[str, object]:
        chosen = imports.options_object(options["options"])
        if options["key"]:
            chosen["key"] = options["key"]
        if options["label"] is not None:
            chosen["label"] = options["label"] or None
        if options["on_conflict"]:
            chosen["on_conflict"] = options["on_conflict"]
        return chosen

    def _user(self, project: Project, username: str) -> User | None:
        if username:
            user = User.objects.filter(username=username).first()
            if user is None:
                raise CommandError(f"There is no user “{username}”.")
            return user
        owner = Membership.objects.filter(project=project, role=Membership.Role.OWNER).order_by("pk").first()
        return owner.user if owner is not None else None

    def _show(self, job: ImportJob) -> None:
        share = job.done_bytes / max(job.total_bytes, 1)
        self.stdout.write(f"  {share:4.0%}  {job.position:>12,} rows, {job.failed_count:,} failed")
        self.stdout.flush()

    def _interrupted(self, project: Project, job: ImportJob) -> str:
        return f"Interrupted. Go on with: manage.py import {project.slug} --resume {job.pk}"

    def _summarise(self, job: ImportJob) -> None:
        (told,) = import_reports.progress_of([job], now=timezone.now())
        self.stdout.write(
            f"{job.get_state_display()}: {job.created_count:,} new, {job.updated_count:,} changed, "
            f"{job.skipped_count:,} there already, {job.failed_count:,} failed, {job.annotation_count:,} annotations"
            + (f", {told.rows_per_second:,.0f} rows/s" if told.rows_per_second else "")
        )
        for number, error in enumerate(import_reports.errors(job)):
            if number == _SHOWN_ERRORS:
                self.stderr.write(
                    f"  ... and more; GET /api/v1/projects/{job.project.slug}/imports/{job.pk}/errors.csv"
                )
                break
            named = f" ({error.key})" if error.key else ""
            self.stderr.write(f"  row {error.row}{named}: {error.code}: {error.message}")
        if job.state != ImportJob.State.SUCCEEDED:
            raise CommandError(job.message or f"The import was {job.get_state_display().lower()}.")
        if job.failed_count:
            raise CommandError(f"{job.failed_count:,} rows failed; all others are in.")
