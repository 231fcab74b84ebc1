"""Code that runs in the student's process while questions are sought. `tracing` sends it there as one text."""
