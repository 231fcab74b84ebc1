"""An oral check: questions about a student's own code, with keys that come from running that code in the sandbox."""
