"""Stored nuclei ("phantoms"): cut from annotated stacks, altered, and placed like drawn ones."""
