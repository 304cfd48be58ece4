"""One file per source type. A part exports SCHEMES, SUFFIXES and `open_source(location)`."""
