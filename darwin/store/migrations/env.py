"""Alembic's entry: run the migrations on the connection that `darwin.store.migrate` hands in.

A new migration is one file in `versions`, named after its revision; raise `VERSION` in
`darwin.store.schema` with it.
"""

from __future__ import annotations

from alembic import context

from darwin.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
