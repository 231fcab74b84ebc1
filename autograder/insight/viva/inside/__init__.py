"""Code that runs in the student's process while questions are sought; none of it imports another module of ours."""
