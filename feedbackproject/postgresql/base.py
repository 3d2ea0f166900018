"""Django loads the class of this name from `<ENGINE>.base`."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """CONN_HEALTH_CHECKS without a question to the server at the start of every request.

    PostgreSQL says nothing on an idle connection. When it stops it sends an error and closes, when it is killed the
    kernel closes: both can be seen at the socket. Only then the server is asked.
    """

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        watch = select.poll()
        watch.register(self.connection.fileno(), select.POLLIN)
        return not watch.poll(0) or super().is_usable()
