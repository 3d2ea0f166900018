from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from labeling.errors import DomainError
from sampling.models import RefillRun
from sampling.services import replay


class Command(BaseCommand):
    help = "Draws the batch of a refill run again from its row, and says whether it is the same."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="Number of the refill run.")

    def handle(self, *, run: int, **options: object) -> None:
        runs = RefillRun.objects.select_related("project", "policy", "model_version", "surrogate", "space")
        found = runs.filter(pk=run).first()
        if found is None:
            raise CommandError(f"There is no refill run {run}.")
        try:
            said = replay.replay(found)
        except (DomainError, ValueError) as error:
            raise CommandError(getattr(error, "message", str(error))) from error
        scores = "the same scores" if said.has_same_scores else "other scores than then"
        if not said.is_same:
            ranks = ", ".join(map(str, said.differing_ranks)) or "none to compare"
            raise CommandError(f"Not the same batch, with {scores}. Differs at the draws: {ranks}.")
        self.stdout.write(f"The same batch: {said.compared_count} tasks compared, with {scores}.")
