"""Sections of the report, one module each, found by themselves (see `page.ReportSection`)."""
