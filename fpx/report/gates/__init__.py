"""What is asked of a report: conditions, exceptions to them, an older report."""
