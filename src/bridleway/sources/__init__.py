"""Sources where they live: engines through Ibis, catalogues, identity, tasks run in place."""
