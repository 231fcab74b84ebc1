"""Code that works beside the student's: `test_kmeans.py` calls it, and it runs in the student's process."""


def called(move_centres, x, centres):
    """What a call returns, and what the caller's own tensor of centres holds after it."""
    return move_centres(x, centres), centres
