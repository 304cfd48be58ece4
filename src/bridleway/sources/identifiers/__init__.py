"""One file per identifier type. A part exports what `bridleway.sources.identity` documents."""
