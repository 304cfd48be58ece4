"""Record-level extracts: tables leave anonymised by default, with risk and utility measured."""
