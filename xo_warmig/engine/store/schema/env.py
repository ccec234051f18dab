"""What Alembic runs for a change of the schema: the scripts, on the connection and in the transaction of ``schema.upgrading``."""

from alembic import context

from xo_warmig.engine.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a column by making the table anew
)
context.run_migrations()
