"""Conformance to the standards, judged by the suites of others."""
