"""Confinement: limits what a student's process can see, reach and use. Attacks test every layer."""
