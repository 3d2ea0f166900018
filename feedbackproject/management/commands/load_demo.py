from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from feedbackproject import demo, demo_crowd


class Command(BaseCommand):
    help = "Load the demo projects into a running service, and print the logins. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the service answers")
        parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for it (default 60)")

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"].rstrip("/")
        try:
            demo.wait_for(url, seconds=options["wait"])
            logins = demo.load_all(url=url)
        except demo.DemoError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"\n  The service is ready at {url}\n")
        for login in logins:
            self.stdout.write(f"    {login.role:<10} {login.username:<6} password {login.password}")
        self.stdout.write(f"    a demo app that asks its readers: {url}/demo/\n")
        self.stdout.flush()
        # Seconds of work, for which nobody needs to wait who wants to label.
        owner, annotator = (User.objects.get(username=login.username) for login in logins)
        if demo_crowd.ensure(owner=owner, annotator=annotator, now=timezone.now()):
            self.stdout.write(f"    a project with a simulated crowd: {url}/projects/{demo_crowd.SLUG}/\n")
