"""Confinement: what a student's process may see, reach and use; every layer of it proven by attacks."""
