"""FHIR R4: bulk export and import, anonymised by default."""
