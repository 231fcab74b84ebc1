"""Results leave the course: scores into the gradebooks of learning platforms, feedback pages to students.

`fields` keeps a platform's file byte for byte, `column` finds the scores in it, `scores` fills it, and `delivery` packs
pages. `canvas` sets the scores in Canvas itself, over a `connection`.
"""
