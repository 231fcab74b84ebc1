"""The wire between the trusted side and a student's process: `values` in `messages`, sent over a `channel`."""
