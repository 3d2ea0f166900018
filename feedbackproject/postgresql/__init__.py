"""A database backend of Django: its own for PostgreSQL, which sees without asking whether a connection is alive."""
