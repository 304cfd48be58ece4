"""The command line: arguments to calls, results to tables or JSON, errors to exit codes."""
