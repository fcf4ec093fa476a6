"""Launching: what a job's tasks run, and how they are submitted."""
