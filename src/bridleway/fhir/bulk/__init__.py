"""FHIR Bulk Data Access: a server, SMART Backend Services, and a client of any such server."""
