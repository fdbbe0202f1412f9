"""Engines: run an algorithm case by case, as a process or in containers."""
