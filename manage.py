#!/usr/bin/env python
"""Django's command line. Finds the embedded engines or starts them, where a command needs any."""

import os
import sys

from django.core.management import execute_from_command_line

from feedbackproject import embedded
from feedbackproject.engine_account import EngineError

NEEDS_NO_ENGINE = {
    "",
    "help",
    "--help",
    "--version",
    "collectstatic",
    "compilemessages",
    "engines",
    "makemessages",
    "serve",  # starts them itself, to stop what it started
    "spectacular",
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedbackproject.settings.base")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in NEEDS_NO_ENGINE:
        try:
            embedded.ensure_from_environment()
        except EngineError as error:
            sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
