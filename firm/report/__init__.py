"""What people see of a run: the summary, and a report in one HTML file."""
