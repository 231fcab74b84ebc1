"""Results leave the course: scores into the gradebooks of learning platforms, feedback pages to students.

`fields` keeps a platform's file byte for byte, `scores` fills it, `delivery` packs pages.
"""
