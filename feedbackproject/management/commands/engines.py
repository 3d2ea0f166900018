from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from feedbackproject import embedded
from feedbackproject.engine_account import EngineError


class Command(BaseCommand):
    help = "Starts, stops or shows the embedded PostgreSQL and Redis of this var directory."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status"])

    def handle(self, *, action: str, **options: object) -> None:
        var_dir = embedded.var_directory()
        try:
            if action == "start":
                embedded.ensure_running(var_dir)
            elif action == "stop":
                stopped = embedded.stop(var_dir)
                self.stdout.write(f"Stopped: {', '.join(stopped) or 'nothing was running'}.")
                return
            for server in embedded.status(var_dir):
                state = f"running (process {server.pid})" if server.is_ready else "not running"
                self.stdout.write(f"{server.name}: {state}, data in {server.data}, log in {server.log}")
        except EngineError as error:
            raise CommandError(str(error)) from error
